# %% [markdown]
# # Exercises to chapter 10: model selection
#
# Five questions, about two hours, 16 points. They need [chapter
# 10](https://github.com/icl-measured/icl-measured/blob/main/chapters/10_model_selection.ipynb), numpy and a
# little probability, and no trained model but in the last one.
#
# Work in the cells with `# your code` or `# your answer`. Keep the names that are given: the grader looks for
# names, not for cells, and calls your functions with inputs that you do not see. `check("10.2", posterior)`
# tries a function on some cases at once, and says what is wrong with it, but not the answer. Passing `check`
# is not the grade.

# %%
import numpy as np

# %% [markdown]
# ## 10.1 Which of them selects? (understand, 10 minutes, 1 point and 1 for the reason)
#
# Four laboratories trained a mixture model and two specialists on two classes each. They report errors on
# prompts of one class (the other class looks alike), with intervals of ± .01:
#
# | laboratory | right specialist | wrong specialist | mixture model |
# | --- | --- | --- | --- |
# | **a** | .50 | .52 | .50 |
# | **b** | .10 | .90 | .14 |
# | **c** | .10 | .90 | .62 |
# | **d** | .30 | .28 | .29 |
#
# In which of them do the numbers show best that the mixture model finds out the class from the examples?

# %% question 10.1 kind=choice name=answer_1 points=1 minutes=10 choices=a,b,c,d reason=1
answer_1 = (
    ### BEGIN SOLUTION
    "b"
    ### END SOLUTION
)
reason_1 = """ """  # two or three sentences

# %% rubric 10.1
# 1 point: a cost says something only beside what the wrong choice would have cost. In b selection loses .04 of .80; in
# a and d there was next to nothing to lose, so a small cost, or none, proves nothing; in c most of it is lost.
# Half a point for "smallest cost compared with the wrong specialist" without a word on a and d.

# %% wrong 10.1 loses=value: takes the smallest cost
answer_1 = "a"

# %% wrong 10.1 loses=value: takes a difference from the wrong specialist for selection, however large the cost
answer_1 = "c"

# %% wrong 10.1 loses=value: takes a mixture between two equals for a choice
answer_1 = "d"

# %% [markdown]
# ## 10.2 Posterior over classes (compute, 20 minutes, 4 points)
#
# `log_evidence` has shape (points, classes): natural logarithms of how likely each class finds the examples
# so far, all of them together, one row for each number of examples. `weights`, shape (classes,), are the
# prior probabilities; they sum to 1. Return the posterior probabilities, shape (points, classes), by Bayes'
# rule.
#
# The logarithms may be very negative: a hundred examples make numbers like -10,000, of which `np.exp` makes
# 0. A class that is impossible has `-np.inf`. A weight may be 0. In each row at least one class of positive
# weight is possible.


# %% question 10.2 kind=function name=posterior points=4 minutes=20 tolerance=1e-9
def posterior(log_evidence, weights):
    ### BEGIN SOLUTION
    with np.errstate(divide="ignore"):  # the logarithm of a zero weight is -inf, which is what is meant
        joint = log_evidence + np.log(weights)
    joint = np.exp(joint - joint.max(axis=1, keepdims=True))
    return joint / joint.sum(axis=1, keepdims=True)
    ### END SOLUTION


# %% probes 10.2
def _weights(rng, classes):
    made = rng.uniform(0.2, 1.0, size=classes) ** 2
    return made / made.sum()


def case_even_prior(rng):
    """shape (2, 2); every row sums to 1"""
    return {"log_evidence": np.log(np.array([[1.0, 1.0], [0.2, 0.6]])), "weights": np.array([0.5, 0.5])}


def case_very_unlikely(rng):
    """finite numbers between 0 and 1, however unlikely the examples are"""
    return {"log_evidence": np.array([[-5000.0, -5001.0], [-9000.0, -8990.0]]), "weights": np.array([0.9, 0.1])}


def probe_usual(rng):
    """prior and evidence both count; every row sums to 1"""
    return {"log_evidence": rng.normal(size=(8, 2)), "weights": np.array([0.8, 0.2])}


def probe_many_examples(rng):
    """evidence far below the smallest number that a computer knows"""
    log_evidence = -rng.uniform(3000, 20000, size=(6, 1)) + 2 * rng.normal(size=(6, 3))
    return {"log_evidence": log_evidence, "weights": _weights(rng, 3)}


def probe_impossible(rng):
    """a class that is impossible has probability zero, and the others share the rest"""
    log_evidence = rng.normal(size=(5, 3))
    log_evidence[2:, 0] = -np.inf
    return {"log_evidence": log_evidence, "weights": _weights(rng, 3)}


def probe_zero_weight(rng):
    """a class that the prior excludes stays excluded, also where its evidence is by far the largest"""
    log_evidence = np.concatenate([rng.normal(size=(4, 2)) - 2000, rng.normal(size=(4, 1))], axis=1)
    return {"log_evidence": log_evidence, "weights": np.array([0.3, 0.7, 0.0])}


# %% wrong 10.2 loses=probe_many_examples,probe_zero_weight: exponentials of very negative numbers
def posterior(log_evidence, weights):
    joint = weights * np.exp(log_evidence)
    return joint / joint.sum(axis=1, keepdims=True)


# %% wrong 10.2 loses=probe_zero_weight: looks for the largest evidence among classes that the prior excludes
def posterior(log_evidence, weights):
    joint = weights * np.exp(log_evidence - log_evidence.max(axis=1, keepdims=True))
    return joint / joint.sum(axis=1, keepdims=True)


# %% wrong 10.2 loses=probe_usual,probe_many_examples,probe_impossible,probe_zero_weight: forgets the prior
def posterior(log_evidence, weights):
    joint = np.exp(log_evidence - log_evidence.max(axis=1, keepdims=True))
    return joint / joint.sum(axis=1, keepdims=True)


# %% wrong 10.2 loses=probe_usual,probe_many_examples,probe_impossible,probe_zero_weight: adds the prior as it is
def posterior(log_evidence, weights):
    joint = log_evidence + weights
    joint = np.exp(joint - joint.max(axis=1, keepdims=True))
    return joint / joint.sum(axis=1, keepdims=True)


# %% wrong 10.2 loses=probe_usual,probe_many_examples,probe_impossible,probe_zero_weight: adds up what is summed already
def posterior(log_evidence, weights):
    with np.errstate(divide="ignore"):
        joint = np.cumsum(log_evidence, axis=0) + np.log(weights)
    joint = np.exp(joint - joint.max(axis=1, keepdims=True))
    return joint / joint.sum(axis=1, keepdims=True)


# %% [markdown]
# ## 10.3 The fewest coordinates that will do (implement, 35 minutes, 4 points)
#
# A prompt of a linear function without noise: `xs` of shape (points, d) with d at most 6, `ys` of shape
# (points,). Return an array of shape (points + 1,): entry $k$ is the smallest number $n$ such that *some* set
# of $n$ coordinates reproduces the first $k$ outputs exactly by a linear function of these coordinates;
# "exactly" is with no residual above `1e-6`. No coordinates at all predict zero. For the numbers at $n = 2$
# see the chapter's count of pairs; when the examples show that $n$ coordinates do not suffice, a class of $n$
# non-zeros is refuted.


# %% question 10.3 kind=function name=fewest points=4 minutes=35 tolerance=1e-9
def fewest(xs, ys):
    ### BEGIN SOLUTION
    points, d = xs.shape
    chosen = [[j for j in range(d) if code >> j & 1] for code in range(2**d)]
    chosen.sort(key=len)
    numbers = []
    for k in range(points + 1):
        for support in chosen:
            part = xs[:k][:, support]
            w = np.linalg.pinv(part) @ ys[:k] if k and support else np.zeros(len(support))
            if np.all(np.abs(part @ w - ys[:k]) <= 1e-6):
                numbers.append(len(support))
                break
    return np.array(numbers)
    ### END SOLUTION


# %% probes 10.3
def _sparse(rng, points, d, support):
    w = np.zeros(d)
    w[support] = rng.choice([-1, 1], size=len(support)) * rng.uniform(0.5, 2.0, size=len(support))
    xs = rng.normal(size=(points, d))
    return {"xs": xs, "w": w, "ys": xs @ w}


def case_one_coordinate(rng):
    """shape (4,); nothing has to be explained at first"""
    return {"xs": np.array([[1.0, 2.0], [3.0, 1.0], [2.0, 5.0]]), "ys": np.array([2.0, 1.0, 5.0])}


def case_three_of_five(rng):
    """shape (8,); one number for every count of examples, none and all included"""
    made = _sparse(rng, 7, 5, [1, 2, 4])
    return {"xs": made["xs"], "ys": made["ys"]}


def probe_sparse(rng):
    """few coordinates explain all examples, and not those of the first columns"""
    made = _sparse(rng, 6, 6, [int(rng.integers(1, 4)), 5])
    return {"xs": made["xs"], "ys": made["ys"]}


def probe_dense(rng):
    """all coordinates count"""
    made = _sparse(rng, 7, 5, [0, 1, 2, 3, 4])
    return {"xs": made["xs"], "ys": made["ys"]}


def probe_nothing_to_explain(rng):
    """the first outputs are zero"""
    made = _sparse(rng, 5, 5, [4])
    made["xs"][:2, 4] = 0.0
    return {"xs": made["xs"], "ys": made["xs"] @ made["w"]}


def probe_repeated(rng):
    """an example that is repeated refutes nothing"""
    made = _sparse(rng, 6, 5, [1, 2, 4])
    made["xs"][1] = made["xs"][0]
    return {"xs": made["xs"], "ys": made["xs"] @ made["w"]}


# %% wrong 10.3 loses=probe_sparse,probe_dense,probe_nothing_to_explain,probe_repeated: counts what least squares uses
def fewest(xs, ys):
    numbers = [0]
    for k in range(1, len(ys) + 1):
        w = np.linalg.pinv(xs[:k]) @ ys[:k]
        numbers.append(int((np.abs(w) > 1e-6).sum()))
    return np.array(numbers)


# %% wrong 10.3 loses=probe_nothing_to_explain,probe_repeated: takes for granted that each example adds one
def fewest(xs, ys):
    w = np.linalg.pinv(xs) @ ys
    return np.minimum(np.arange(len(ys) + 1), (np.abs(w) > 1e-6).sum())


# %% wrong 10.3 loses=probe_sparse,probe_nothing_to_explain,probe_repeated: tries only the first n columns
def fewest(xs, ys):
    numbers = []
    for k in range(len(ys) + 1):
        for n in range(xs.shape[1] + 1):
            part = xs[:k, :n]
            w = np.linalg.pinv(part) @ ys[:k] if k and n else np.zeros(n)
            if np.all(np.abs(part @ w - ys[:k]) < 1e-6):
                numbers.append(n)
                break
    return np.array(numbers)


# %% wrong 10.3 loses=probe_sparse,probe_dense,probe_nothing_to_explain,probe_repeated: uses at least one coordinate
def fewest(xs, ys):
    from itertools import combinations

    numbers = []
    for k in range(len(ys) + 1):
        for n in range(1, xs.shape[1] + 1):
            parts = [xs[:k][:, list(c)] for c in combinations(range(xs.shape[1]), n)]
            if k == 0 or any(np.abs(p @ np.linalg.pinv(p) @ ys[:k] - ys[:k]).max() < 1e-6 for p in parts):
                numbers.append(n)
                break
    return np.array(numbers)


# %% [markdown]
# ## 10.4 What selection costs, and what it could have cost (implement, 20 minutes, 3 points)
#
# Predictions of three models for the same prompts of one class, and the true values, all of shape (prompts,
# positions): `mixture`, `right` and `wrong` (the two specialists), `f`. `second_moment` is
# $\mathbb{E} f(x)^2$ of the class. Return a dictionary:
#
# - `"cost"`, shape (positions,): the mixture model's error minus the right specialist's;
# - `"stake"`, shape (positions,): the wrong specialist's error minus the right one's;
# - `"lost"`: one number, the part of the stake that the mixture model loses at the position where the stake
#   is largest.
#
# Errors are mean squared errors over `second_moment`.


# %% question 10.4 kind=function name=selection points=3 minutes=20 tolerance=1e-9
def selection(mixture, right, wrong, f, second_moment):
    ### BEGIN SOLUTION
    base = ((right - f) ** 2).mean(axis=0)
    cost = (((mixture - f) ** 2).mean(axis=0) - base) / second_moment
    stake = (((wrong - f) ** 2).mean(axis=0) - base) / second_moment
    most = stake.argmax()
    return {"cost": cost, "stake": stake, "lost": cost[most] / stake[most]}
    ### END SOLUTION


# %% probes 10.4
def _models(rng, prompts, sizes, second_moment):
    """Predictions whose errors at every position have about the given sizes: mixture, right, wrong."""
    f = second_moment**0.5 * rng.normal(size=(prompts, len(sizes[0])))
    signs = rng.choice([-1, 1], size=(3, *f.shape)) * rng.uniform(0.95, 1.05, size=(3, *f.shape))
    made = f + signs * second_moment**0.5 * np.array(sizes)[:, None, :]
    names = ("mixture", "right", "wrong")
    return dict(zip(names, made, strict=True)) | {"f": f, "second_moment": second_moment}


def case_one_prompt(rng):
    """two arrays of shape (2,), and one number from the second position"""
    given = {"mixture": [[1.0, 2.0]], "right": [[1.0, 1.0]], "wrong": [[2.0, 5.0]], "f": [[0.0, 1.0]]}
    return {name: np.array(value) for name, value in given.items()} | {"second_moment": 1.0}


def case_usual(rng):
    """two arrays of shape (3,), over the second moment, and one number"""
    return _models(rng, 20, [[1.0, 0.4, 0.2], [0.9, 0.3, 0.1], [1.0, 0.8, 1.2]], 2.0)


def probe_usual(rng):
    """cost and stake at every position; the part that is lost where the stake is largest, not the cost"""
    return _models(rng, 30, [[1.0, 0.8, 0.5, 0.3], [0.9, 0.3, 0.2, 0.1], [1.0, 0.9, 1.4, 0.7]], 1.0)


def probe_scale(rng):
    """over the second moment of the class, which is not 1"""
    return _models(rng, 25, [[0.9, 0.5, 0.6], [0.8, 0.3, 0.1], [1.0, 1.3, 0.7]], float(rng.uniform(2.0, 9.0)))


def probe_better(rng):
    """the mixture model may be better than the specialist: a cost may be negative"""
    return _models(rng, 30, [[0.9, 0.3, 0.4], [0.9, 0.5, 0.2], [1.0, 1.5, 0.8]], 1.0)


# %% wrong 10.4 loses=probe_usual,probe_scale,probe_better: distances to the right specialist instead of errors
def selection(mixture, right, wrong, f, second_moment):
    cost = ((mixture - right) ** 2).mean(axis=0) / second_moment
    stake = ((wrong - right) ** 2).mean(axis=0) / second_moment
    most = stake.argmax()
    return {"cost": cost, "stake": stake, "lost": cost[most] / stake[most]}


# %% wrong 10.4 loses=probe_scale: forgets the second moment
def selection(mixture, right, wrong, f, second_moment):
    base = ((right - f) ** 2).mean(axis=0)
    cost, stake = (((m - f) ** 2).mean(axis=0) - base for m in (mixture, wrong))
    most = stake.argmax()
    return {"cost": cost, "stake": stake, "lost": cost[most] / stake[most]}


# %% wrong 10.4 loses=probe_usual,probe_scale,probe_better: the largest cost over the largest stake, wherever they are
def selection(mixture, right, wrong, f, second_moment):
    base = ((right - f) ** 2).mean(axis=0)
    cost, stake = ((((m - f) ** 2).mean(axis=0) - base) / second_moment for m in (mixture, wrong))
    return {"cost": cost, "stake": stake, "lost": cost.max() / stake.max()}


# %% wrong 10.4 loses=probe_better: cuts costs off at zero
def selection(mixture, right, wrong, f, second_moment):
    base = ((right - f) ** 2).mean(axis=0)
    cost, stake = ((((m - f) ** 2).mean(axis=0) - base) / second_moment for m in (mixture, wrong))
    cost, most = np.maximum(cost, 0), stake.argmax()
    return {"cost": cost, "stake": stake, "lost": cost[most] / stake[most]}


# %% [markdown]
# ## 10.5 A prompt that changes its mind (investigate, 40 minutes, 3 points, marked by hand)
#
# `checkpoints.load("small/line_sine")` chooses between lines and sinusoids. Give it prompts that no training
# drew: the first $j$ examples come from a line, all later ones and the query from a sinusoid (`Line` and
# `Sinusoid` of `icl_lab.functions`). How many examples of the sinusoid does the model need until the line
# does not matter any more? Compare with prompts of the sinusoid alone that have as many examples of it. Say
# first what you expect of the model, and of `MixtureBayes`, for which such a prompt is impossible. Use at
# least 200 prompts. Five to ten sentences with your numbers; the code may stand in cells of its own.

# %% question 10.5 kind=text name=report_5 points=3 minutes=40
report_5 = """
### BEGIN SOLUTION
Prediction: the exact mixture calls a line impossible from the first example that leaves it, and then fits a sinusoid
to points of which some are not on it, so that it may be badly wrong; the model, which allows for misfit, is disturbed
by the line and forgets it slowly, if at all, since nothing in its training taught it that later examples count more.
Measured on 300 prompts with j = 3 and 1 to 30 examples of the sinusoid: see the table above, errors on the query beside
those on prompts without the line, paired by the query's function, with intervals. Not shown: other orders, other j,
another training, and whether the model weighs examples by their place or by their fit.
### END SOLUTION
"""

# %% rubric 10.5
# 1 point: expectations with reasons for the model and for the exact mixture, written before the measurement.
# 1 point: the right comparison: as many examples of the same sinusoid without the line, at several numbers of them, on
# 200 prompts or more; paired differences or errors with intervals.
# 1 point: what is not shown (one model, one training, one order of the two, no mechanism).
