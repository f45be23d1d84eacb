# %% [markdown]
# # Exercises to chapter 12: convex combinations
#
# Five questions, about an hour and forty minutes, 16 points. They need [chapter
# 12](https://github.com/icl-measured/icl-measured/blob/main/chapters/12_convex_combinations.ipynb), numpy and
# some linear algebra, and no trained model but in the last one.
#
# Work in the cells with `# your code` or `# your answer`. Keep the names that are given: the grader looks for
# names, not for cells, and calls your functions with inputs that you do not see. `check("12.2",
# combination_errors)` tries a function on some cases at once, and says what is wrong with it, but not the
# answer. Passing `check` is not the grade.

# %%
import numpy as np

# %% [markdown]
# ## 12.1 Two ends and the middle (understand, 5 minutes, 1 point and 1 for the reason)
#
# A learner predicts $\hat y = \sum_i c_i y_i$. Its coefficients $c_i$ depend on the inputs of examples and
# query and on nothing else. Its mean squared error is 0.2 on pure lines and 0.4 on pure sinusoids; both
# classes have mean zero and $\mathbb{E} f(x)^2 = 1$. There is no noise. Line and sinusoid of a combination
# are independent. At weight one half, its mean squared error over $\mathbb{E} f(x)^2$ of the combination is
#
# - **a**: 0.15;
# - **b**: 0.3;
# - **c**: 0.6;
# - **d**: not to be known from these numbers: it must be measured.

# %% question 12.1 kind=choice name=answer_1 points=1 minutes=5 choices=a,b,c,d reason=1
answer_1 = (
    ### BEGIN SOLUTION
    "b"
    ### END SOLUTION
)
reason_1 = """ """  # two or three sentences

# %% rubric 12.1
# 1 point: the prediction is linear in the outputs, so its miss is half the miss on the line plus half the miss on the
# sinusoid; they are independent with mean zero, so the squares add to (0.2 + 0.4)/4 = 0.15, and E f(x)^2 is 1/2.
# Half a point for 0.15/0.5 without saying why the misses add, or for the misses without the division.

# %% wrong 12.1 loses=value: forgets that the combination is smaller than its parts
answer_1 = "a"

# %% wrong 12.1 loses=value: adds the errors of the parts
answer_1 = "c"

# %% wrong 12.1 loses=value: thinks of a learner that selects
answer_1 = "d"

# %% [markdown]
# ## 12.2 What to divide by (compute, 10 minutes, 3 points)
#
# A sweep over weights: `weights` has shape (weights,), and each of its numbers is the weight $\alpha$ of the
# line in $f = \alpha f_\text{line} + (1 - \alpha) f_\text{sine}$. `yhat` and `f` have shape (weights,
# prompts): predictions at the query, and the true values. `line_moment` and `sine_moment` are $\mathbb{E}
# f(x)^2$ of the two classes, which are independent and have mean zero. Return a dictionary of two arrays of
# shape (weights,):
#
# - `"absolute"`: the mean squared error over prompts, divided by nothing;
# - `"relative"`: the same over $\mathbb{E} f(x)^2$ of the combination at that weight, an expectation and not
#   the mean of this batch.


# %% question 12.2 kind=function name=combination_errors points=3 minutes=10 tolerance=1e-9
def combination_errors(yhat, f, weights, line_moment, sine_moment):
    ### BEGIN SOLUTION
    a = np.asarray(weights)
    absolute = ((np.asarray(yhat) - np.asarray(f)) ** 2).mean(axis=1)
    moment = a**2 * line_moment + (1 - a) ** 2 * sine_moment
    return {"absolute": absolute, "relative": absolute / moment}
    ### END SOLUTION


# %% probes 12.2
def _sweep(rng, weights, prompts, line_moment, sine_moment):
    f = rng.normal(size=(len(weights), prompts))
    moments = {"line_moment": line_moment, "sine_moment": sine_moment}
    return {"yhat": f + rng.normal(size=f.shape), "f": f, "weights": np.array(weights), **moments}


def case_half(rng):
    """one absolute and one relative error: the combination is smaller than its parts"""
    moments = {"line_moment": 1.0, "sine_moment": 1.0}
    return {"yhat": np.array([[1.0, 2.0]]), "f": np.array([[1.0, 0.0]]), "weights": np.array([0.5]), **moments}


def case_unequal_parts(rng):
    """two arrays of shape (3,): the second moments of the parts differ"""
    return _sweep(rng, [0.2, 0.5, 0.8], 6, 3.0, 0.5)


def probe_equal_parts(rng):
    """two arrays of shape (9,), with parts of second moment 1"""
    return _sweep(rng, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], 30, 1.0, 1.0)


def probe_unequal_parts(rng):
    """the second moments of the parts differ, and the weight is the line's"""
    return _sweep(rng, [0.15, 0.35, 0.75, 0.95], 12, float(rng.uniform(4, 9)), float(rng.uniform(0.3, 0.9)))


def probe_ends(rng):
    """at both ends it is the second moment of one part"""
    return _sweep(rng, [0.0, 1.0], 8, float(rng.uniform(2, 4)), float(rng.uniform(5, 9)))


# %% wrong 12.2 loses=probe_equal_parts,probe_unequal_parts: a weighted mean of the moments, weights not squared
def combination_errors(yhat, f, weights, line_moment, sine_moment):
    absolute = ((yhat - f) ** 2).mean(axis=1)
    return {"absolute": absolute, "relative": absolute / (weights * line_moment + (1 - weights) * sine_moment)}


# %% wrong 12.2 loses=probe_unequal_parts,probe_ends: takes the weight for the sinusoid's
def combination_errors(yhat, f, weights, line_moment, sine_moment):
    absolute = ((yhat - f) ** 2).mean(axis=1)
    return {"absolute": absolute, "relative": absolute / (weights**2 * sine_moment + (1 - weights) ** 2 * line_moment)}


# %% wrong 12.2 loses=probe_equal_parts,probe_unequal_parts,probe_ends: divides by the mean of this batch
def combination_errors(yhat, f, weights, line_moment, sine_moment):
    absolute = ((yhat - f) ** 2).mean(axis=1)
    return {"absolute": absolute, "relative": absolute / (f**2).mean(axis=1)}


# %% wrong 12.2 loses=probe_equal_parts,probe_unequal_parts,probe_ends: sums over prompts
def combination_errors(yhat, f, weights, line_moment, sine_moment):
    absolute = ((yhat - f) ** 2).sum(axis=1)
    return {"absolute": absolute, "relative": absolute / (weights**2 * line_moment + (1 - weights) ** 2 * sine_moment)}


# %% [markdown]
# ## 12.3 One fit for every weight (implement, 15 minutes, 3 points)
#
# Who knows the frequency $\omega$ needs no weight: every combination of a line and a sinusoid of this
# frequency is a sum of $1$, $x$, $\sin \omega x$ and $\cos \omega x$ with some coefficients. `xs` and `ys`
# have shape (examples,), at least one example; `queries` has shape (queries,); `w` is $\omega$. Return the
# predictions at the queries, shape (queries,), by least squares on these four features. Where the examples do
# not determine the four coefficients, take those of the smallest norm.


# %% question 12.3 kind=function name=fit_combination points=3 minutes=15 tolerance=1e-6
def fit_combination(xs, ys, queries, w):
    ### BEGIN SOLUTION
    def features(x):
        return np.stack([np.ones_like(x), x, np.sin(w * x), np.cos(w * x)], axis=1)

    coefficients, *_ = np.linalg.lstsq(features(np.asarray(xs, dtype=float)), ys, rcond=None)
    return features(np.asarray(queries, dtype=float)) @ coefficients
    ### END SOLUTION


# %% probes 12.3
def _examples(rng, examples, w, noise=0.0, queries=6):
    x = rng.uniform(-5, 5, size=examples + queries)
    a, b, s, c = rng.choice([-1, 1], size=4) * rng.uniform(0.5, 1.5, size=4)
    y = a * x / 3 + b + s * np.sin(w * x) + c * np.cos(w * x) + noise * rng.normal(size=len(x))
    return {"xs": x[:examples], "ys": y[:examples], "queries": x[examples:], "w": w}


def case_a_line(rng):
    """on a line without a sinusoid the predictions lie on the line"""
    x = np.array([-2.0, -1.0, 0.0, 1.5, 3.0])
    return {"xs": x, "ys": 2 * x - 1, "queries": np.array([0.5, 4.0]), "w": 1.0}


def case_few(rng):
    """two examples: the coefficients of the smallest norm"""
    return _examples(rng, 2, 0.9)


def probe_combination(rng):
    """enough examples without noise: the predictions lie on the function"""
    return _examples(rng, 12, float(rng.uniform(0.8, 1.6)))


def probe_noise(rng):
    """more examples than features, with noise: least squares on all four"""
    return _examples(rng, 15, float(rng.uniform(0.8, 1.6)), noise=0.4)


def probe_few(rng):
    """fewer examples than features: the coefficients of the smallest norm"""
    return _examples(rng, 3, float(rng.uniform(0.8, 1.6)))


def probe_frequency_zero(rng):
    """a frequency of zero, where features coincide: predictions are finite, and by least squares"""
    return _examples(rng, 8, 0.0, noise=0.4)


# %% wrong 12.3 loses=probe_combination,probe_noise,probe_few: no constant
def fit_combination(xs, ys, queries, w):
    def features(x):
        return np.stack([x, np.sin(w * x), np.cos(w * x)], axis=1)

    return features(queries) @ np.linalg.lstsq(features(xs), ys, rcond=None)[0]


# %% wrong 12.3 loses=probe_combination,probe_noise,probe_few: a sine without a phase
def fit_combination(xs, ys, queries, w):
    def features(x):
        return np.stack([np.ones_like(x), x, np.sin(w * x)], axis=1)

    return features(queries) @ np.linalg.lstsq(features(xs), ys, rcond=None)[0]


# %% wrong 12.3 loses=probe_few,probe_frequency_zero: normal equations, which have no single solution there
def fit_combination(xs, ys, queries, w):
    def features(x):
        return np.stack([np.ones_like(x), x, np.sin(w * x), np.cos(w * x)], axis=1)

    A = features(xs)
    if np.linalg.matrix_rank(A) < 4:
        raise ValueError("singular")
    return features(queries) @ np.linalg.solve(A.T @ A, A.T @ ys)


# %% wrong 12.3 loses=probe_combination,probe_noise,probe_few,probe_frequency_zero: ridge
def fit_combination(xs, ys, queries, w):
    def features(x):
        return np.stack([np.ones_like(x), x, np.sin(w * x), np.cos(w * x)], axis=1)

    A = features(xs)
    return features(queries) @ np.linalg.solve(A.T @ A + 0.1 * np.eye(4), A.T @ ys)


# %% wrong 12.3 loses=probe_combination,probe_noise,probe_few,probe_frequency_zero: fits line and sinusoid one by one
def fit_combination(xs, ys, queries, w):
    line, sine = (lambda x: np.stack([np.ones_like(x), x], 1)), (lambda x: np.stack([np.sin(w * x), np.cos(w * x)], 1))
    fits = [f(queries) @ np.linalg.lstsq(f(xs), ys, rcond=None)[0] for f in (line, sine)]
    return (fits[0] + fits[1]) / 2


# %% [markdown]
# ## 12.4 The learner that selects (implement, 30 minutes, 4 points)
#
# Exact Bayes for a mixture of normal classes. Class $c$ has mean zero and the covariance `K[c]`, of shape (k
# + 1, k + 1): its first $k$ rows and columns belong to the examples, the last ones to the query. `ys` has
# shape (k,): the outputs of the examples, with independent normal noise of standard deviation `noise`.
# `prior` has shape (classes,), positive numbers that sum to 1. With $S_c$ the covariance of the noisy outputs
# of class $c$ and $\kappa_c$ the covariances of its query with the examples,
#
# $$\log p(y \mid c) = -\tfrac12\, y^\top S_c^{-1} y - \tfrac12 \log\det S_c + \text{const}, \qquad
# \hat y_c = \kappa_c^\top S_c^{-1} y .$$
#
# Return a dictionary: `"posterior"`, the probabilities of the classes given the examples, shape (classes,);
# and `"prediction"`, a number, the posterior mean at the query (of $f$; noise has mean zero). Without
# examples, $k = 0$, the posterior is the prior. With many examples $p(y \mid c)$ is often too small for a
# floating-point number in *all* classes: the answer must still be right.
#
# Then try it yourself with the covariances of a line and of a sinusoid, and outputs that are half of each:
# see what it makes of them.


# %% question 12.4 kind=function name=mixture_bayes points=4 minutes=30 tolerance=1e-6
def mixture_bayes(K, ys, prior, noise):
    ### BEGIN SOLUTION
    K, ys = np.asarray(K, dtype=float), np.asarray(ys, dtype=float)
    k = len(ys)
    score, answers = np.log(prior), np.zeros(len(K))
    for c, cov in enumerate(K):
        S = cov[:k, :k] + noise**2 * np.eye(k)
        fitted = np.linalg.solve(S, ys)
        score[c] += -0.5 * ys @ fitted - 0.5 * np.linalg.slogdet(S)[1]
        answers[c] = cov[k, :k] @ fitted
    p = np.exp(score - score.max())
    p /= p.sum()
    return {"posterior": p, "prediction": p @ answers}
    ### END SOLUTION


# %% probes 12.4
def _covariances(x, w):
    apart = x[:, None] - x[None, :]
    return np.stack([(x[:, None] * x[None, :] / 8 + 1) / 2, np.cos(w * apart)])


def case_no_examples(rng):
    """probabilities of shape (2,), and one number"""
    return {"K": np.ones((2, 1, 1)), "ys": np.zeros(0), "prior": np.array([0.3, 0.7]), "noise": 0.5}


def case_two_classes(rng):
    """probabilities of shape (2,) that sum to 1, and one number"""
    x = np.array([-3.0, -1.0, 2.0, 4.0])
    return {"K": _covariances(x, 1.0), "ys": np.array([-1.0, 0.2, 0.5]), "prior": np.array([0.5, 0.5]), "noise": 0.4}


def probe_undecided(rng):
    """probabilities of shape (2,), neither of them 0 or 1, and one number"""
    x = np.concatenate([rng.uniform(-5, -2, 2), rng.uniform(2, 5, 2)])
    ys = 0.4 * rng.uniform(0.5, 1, 3)
    return {"K": _covariances(x, 1.3), "ys": ys, "prior": np.array([0.5, 0.5]), "noise": 0.6}


def probe_prior(rng):
    """three classes with a prior that is not even"""
    root = rng.normal(size=(3, 5, 3)) * np.array([0.5, 1.0, 2.0])[:, None, None]
    K = root @ root.transpose(0, 2, 1)
    return {"K": K, "ys": rng.normal(size=4), "prior": np.array([0.7, 0.2, 0.1]), "noise": 0.8}


def probe_no_examples(rng):
    """without examples the posterior is the prior"""
    p = float(rng.uniform(0.1, 0.4))
    return {"K": np.full((2, 1, 1), 2.0), "ys": np.zeros(0), "prior": np.array([p, 1 - p]), "noise": 0.3}


def probe_half_of_each(rng):
    """many examples that fit no class, where exp(log p) is 0 in all of them: finite, and the right one"""
    x = rng.uniform(-5, 5, 61)
    f = 0.5 * (x / 3 + 1) + 0.5 * (np.sin(x) + np.cos(x))
    return {"K": _covariances(x, 1.0), "ys": f[:60], "prior": np.array([0.5, 0.5]), "noise": 0.01}


# %% wrong 12.4 loses=probe_half_of_each: takes exp of every class, and divides 0 by 0
def mixture_bayes(K, ys, prior, noise):
    k, p, answers = len(ys), np.array(prior), np.zeros(len(K))
    for c in range(len(K)):
        S = K[c][:k, :k] + noise**2 * np.eye(k)
        p[c] *= np.exp(-0.5 * ys @ np.linalg.solve(S, ys) - 0.5 * np.linalg.slogdet(S)[1])
        answers[c] = K[c][k, :k] @ np.linalg.solve(S, ys)
    with np.errstate(invalid="ignore"):
        p = p / p.sum()
    return {"posterior": p, "prediction": p @ answers}


# %% wrong 12.4 loses=probe_prior,probe_no_examples: forgets the prior
def mixture_bayes(K, ys, prior, noise):
    k, score, answers = len(ys), np.zeros(len(K)), np.zeros(len(K))
    for c in range(len(K)):
        S = K[c][:k, :k] + noise**2 * np.eye(k)
        score[c] = -0.5 * ys @ np.linalg.solve(S, ys) - 0.5 * np.linalg.slogdet(S)[1]
        answers[c] = K[c][k, :k] @ np.linalg.solve(S, ys)
    p = np.exp(score - score.max())
    p = p / p.sum()
    return {"posterior": p, "prediction": p @ answers}


# %% wrong 12.4 loses=probe_undecided,probe_prior: compares the fit alone, without the determinant
def mixture_bayes(K, ys, prior, noise):
    k, score, answers = len(ys), np.log(prior), np.zeros(len(K))
    for c in range(len(K)):
        S = K[c][:k, :k] + noise**2 * np.eye(k)
        score[c] += -0.5 * ys @ np.linalg.solve(S, ys)
        answers[c] = K[c][k, :k] @ np.linalg.solve(S, ys)
    p = np.exp(score - score.max())
    p = p / p.sum()
    return {"posterior": p, "prediction": p @ answers}


# %% wrong 12.4 loses=probe_undecided,probe_prior,probe_no_examples: takes the likeliest class, no mean
def mixture_bayes(K, ys, prior, noise):
    k, score, answers = len(ys), np.log(prior), np.zeros(len(K))
    for c in range(len(K)):
        S = K[c][:k, :k] + noise**2 * np.eye(k)
        score[c] += -0.5 * ys @ np.linalg.solve(S, ys) - 0.5 * np.linalg.slogdet(S)[1]
        answers[c] = K[c][k, :k] @ np.linalg.solve(S, ys)
    p = (np.arange(len(K)) == score.argmax()).astype(float)
    return {"posterior": p, "prediction": p @ answers}


# %% wrong 12.4 loses=probe_undecided,probe_prior,probe_half_of_each: takes noise for a variance
def mixture_bayes(K, ys, prior, noise):
    k, score, answers = len(ys), np.log(prior), np.zeros(len(K))
    for c in range(len(K)):
        S = K[c][:k, :k] + noise * np.eye(k)
        score[c] += -0.5 * ys @ np.linalg.solve(S, ys) - 0.5 * np.linalg.slogdet(S)[1]
        answers[c] = K[c][k, :k] @ np.linalg.solve(S, ys)
    p = np.exp(score - score.max())
    p = p / p.sum()
    return {"posterior": p, "prediction": p @ answers}


# %% [markdown]
# ## 12.5 Another way to be in between (investigate, 40 minutes, 4 points, marked by hand)
#
# `checkpoints.load("small/line_sine")` of `icl_lab` was trained on lines and on sinusoids. A weighted sum is
# one way to be a bit of both. Choose another function made of parts that the model knows and that is in none
# of its classes: a line on the left and a sinusoid on the right, a product, two sinusoids, what you like. Say
# which error with 20 examples you predict, and for whom. Measure the model with at least 200 prompts, beside
# one other learner on the same prompts (`icl_lab.evaluation.predict_at` asks both), and beside the pure
# classes. Say what your result does not show. Five to ten sentences with your numbers; the code may stand in
# cells of its own.

# %% question 12.5 kind=text name=report_5 points=4 minutes=40
report_5 = """
### BEGIN SOLUTION
Function: the sum of two independent sinusoids of the training's law over sqrt(2), so E f(x)^2 is 1 and errors need no
division. Prediction: exact Bayes for the mixture fails, since neither class holds such a function and it must choose;
the model is worse than on one sinusoid, by a factor of a few, since it follows near examples. Measured on 300 prompts
with 20 examples: model 0.054 (90 % interval 0.031 to 0.084) against 0.36 (0.25 to 0.48) for exact Bayes on the same
prompts; the model has 0.015 (0.008 to 0.024) on one sinusoid and 0.0005 on a line. So both parts of the prediction
came true. It does not show that the model adds two sinusoids: twenty examples on an interval leave few gaps. It is
one training, and one number of examples; on wider gaps it may look different.
### END SOLUTION
"""

# %% rubric 12.5
# 1 point: a prediction with a reason, written before the measurement, and a function that is in neither class.
# 1 point: a measurement with 200 prompts or more beside another learner and the pure classes, and what the error is
# divided by: E f(x)^2 of the new function, or nothing, said in words.
# 1 point: an interval of the difference or ratio on the same prompts, or another statement of how sure the number is.
# 1 point: what the result does not show (one training, one number of examples, following near examples in one dimension
# is not composing).
