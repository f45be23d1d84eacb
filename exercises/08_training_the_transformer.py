# %% [markdown]
# # Exercises to chapter 8: training the transformer
#
# Five questions, about two hours, 15 points. They need [chapter
# 8](https://github.com/icl-measured/icl-measured/blob/main/chapters/08_training_the_transformer.ipynb), numpy
# and a little linear algebra (singular values), and no training but in the last one.
#
# Work in the cells with `# your code` or `# your answer`. Keep the names that are given: the grader looks for
# names, not for cells, and calls your functions with inputs that you do not see. `check("08.2", stage)` tries
# a function on some cases at once, and says what is wrong with it, but not the answer. Passing `check` is not
# the grade.

# %%
import numpy as np

# %% [markdown]
# ## 08.1 What a loss hides (understand, 10 minutes, 1 point and 1 for the reason)
#
# A model is trained on dense linear functions of 20 coordinates, inputs standard normal, no noise,
# $\mathbb{E} f(x)^2 = 1$. Its prompts have 41 points, so that the loss is the mean over $k = 0, \dots, 40$ of
# the expected squared errors. The optimum, least squares, has a loss of .256; the model has .276. Take both
# numbers for exact. What follows for the model's error with 40 examples?
#
# - **a**: it is at most .02, for that is how far the model is from the optimum;
# - **b**: it is at most .82, and no smaller bound follows;
# - **c**: it is within 8 % of the error of least squares, as the loss is;
# - **d**: nothing, for the mean of 41 numbers says nothing about one of them.

# %% question 08.1 kind=choice name=answer_1 points=1 minutes=10 choices=a,b,c,d reason=1
answer_1 = (
    ### BEGIN SOLUTION
    "b"
    ### END SOLUTION
)
reason_1 = """ """  # two or three sentences

# %% rubric 08.1
# 1 point: at no k can the model be below least squares, which is optimal for this class, so the 41 excesses are not
# negative, and their sum is 41 times .02. All of it may sit at k = 40, where the optimum is zero.
# Half a point for 41 times .02 without saying why no excess is negative.

# %% wrong 08.1 loses=value: takes the mean for a bound on each
answer_1 = "a"

# %% wrong 08.1 loses=value: carries a ratio of means over to one of them
answer_1 = "c"

# %% wrong 08.1 loses=value: forgets that no excess can be negative
answer_1 = "d"

# %% [markdown]
# ## 08.2 What a step is given (compute, 15 minutes, 4 points)
#
# Steps are counted from 0. At step `t` of `steps`, a training in `d` dimensions has
#
# - a learning rate that is the product of two factors and the peak rate. The *warm-up* rises in equal parts:
#   step 0 has 1/`warmup`, the step after it 2/`warmup`, and from step `warmup` - 1 on the factor is 1. The
#   *decay* falls in a straight line from 1 at step 0 to 0 at step `steps` (which is never made);
# - the curriculum of Garg et al.: prompts show 5 coordinates and 11 points at first, and one more coordinate
#   and two more points after every 2,000 steps, so that step 2,000 is the first with 6 and 13. It ends at `d`
#   coordinates and 2 `d` + 1 points, and never exceeds them.
#
# Return a dictionary with three numbers: `"rate"` (as a part of the peak rate), `"coordinates"` and
# `"points"`.


# %% question 08.2 kind=function name=stage points=4 minutes=15 tolerance=1e-9
def stage(t, steps, warmup, d):
    ### BEGIN SOLUTION
    rate = min((t + 1) / warmup, 1.0) * (1 - t / steps)
    grown = t // 2000
    return {"rate": rate, "coordinates": min(5 + grown, d), "points": min(11 + 2 * grown, 2 * d + 1)}
    ### END SOLUTION


# %% probes 08.2
def case_second_step(rng):
    """numbers under the keys "rate", "coordinates" and "points"; the rate is small and not zero"""
    return {"t": 1, "steps": 10000, "warmup": 20, "d": 20}


def case_half_way(rng):
    """the curriculum has grown four times"""
    return {"t": 9000, "steps": 18000, "warmup": 100, "d": 20}


def probe_warm_up(rng):
    """during the warm-up, both factors count"""
    return {"t": int(rng.integers(100, 900)), "steps": 60000, "warmup": 1000, "d": 20}


def probe_new_stage(rng):
    """the first step of a new stage of the curriculum"""
    return {"t": 2000 * int(rng.integers(2, 12)), "steps": 50000, "warmup": 20, "d": 20}


def probe_grown(rng):
    """late in the training, the prompt is whole"""
    return {"t": int(rng.integers(70001, 90000)), "steps": 100000, "warmup": 20, "d": 20}


def probe_few_dimensions(rng):
    """fewer dimensions than the curriculum begins with"""
    return {"t": int(rng.integers(100, 1900)), "steps": 3000, "warmup": 20, "d": int(rng.integers(2, 4))}


# %% wrong 08.2 loses=probe_warm_up: begins the warm-up at a rate of zero
def stage(t, steps, warmup, d):
    grown = t // 2000
    rate = min(t / warmup, 1) * (1 - t / steps)
    return {"rate": rate, "coordinates": min(5 + grown, d), "points": min(11 + 2 * grown, 2 * d + 1)}


# %% wrong 08.2 loses=probe_grown,probe_few_dimensions: lets the curriculum grow beyond the prompt
def stage(t, steps, warmup, d):
    grown = t // 2000
    rate = min((t + 1) / warmup, 1) * (1 - t / steps)
    return {"rate": rate, "coordinates": 5 + grown, "points": 11 + 2 * grown}


# %% wrong 08.2 loses=probe_warm_up,probe_new_stage,probe_grown,probe_few_dimensions: decays after the warm-up only
def stage(t, steps, warmup, d):
    grown = t // 2000
    rate = (t + 1) / warmup if t < warmup else (steps - t) / (steps - warmup)
    return {"rate": rate, "coordinates": min(5 + grown, d), "points": min(11 + 2 * grown, 2 * d + 1)}


# %% wrong 08.2 loses=probe_warm_up: grows by parts of a coordinate
def stage(t, steps, warmup, d):
    grown = t / 2000
    rate = min((t + 1) / warmup, 1) * (1 - t / steps)
    return {"rate": rate, "coordinates": min(5 + grown, d), "points": min(11 + 2 * grown, 2 * d + 1)}


# %% wrong 08.2 loses=probe_new_stage: begins every stage one step late
def stage(t, steps, warmup, d):
    grown = max(t - 1, 0) // 2000
    rate = min((t + 1) / warmup, 1) * (1 - t / steps)
    return {"rate": rate, "coordinates": min(5 + grown, d), "points": min(11 + 2 * grown, 2 * d + 1)}


# %% [markdown]
# ## 08.3 A prompt as tokens (implement, 20 minutes, 4 points)
#
# One prompt: `xs` of shape (points, d), `ys` of shape (points,). Return its tokens.
#
# - `kind="pair"`: an array of shape (points, 2 d + 1). Token $i$ is $[x_i,\ y_{i-1},\ x_{i-1}]$; what does
#   not exist before the first point is zero.
# - `kind="interleaved"`: an array of shape (2 points, d). The tokens are $x_0$, $[y_0, 0, \dots, 0]$, $x_1$,
#   $[y_1, 0, \dots, 0]$, and so on.


# %% question 08.3 kind=function name=tokens points=4 minutes=20 tolerance=1e-9
def tokens(xs, ys, kind):
    ### BEGIN SOLUTION
    points, d = xs.shape
    if kind == "pair":
        made = np.zeros((points, 2 * d + 1))
        made[:, :d] = xs
        made[1:, d] = ys[:-1]
        made[1:, d + 1 :] = xs[:-1]
    else:
        made = np.zeros((2 * points, d))
        made[0::2] = xs
        made[1::2, 0] = ys
    return made
    ### END SOLUTION


# %% probes 08.3
def _prompt(rng, points, d, kind):
    return {"xs": rng.normal(size=(points, d)), "ys": rng.normal(size=points), "kind": kind}


def case_two_pairs(rng):
    """shape (2, 5); the first token holds one input and zeros"""
    return {"xs": np.array([[1.0, 2.0], [3.0, 4.0]]), "ys": np.array([5.0, 6.0]), "kind": "pair"}


def case_interleaved(rng):
    """shape (8, 3); every second token holds an output in its first place"""
    return _prompt(rng, 4, 3, "interleaved")


def probe_pair(rng):
    """one token a point: its input, then the output and the input before it"""
    return _prompt(rng, 7, 4, "pair")


def probe_pair_one_point(rng):
    """a prompt of one point has nothing before it"""
    return _prompt(rng, 1, 5, "pair")


def probe_interleaved(rng):
    """two tokens a point, in turn; an output stands in the first place of its token"""
    return _prompt(rng, 6, 5, "interleaved")


def probe_interleaved_one_coordinate(rng):
    """inputs and outputs in turn, for one coordinate"""
    return _prompt(rng, 5, 1, "interleaved")


# %% wrong 08.3 loses=probe_pair,probe_pair_one_point: gives the answer away in its own token
def tokens(xs, ys, kind):
    points, d = xs.shape
    if kind == "pair":
        before = np.concatenate([np.zeros((1, d)), xs[:-1]])
        return np.concatenate([xs, ys[:, None], before], axis=1)
    return np.stack([xs, np.pad(ys[:, None], ((0, 0), (0, d - 1)))], axis=1).reshape(2 * points, d)


# %% wrong 08.3 loses=probe_pair: puts the old input before the old output
def tokens(xs, ys, kind):
    points, d = xs.shape
    if kind == "pair":
        before = np.concatenate([xs, ys[:, None]], axis=1)[:-1]
        return np.concatenate([xs, np.concatenate([np.zeros((1, d + 1)), before])], axis=1)
    return np.stack([xs, np.pad(ys[:, None], ((0, 0), (0, d - 1)))], axis=1).reshape(2 * points, d)


# %% wrong 08.3 loses=probe_pair,probe_pair_one_point: lets the last point stand before the first
def tokens(xs, ys, kind):
    points, d = xs.shape
    if kind == "pair":
        return np.concatenate([xs, np.roll(ys, 1)[:, None], np.roll(xs, 1, axis=0)], axis=1)
    return np.stack([xs, np.pad(ys[:, None], ((0, 0), (0, d - 1)))], axis=1).reshape(2 * points, d)


# %% wrong 08.3 loses=probe_interleaved,probe_interleaved_one_coordinate: all inputs first, then all outputs
def tokens(xs, ys, kind):
    d = xs.shape[1]
    if kind == "pair":
        before = np.concatenate([ys[:, None], xs], axis=1)[:-1]
        return np.concatenate([xs, np.concatenate([np.zeros((1, d + 1)), before])], axis=1)
    return np.concatenate([xs, np.pad(ys[:, None], ((0, 0), (0, d - 1)))])


# %% wrong 08.3 loses=probe_interleaved: fills the whole token with the output
def tokens(xs, ys, kind):
    points, d = xs.shape
    if kind == "pair":
        before = np.concatenate([ys[:, None], xs], axis=1)[:-1]
        return np.concatenate([xs, np.concatenate([np.zeros((1, d + 1)), before])], axis=1)
    return np.stack([xs, np.repeat(ys[:, None], d, axis=1)], axis=1).reshape(2 * points, d)


# %% [markdown]
# ## 08.4 A gradient made even (implement, 20 minutes, 3 points)
#
# Muon replaces the singular values of a gradient by numbers near 1, and computes none of them. Divide the
# matrix `G` by its Frobenius norm, the root of the sum of its squared entries, and then repeat `rounds` times
#
# $$X \leftarrow a X + b\,(X X^\top) X + c\,(X X^\top)^2 X.$$
#
# `coefficients` is the list $[a, b, c]$. Return the last $X$, of the shape of `G`. `G` may be wide or tall,
# and it is not zero, but it may be small: late gradients are. (A look at `np.linalg.svd` before and after is
# worth the time.)


# %% question 08.4 kind=function name=evened points=3 minutes=20 tolerance=1e-6
def evened(G, rounds, coefficients):
    ### BEGIN SOLUTION
    a, b, c = coefficients
    X = G / np.sqrt((G**2).sum())
    for _ in range(int(rounds)):
        gram = X @ X.T
        X = a * X + (b * gram + c * gram @ gram) @ X
    return X
    ### END SOLUTION


# %% probes 08.4
def _gradient(rng, rows, columns, size, rounds):
    G = rng.normal(size=(rows, 3)) @ rng.normal(size=(3, columns)) + 0.1 * rng.normal(size=(rows, columns))
    return {"G": size * G, "rounds": rounds, "coefficients": [3.4445, -4.775, 2.0315]}


def case_two_directions(rng):
    """two directions of different strength come closer to each other"""
    return {"G": np.array([[1.0, 0.0, 0.0], [0.0, 4.0, 0.0]]), "rounds": 1, "coefficients": [3.4445, -4.775, 2.0315]}


def case_other_coefficients(rng):
    """the coefficients are those that are given, and the shape is that of G"""
    return _gradient(rng, 5, 3, 1.0, 3) | {"coefficients": [1.5, -0.5, 0.0]}


def probe_wide(rng):
    """more columns than rows"""
    return _gradient(rng, 4, 9, 1.0, 5)


def probe_tall(rng):
    """more rows than columns, one round less"""
    return _gradient(rng, 10, 5, 1.0, 4)


def probe_small(rng):
    """a gradient far below 1 has directions as well"""
    return _gradient(rng, 6, 6, 1e-9, 5)


# %% wrong 08.4 loses=probe_wide,probe_tall,probe_small: forgets to divide by the norm
def evened(G, rounds, coefficients):
    a, b, c = coefficients
    X = G
    for _ in range(rounds):
        A = X @ X.T
        X = a * X + b * A @ X + c * A @ A @ X
    return X


# %% wrong 08.4 loses=probe_wide,probe_tall,probe_small: divides by the largest singular value
def evened(G, rounds, coefficients):
    a, b, c = coefficients
    X = G / np.linalg.norm(G, 2)
    for _ in range(rounds):
        A = X @ X.T
        X = a * X + b * A @ X + c * A @ A @ X
    return X


# %% wrong 08.4 loses=probe_wide,probe_tall,probe_small: exact singular vectors instead of the rounds
def evened(G, rounds, coefficients):
    U, _, Vt = np.linalg.svd(G, full_matrices=False)
    return U @ Vt


# %% wrong 08.4 loses=probe_small: guards against zero with a number that is not small beside G
def evened(G, rounds, coefficients):
    a, b, c = coefficients
    X = G / (np.linalg.norm(G) + 1e-8)
    for _ in range(rounds):
        A = X @ X.T
        X = a * X + b * A @ X + c * A @ A @ X
    return X


# %% wrong 08.4 loses=probe_wide,probe_tall,probe_small: squares entries where it should square the matrix
def evened(G, rounds, coefficients):
    a, b, c = coefficients
    X = G / np.linalg.norm(G)
    for _ in range(rounds):
        A = X @ X.T
        X = a * X + b * A @ X + c * A**2 @ X
    return X


# %% [markdown]
# ## 08.5 One training is no training (investigate, 60 minutes, 2 points, marked by hand)
#
# Behind each curve of the chapter's section "What moves the plateau" stands one training. Choose one of its
# comparisons, such as Muon against AdamW or the two starts, and repeat it with at least three seeds on each
# side:
#
# ```python
# from dataclasses import replace
# from icl_lab import recipes
# from icl_lab.training import train
#
# recipe = replace(recipes.get("dense_d5"), steps=400, seed=1)  # optimizer="adamw" or init_std=0.02 change it
# losses = train(recipe, device="cpu", progress=False).losses  # ten seconds of one core, or so
# ```
#
# Say beforehand what you expect and which single number will decide. Report every training. Does the
# difference between the sides exceed that between the seeds? Say what the result does not show. Five to ten
# sentences with your numbers; the code may stand in cells of its own.

# %% question 08.5 kind=text name=report_5 points=2 minutes=60
report_5 = """
### BEGIN SOLUTION
Expected: GPT-2's small start delays the fall with every seed, since each factor's gradient is the product of small
others. Decided by the first step after which the mean of 20 losses stays below .9, chosen before the runs. Measured
with seeds 1, 2 and 3 on each side: see the six numbers above; the sides are compared seed by seed, for a seed draws
the same prompts on both. Not shown: the cause, other sizes and dimensions, other learning rates, the end of a long
training; and three seeds bound a range loosely.
### END SOLUTION
"""

# %% rubric 08.5
# Half a point: an expectation, and one number that decides, both said before the runs.
# 1 point: three seeds or more on each side, every training reported, the difference compared with the spread.
# Half a point: what is not shown (few seeds, one size, one rate each, equal steps are not equal time, no cause).
