# %% [markdown]
# # Exercises to chapter 1: what is in-context learning?
#
# Five questions, about an hour and forty minutes, 16 points. They need [chapter
# 1](https://github.com/icl-measured/icl-measured/blob/main/chapters/01_what_is_icl.ipynb), numpy and Bayes'
# rule, and no language model but in the last one.
#
# Work in the cells with `# your code` or `# your answer`. Keep the names that are given: the grader looks for
# names, not for cells, and calls your functions with inputs that you do not see. `check("01.2", paired_gain)`
# tries a function on some cases at once, and says what is wrong with it, but not the answer. Passing `check`
# is not the grade.

# %%
import numpy as np

# %% [markdown]
# ## 01.1 Labels drawn at random (understand, 5 minutes, 1 point and 1 for the reason)
#
# With eight demonstrations a large language model tells good reviews from bad ones and is right in 90 % of
# the cases. Then the label of every demonstration is drawn at random from *good* and *bad*. Now it is right
# in 88 %. What follows?
#
# - **a**: without any demonstration it would be right in about 88 % as well;
# - **b**: this model cannot learn a mapping from a prompt;
# - **c**: for these questions it hardly uses which label stands with which review; what it can learn from a
#   prompt elsewhere is open;
# - **d**: it ignores the demonstrations.

# %% question 01.1 kind=choice name=answer_1 points=1 minutes=5 choices=a,b,c,d reason=1
answer_1 = (
    ### BEGIN SOLUTION
    "c"
    ### END SOLUTION
)
reason_1 = """ """  # two or three sentences

# %% rubric 01.1
# 1 point: random labels take away the mapping alone; inputs, label words and format are still shown, and any of
# them may be needed (against a and d). Sentiment is a task that the weights know, so the mapping need not be read;
# renamed or swapped labels would ask whether it can be (against b). Half a point for one of the two.

# %% wrong 01.1 loses=value: takes the mapping for all that demonstrations show
answer_1 = "d"

# %% wrong 01.1 loses=value: takes what was not needed for what is not possible
answer_1 = "b"

# %% wrong 01.1 loses=value: forgets that the label words are still shown
answer_1 = "a"

# %% wrong 01.1 loses=value: a capital letter is another answer
answer_1 = "C"

# %% [markdown]
# ## 01.2 What demonstrations are worth (compute, 15 minutes, 4 points)
#
# A model has written its answers to the same questions twice: `zero` without demonstrations, `few` with some.
# Both are lists of strings, and so is `wanted`, the right answers, in the same order; there are at least two
# questions. An answer is right if it is the wanted one letter for letter, where white space before and after
# it does not count and every run of white space inside counts as one space. Upper and lower case differ.
#
# Return a dictionary with two numbers. `"gain"`: the share of right answers in `few` minus that in `zero`.
# `"error"`: the standard error of this gain over questions, **paired**, that is the standard deviation of the
# differences per question (dividing by their number minus one) over the root of their number.


# %% question 01.2 kind=function name=paired_gain points=4 minutes=15 tolerance=1e-9
def paired_gain(zero, few, wanted):
    ### BEGIN SOLUTION
    def right(answers):
        same = [" ".join(a.split()) == " ".join(w.split()) for a, w in zip(answers, wanted, strict=True)]
        return np.array(same, dtype=float)

    d = right(few) - right(zero)
    return {"gain": d.mean(), "error": d.std(ddof=1) / len(d) ** 0.5}
    ### END SOLUTION


# %% probes 01.2
LABELS = ["sport", "weather", "food", "sea life", "outer space"]


def _answers(rng, n, zero_right, few_right):
    """Answers to n questions; whatever is right without demonstrations is right with them, too."""
    which, hard = rng.integers(len(LABELS), size=n), rng.permutation(n)
    wanted, missed = [LABELS[i] for i in which], [LABELS[i - 1] for i in which]
    zero = [wanted[i] if hard[i] < zero_right else missed[i] for i in range(n)]
    few = [wanted[i] if hard[i] < few_right else missed[i] for i in range(n)]
    return {"zero": zero, "few": few, "wanted": wanted}


def case_three_questions(rng):
    """one answer of three became right"""
    return {"zero": ["a", "b", "b"], "few": ["a", "b", "c"], "wanted": ["a", "a", "c"]}


def case_spaces(rng):
    """white space around an answer does not count"""
    return {"zero": ["north", "south", "south"], "few": [" north", "south\n", "north "], "wanted": ["north"] * 3}


def probe_usual(rng):
    """a gain and its paired standard error"""
    return _answers(rng, 30, int(rng.integers(8, 13)), int(rng.integers(18, 23)))


def probe_white_space(rng):
    """white space around an answer does not count, and inside a run of it counts as one space"""
    inputs = _answers(rng, 30, int(rng.integers(8, 13)), int(rng.integers(18, 23)))
    inputs["few"] = ["\n " + answer.replace(" ", "  ") + " \t" for answer in inputs["few"]]
    for name in ("zero", "few", "wanted"):
        inputs[name] += ["sport" if name == "zero" else "  sea \n life" if name == "few" else "sea life"]
    return inputs


def probe_letters(rng):
    """an answer is right letter for letter, or not at all"""
    inputs = _answers(rng, 30, int(rng.integers(8, 13)), int(rng.integers(18, 23)))
    inputs["wanted"] += ["sport", "weather", "food"]
    inputs["few"] += ["Sport", "the weather", "food."]
    inputs["zero"] += ["food", "food", "sport"]
    return inputs


def probe_two_questions(rng):
    """two questions have a standard error"""
    a, b = rng.permutation(LABELS)[:2].tolist()
    return {"zero": [b, b], "few": [a, b], "wanted": [a, a]}


# %% wrong 01.2 loses=probe_white_space: compares answers as they are
def paired_gain(zero, few, wanted):
    d = np.array([float(f == w) - float(z == w) for z, f, w in zip(zero, few, wanted, strict=True)])
    return {"gain": d.mean(), "error": d.std(ddof=1) / len(d) ** 0.5}


# %% wrong 01.2 loses=probe_white_space: takes white space off the ends alone
def paired_gain(zero, few, wanted):
    d = np.array([float(f.strip() == w) - float(z.strip() == w) for z, f, w in zip(zero, few, wanted, strict=True)])
    return {"gain": d.mean(), "error": d.std(ddof=1) / len(d) ** 0.5}


# %% wrong 01.2 loses=probe_letters: is content if the wanted word occurs in the answer
def paired_gain(zero, few, wanted):
    zero, few = [" ".join(z.split()) for z in zero], [" ".join(f.split()) for f in few]
    d = np.array([float(w in f) - float(w in z) for z, f, w in zip(zero, few, wanted, strict=True)])
    return {"gain": d.mean(), "error": d.std(ddof=1) / len(d) ** 0.5}


# %% wrong 01.2 loses=probe_letters: takes capitals for small letters
def paired_gain(zero, few, wanted):
    def clean(text):
        return " ".join(text.lower().split())

    d = [float(clean(f) == clean(w)) - float(clean(z) == clean(w)) for z, f, w in zip(zero, few, wanted, strict=True)]
    return {"gain": np.mean(d), "error": np.std(d, ddof=1) / len(d) ** 0.5}


# %% wrong 01.2 loses=probe_usual,probe_white_space,probe_letters,probe_two_questions: adds variances as if unpaired
def paired_gain(zero, few, wanted):
    z, f = (np.array([" ".join(a.split()) == w for a, w in zip(x, wanted, strict=True)]) for x in (zero, few))
    variance = f.mean() * (1 - f.mean()) + z.mean() * (1 - z.mean())
    return {"gain": f.mean() - z.mean(), "error": (variance / len(z)) ** 0.5}


# %% wrong 01.2 loses=probe_usual,probe_white_space,probe_letters,probe_two_questions: divides by n instead of n - 1
def paired_gain(zero, few, wanted):
    z, f = (np.array([" ".join(a.split()) == w for a, w in zip(x, wanted, strict=True)]) for x in (zero, few))
    d = f.astype(float) - z
    return {"gain": d.mean(), "error": d.std() / len(d) ** 0.5}


# %% wrong 01.2 loses=probe_usual,probe_white_space,probe_letters,probe_two_questions: forgets the root of n
def paired_gain(zero, few, wanted):
    z, f = (np.array([" ".join(a.split()) == w for a, w in zip(x, wanted, strict=True)]) for x in (zero, few))
    d = f.astype(float) - z
    return {"gain": d.mean(), "error": d.std(ddof=1)}


# %% [markdown]
# ## 01.3 A perfect recognizer (implement, 25 minutes, 4 points)
#
# A reader knows a list of tasks and believes that a prompt is about one of them. Before it reads, task $t$
# has the probability `prior[t]`, which is positive. `logs[t, i]` is $\log p(y_i \mid x_i, t)$ of
# demonstration $i$, in nats, and may be minus infinity, though no prompt rules out all tasks. `answers[t, j]`
# is $p(y_j \mid x, t)$ of candidate $j$ for the query. Given the task, demonstrations and query are
# independent, and the inputs say nothing about the task.
#
# Return the reader's $p(y_j \mid C, x)$, an array of shape (candidates,), from `prior` of shape (tasks,),
# `logs` of shape (tasks, demonstrations) and `answers` of shape (tasks, candidates), whose rows sum to one.
# There may be no demonstration at all, or a thousand.


# %% question 01.3 kind=function name=recognize points=4 minutes=25 tolerance=1e-6
def recognize(prior, logs, answers):
    ### BEGIN SOLUTION
    evidence = np.log(prior) + np.asarray(logs, dtype=float).sum(axis=1)  # (tasks,)
    posterior = np.exp(evidence - evidence.max())
    return posterior / posterior.sum() @ np.asarray(answers)
    ### END SOLUTION


# %% probes 01.3
def _tasks(rng, demonstrations, candidates=3):
    prior = rng.permutation([0.5, 0.3, 0.15, 0.05])
    logs = np.log(rng.uniform(0.2, 0.9, size=(4, demonstrations)))
    answers = rng.permutation(0.9 * np.eye(4)[:, :candidates] + 0.1 * rng.dirichlet(np.ones(candidates), size=4))
    return {"prior": prior, "logs": logs, "answers": answers / answers.sum(axis=1, keepdims=True)}


def case_two_tasks(rng):
    """one demonstration, which is twice as likely under the first task"""
    logs = np.log(np.array([[0.8], [0.4]]))
    return {"prior": np.array([0.5, 0.5]), "logs": logs, "answers": np.array([[1.0, 0.0], [0.0, 1.0]])}


def case_rare_task(rng):
    """the task that fits best was not likely beforehand; shape (2,)"""
    logs = np.log(np.array([[0.5, 0.4], [0.9, 0.9]]))
    return {"prior": np.array([0.9, 0.1]), "logs": logs, "answers": np.array([[0.7, 0.3], [0.1, 0.9]])}


def probe_few(rng):
    """a few demonstrations leave several tasks possible, and all of them count"""
    return _tasks(rng, 3)


def probe_none(rng):
    """without demonstrations there is still an answer"""
    return _tasks(rng, 0)


def probe_ruled_out(rng):
    """a demonstration that is impossible under a task rules the task out, whatever the others say"""
    inputs = _tasks(rng, 5)
    inputs["logs"][rng.integers(4), rng.integers(5)] = -np.inf
    return inputs


def probe_many(rng):
    """a thousand demonstrations, after which two tasks are still about equally likely"""
    inputs = _tasks(rng, 1000)
    own = np.log(rng.uniform(0.05, 0.5, size=1000))
    inputs["logs"][0], inputs["logs"][1] = own, own[::-1]
    inputs["logs"][2:] = own - 1.0
    inputs["logs"][0, 0] += rng.uniform(0.3, 0.6)
    inputs["prior"] = np.array([0.25, 0.35, 0.3, 0.1])
    return inputs


# %% wrong 01.3 loses=probe_few,probe_none,probe_ruled_out,probe_many: believes in the best task alone
def recognize(prior, logs, answers):
    return answers[(np.log(prior) + logs.sum(axis=1)).argmax()]


# %% wrong 01.3 loses=probe_few,probe_none,probe_ruled_out,probe_many: forgets the prior
def recognize(prior, logs, answers):
    evidence = logs.sum(axis=1)
    posterior = np.exp(evidence - evidence.max())
    return posterior / posterior.sum() @ answers


# %% wrong 01.3 loses=probe_many: multiplies a thousand probabilities until nothing is left
def recognize(prior, logs, answers):
    joint = prior * np.exp(logs).prod(axis=1)
    return joint / joint.sum() @ answers


# %% wrong 01.3 loses=probe_few,probe_none,probe_ruled_out,probe_many: averages demonstrations instead of multiplying
def recognize(prior, logs, answers):
    joint = prior * np.exp(logs).mean(axis=1)
    return joint / joint.sum() @ answers


# %% wrong 01.3 loses=probe_few,probe_ruled_out,probe_many: does not divide by the probability of the demonstrations
def recognize(prior, logs, answers):
    return prior * np.exp(logs.sum(axis=1)) @ answers


# %% [markdown]
# ## 01.4 How many does a learner need? (experiment, 15 minutes, 2 points)
#
# In another mapping world there are four kinds of things, each with a label that is drawn anew for every
# prompt. Every demonstration is of a kind that is drawn by lot, all four equally likely, whatever came
# before, and the query's kind is drawn in the same way. The best possible learner is right when the query's
# kind was shown; if it was not, count its answer as wrong. What is the smallest number of demonstrations with
# which this learner is right in at least 95 % of all prompts? Find it by an experiment or by thought; it is a
# whole number.

# %% question 01.4 kind=number name=enough_demonstrations points=2 minutes=15 tolerance=0.01
enough_demonstrations = (
    ### BEGIN SOLUTION
    11  # 1 - (3/4)^k >= .95
    ### END SOLUTION
)

# %% wrong 01.4 loses=value: one for each kind
enough_demonstrations = 4

# %% wrong 01.4 loses=value: one too few, after rounding
enough_demonstrations = 10

# %% wrong 01.4 loses=value: the mean time until all four kinds were shown
enough_demonstrations = 4 * (1 + 1 / 2 + 1 / 3 + 1 / 4)

# %% wrong 01.4 loses=value: asks for all four kinds in 95 % of prompts
enough_demonstrations = 16

# %% [markdown]
# ## 01.5 Another anatomy (investigate, 40 minutes, 4 points, marked by hand)
#
# `load_lm("recognition")` and `load_lm("mapping")` of `icl_lab.language.models` are the two models of the
# chapter, and `Recognition` and `Mapping` of `icl_lab.language.worlds` their worlds. Choose one change of the
# demonstrations that the chapter did not try, such as the same demonstration again and again, the query among
# the demonstrations with a wrong label, or the labels of another task in some of them. Say what you predict
# for **both** models and why, measure it beside the unchanged prompts with at least 200 questions, and say
# what your result does not show. Five to ten sentences with your numbers; the code may stand in cells of its
# own.

# %% question 01.5 kind=text name=report_5 points=4 minutes=40
report_5 = """
### BEGIN SOLUTION
Prediction: with the query among the demonstrations under a wrong label, the mapping model copies that label and falls
below a guess. The recognition model stays, since it reads the task from the label words and not the mapping. Measured
on 200 questions with eight demonstrations, the same questions with and without the change, and paired intervals: see
the numbers above. Recognition stays, as predicted. Mapping gets worse, but much less than predicted: it stays far
above a guess, as if the other demonstrations of the kind outvoted the wrong one. The result does not show that they
do, nor what another training would do: there is one training of each.
### END SOLUTION
"""

# %% rubric 01.5
# 1 point: a prediction for both models with a reason that speaks of recognition and learning, written beforehand.
# 1 point: a measurement beside the unchanged prompts on the same 200 questions or more; candidates and guess are said.
# 1 point: an interval, or another statement of how sure the numbers are.
# 1 point: what the result does not show (one training, made-up worlds, one way of changing a prompt, no cause).
