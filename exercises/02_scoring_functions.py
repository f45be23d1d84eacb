# %% [markdown]
# # Exercises to chapter 2: scoring functions
#
# Five questions, about an hour and three quarters, 16 points. They need [chapter
# 2](https://github.com/icl-measured/icl-measured/blob/main/chapters/02_scoring_functions.ipynb), numpy and
# log-probabilities, and no language model but in the last one.
#
# Work in the cells with `# your code` or `# your answer`. Keep the names that are given: the grader looks for
# names, not for cells, and calls your functions with inputs that you do not see. `check("02.2",
# three_scores)` tries a function on some cases at once, and says what is wrong with it, but not the answer.
# Passing `check` is not the grade.

# %%
import numpy as np

# %% [markdown]
# ## 02.1 Labels of three tokens (understand, 5 minutes, 1 point and 1 for the reason)
#
# All candidates have exactly three tokens, though not all the same number of letters. The label stands last
# in the text $C, x, y$. Which scores choose as perplexity (query first) does, for every model and every
# prompt?
#
# - **a**: none of them: that needs labels of one token;
# - **b**: direct, and direct per token;
# - **c**: direct, but not direct per token;
# - **d**: direct, direct per token, and direct per character.

# %% question 02.1 kind=choice name=answer_1 points=1 minutes=5 choices=a,b,c,d reason=1
answer_1 = (
    ### BEGIN SOLUTION
    "b"
    ### END SOLUTION
)
reason_1 = """ """  # two or three sentences

# %% rubric 02.1
# 1 point: the texts differ in their last three tokens alone, so all other terms are the same sum S, and N is the same:
# perplexity orders by (S + d)/N, direct by d, per token by d/3, all of them rising in d. Characters divide the
# candidates by different numbers. Half a point if one of the two divisions is left out.

# %% wrong 02.1 loses=value: believes that it takes labels of one token
answer_1 = "a"

# %% wrong 02.1 loses=value: overlooks that all candidates are divided by three
answer_1 = "c"

# %% wrong 02.1 loses=value: overlooks that letters differ
answer_1 = "d"

# %% [markdown]
# ## 02.2 Three scores of one candidate (compute, 20 minutes, 4 points)
#
# A model has read two texts with the same candidate: one with the query first ($C, x, y$) and one with the
# label first ($C, y, x$). `input_first` and `label_first` are arrays with the log-probability of every token
# of a text, each given all tokens before it. `input_parts` and `label_parts` are strings with one letter for
# each token: `C` belongs to the demonstrations, `x` to the query, `y` to the label, and `m` is a mark of the
# template, such as the colon or the end. So `rain storm : weather . goal team : sea life .` has the parts
# `CCCCCxxmyym`.
#
# Return an array of shape (3,): the direct score $\log p(y \mid C, x)$; the perplexity score of the text with
# the query first, which is the mean over **all** its tokens; the channel score $\log p(x \mid C, y)$. Nothing
# else is divided by a length. A mark belongs neither to the query nor to the label.


# %% question 02.2 kind=function name=three_scores points=4 minutes=20 tolerance=1e-9
def three_scores(input_first, input_parts, label_first, label_parts):
    ### BEGIN SOLUTION
    input_first, label_first = np.asarray(input_first), np.asarray(label_first)
    of_label = np.array([part == "y" for part in input_parts])
    of_query = np.array([part == "x" for part in label_parts])
    return np.array([input_first[of_label].sum(), input_first.mean(), label_first[of_query].sum()])
    ### END SOLUTION


# %% probes 02.2
def _texts(rng, demonstrations, query, label, end="m"):
    """Token log-probabilities of both texts, for so many tokens of demonstrations, query and label."""
    input_parts = "C" * demonstrations + "x" * query + "m" + "y" * label + end
    label_parts = "C" * demonstrations + "y" * label + "m" + "x" * query + end
    values = rng.uniform(-5.0, -0.2, size=(2, len(input_parts)))
    return {
        "input_first": values[0],
        "input_parts": input_parts,
        "label_first": values[1],
        "label_parts": label_parts,
    }


def case_short(rng):
    """three numbers: a sum, a mean, a sum"""
    return {
        "input_first": np.array([-1.0, -2.0, -3.0, -0.5, -4.0]),
        "input_parts": "CCxmy",
        "label_first": np.array([-1.0, -3.0, -2.0, -0.5, -2.5]),
        "label_parts": "CCymx",
    }


def case_end_mark(rng):
    """a mark stands behind the label; it counts in the perplexity alone"""
    return _texts(rng, 3, 2, 1)


def probe_usual(rng):
    """a label of several tokens, and a mark behind it"""
    return _texts(rng, int(rng.integers(12, 20)), 5, int(rng.integers(2, 5)))


def probe_one_token(rng):
    """a label of one token, and a mark behind it"""
    return _texts(rng, int(rng.integers(12, 20)), 4, 1)


def probe_label_last(rng):
    """nothing stands behind the label"""
    return _texts(rng, int(rng.integers(6, 10)), 3, 2, end="")


def probe_zero_shot(rng):
    """no demonstrations"""
    return _texts(rng, 0, int(rng.integers(4, 8)), 3)


# %% wrong 02.2 loses=probe_usual,probe_one_token,probe_zero_shot: takes the last tokens, whatever they are
def three_scores(input_first, input_parts, label_first, label_parts):
    y, x = input_parts.count("y"), label_parts.count("x")
    return np.array([input_first[-y:].sum(), input_first.mean(), label_first[-x:].sum()])


# %% wrong 02.2 loses=probe_usual,probe_label_last,probe_zero_shot: divides the label's terms by their number
def three_scores(input_first, input_parts, label_first, label_parts):
    y, x = np.array(list(input_parts)) == "y", np.array(list(label_parts)) == "x"
    return np.array([input_first[y].mean(), input_first.mean(), label_first[x].sum()])


# %% wrong 02.2 loses=probe_usual,probe_one_token,probe_label_last,probe_zero_shot: perplexity without minus log
def three_scores(input_first, input_parts, label_first, label_parts):
    y, x = np.array(list(input_parts)) == "y", np.array(list(label_parts)) == "x"
    return np.array([input_first[y].sum(), np.exp(-input_first.mean()), label_first[x].sum()])


# %% wrong 02.2 loses=probe_usual,probe_one_token,probe_label_last,probe_zero_shot: scores the label, not the query
def three_scores(input_first, input_parts, label_first, label_parts):
    y, also_y = np.array(list(input_parts)) == "y", np.array(list(label_parts)) == "y"
    return np.array([input_first[y].sum(), input_first.mean(), label_first[also_y].sum()])


# %% wrong 02.2 loses=probe_usual,probe_one_token,probe_label_last: leaves demonstrations out of the mean
def three_scores(input_first, input_parts, label_first, label_parts):
    parts, x = np.array(list(input_parts)), np.array(list(label_parts)) == "x"
    return np.array([input_first[parts == "y"].sum(), input_first[parts != "C"].mean(), label_first[x].sum()])


# %% wrong 02.2 loses=probe_usual,probe_one_token,probe_label_last,probe_zero_shot: reads the query in the wrong text
def three_scores(input_first, input_parts, label_first, label_parts):
    parts = np.array(list(input_parts))
    return np.array([input_first[parts == "y"].sum(), input_first.mean(), input_first[parts == "x"].sum()])


# %% [markdown]
# ## 02.3 Contextual calibration (implement, 25 minutes, 4 points)
#
# `scores` has shape (questions, candidates): direct scores $\log p(y \mid C, x)$ in nats. `content_free` has
# shape (texts, candidates): the same after queries that say nothing. All have the same demonstrations and
# candidates. The model has other words than the candidates, so the probabilities of a row need not sum to
# one; labels of many tokens can have scores of minus a thousand.
#
# Return the calibrated probabilities, shape (questions, candidates), as in the chapter: the candidates'
# probabilities are made to sum to one, for each question and for each content-free text; those of the texts
# are averaged; each question's are divided by that average; and the result is made to sum to one for each
# question.


# %% question 02.3 kind=function name=calibrated points=4 minutes=25 tolerance=1e-6
def calibrated(scores, content_free):
    ### BEGIN SOLUTION
    def shares(values):
        p = np.exp(values - values.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)

    divided = shares(np.asarray(scores)) / shares(np.asarray(content_free)).mean(axis=0)
    return divided / divided.sum(axis=1, keepdims=True)
    ### END SOLUTION


# %% probes 02.3
def _scores(rng, questions, candidates, texts):
    """Scores whose probabilities sum to less than one, by more in some rows than in others."""
    mass = rng.permutation(np.linspace(0.05, 0.9, texts))[:, None] if texts > 1 else 0.4
    lean = rng.permutation(np.linspace(1.0, 4.0, candidates))
    free = rng.permutation(np.eye(candidates)[np.arange(texts) % candidates]) + 0.2 * lean
    free = free / free.sum(axis=1, keepdims=True)
    p = rng.dirichlet(np.full(candidates, 2.0), size=questions) * 0.9 + 0.1 / candidates
    return {
        "scores": np.log(p * rng.uniform(0.1, 0.9, size=(questions, 1))),
        "content_free": np.log(free * mass),
    }


def case_one_question(rng):
    """two candidates; the content-free text prefers the first, three to one"""
    return {"scores": np.log(np.array([[0.5, 0.25]])), "content_free": np.log(np.array([[0.6, 0.2]]))}


def case_two_texts(rng):
    """shape (2, 3); every row sums to one"""
    return _scores(rng, 2, 3, 2)


def probe_usual(rng):
    """several questions and texts; every row sums to one"""
    return _scores(rng, 12, 3, 4)


def probe_one_text(rng):
    """one content-free text is enough"""
    return _scores(rng, 6, 4, 1)


def probe_one_question(rng):
    """a single question keeps its shape (1, candidates)"""
    return _scores(rng, 1, 5, 3)


def probe_long_labels(rng):
    """labels of many tokens, with scores of minus a thousand, have calibrated probabilities too"""
    inputs = _scores(rng, 5, 3, 4)
    return {name: values - rng.uniform(900, 1100) for name, values in inputs.items()}


# %% wrong 02.3 loses=probe_long_labels: exponentiates what is too small
def calibrated(scores, content_free):
    p, free = np.exp(scores), np.exp(content_free)
    free = (free / free.sum(axis=1, keepdims=True)).mean(axis=0)
    divided = p / p.sum(axis=1, keepdims=True) / free
    return divided / divided.sum(axis=1, keepdims=True)


# %% wrong 02.3 loses=probe_usual,probe_one_question,probe_long_labels: averages logarithms
def calibrated(scores, content_free):
    free = content_free - content_free.max(axis=1, keepdims=True)
    free = free - np.log(np.exp(free).sum(axis=1, keepdims=True))
    divided = scores - free.mean(axis=0)
    p = np.exp(divided - divided.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


# %% wrong 02.3 loses=probe_usual,probe_one_question,probe_long_labels: averages the texts before they sum to one
def calibrated(scores, content_free):
    free = np.exp(content_free - content_free.max()).mean(axis=0)
    divided = np.exp(scores - scores.max(axis=1, keepdims=True)) / free
    return divided / divided.sum(axis=1, keepdims=True)


# %% wrong 02.3 loses=probe_usual,probe_one_text,probe_one_question,probe_long_labels: subtracts instead of dividing
def calibrated(scores, content_free):
    def shares(values):
        p = np.exp(values - values.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)

    return shares(scores) - shares(content_free).mean(axis=0)


# %% wrong 02.3 loses=probe_usual,probe_one_text,probe_one_question,probe_long_labels: result does not sum to one
def calibrated(scores, content_free):
    def shares(values):
        p = np.exp(values - values.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)

    return shares(scores) / shares(content_free).mean(axis=0)


# %% wrong 02.3 loses=probe_usual,probe_one_text,probe_one_question,probe_long_labels: forgets to calibrate
def calibrated(scores, content_free):
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


# %% [markdown]
# ## 02.4 How far ahead does a long label start? (experiment, 15 minutes, 2 points)
#
# A prompt with the candidate *sport* in the last place has 60 tokens, all of them counted, and the mean of
# their log-probabilities is $-2.5$ nats. *sport* is one token and has the direct score $-0.9$. Another
# candidate has **four** tokens; everything before the label is the same. Perplexity (query first) chooses the
# long candidate as long as its direct score, the sum over its four tokens, is above a bound. Find that bound
# in nats, by thought or by trying; it is right within 1 %.

# %% question 02.4 kind=number name=bound_for_long_label points=2 minutes=15 tolerance=0.01
bound_for_long_label = (
    ### BEGIN SOLUTION
    -8.4  # (-150 + 0.9 + d) / 63 > -2.5
    ### END SOLUTION
)

# %% wrong 02.4 loses=value: compares means of the label's own tokens
bound_for_long_label = 4 * -0.9

# %% wrong 02.4 loses=value: the lead of one more token, and not of three
bound_for_long_label = -0.9 - 2.5

# %% wrong 02.4 loses=value: compares sums of the labels
bound_for_long_label = -0.9

# %% wrong 02.4 loses=value: four tokens that are as good as the mean
bound_for_long_label = 4 * -2.5

# %% [markdown]
# ## 02.5 Does the lean grow as it should? (investigate, 40 minutes, 4 points, marked by hand)
#
# `load_lm("noisy_evidence")` of `icl_lab.language.models` is a model of the chapter's world,
# `NoisyEvidence()` of `icl_lab.language.worlds`, and `prior_log_odds((n, 0))` of the world is the exact prior
# after $n$ demonstrations of one label and none of the other. Let $n$ be 1, 2, 4 and 8. For the direct score
# and one score of your choice: how does the lean (score of the shown label minus that of the other, in nats)
# depend on $n$, and does it follow exact Bayes? Say what you predict and why, measure it with at least 200
# questions, and say what your result does not show. Five to ten sentences with your numbers; the code may
# stand in cells of its own.

# %% question 02.5 kind=text name=report_5 points=4 minutes=40
report_5 = """
### BEGIN SOLUTION
Prediction: the direct lean grows with n like the exact prior, quickly at first and then more slowly, since the
documents taught the model that a label seen often comes again; the channel's stays near zero, since it takes the label
as given. Measured as the mean over 200 balanced questions, whose evidence is zero on average, with intervals over
questions, the same questions at every n: see the numbers above. The result does not show how another training leans,
nor what a model does whose documents had no lopsided labels.
### END SOLUTION
"""

# %% rubric 02.5
# 1 point: a prediction for both scores with a reason (prior in direct, not in channel), written beforehand.
# 1 point: lean measured at all four n beside the exact prior, 200 questions or more, and the evidence of the queries
# taken out (balanced questions, or those whose words speak for neither label).
# 1 point: an interval, or another statement of how sure the numbers are.
# 1 point: what the result does not show (one training, a world made for this effect, one kind of lean).
