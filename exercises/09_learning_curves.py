# %% [markdown]
# # Exercises to chapter 9: learning curves
#
# Five questions, about two hours, 16 points. They need [chapter
# 9](https://github.com/icl-measured/icl-measured/blob/main/chapters/09_learning_curves.ipynb), numpy and a
# little linear algebra, and no trained model but in the last one.
#
# Work in the cells with `# your code` or `# your answer`. Keep the names that are given: the grader looks for
# names, not for cells, and calls your functions with inputs that you do not see. `check("09.2", neighbors)`
# tries a function on some cases at once, and says what is wrong with it, but not the answer. Passing `check`
# is not the grade.

# %%
import numpy as np

# %% [markdown]
# ## 09.1 How far apart can they be? (understand, 15 minutes, 2 points)
#
# On some class, at some $k$, three learners are measured, with errors over $\mathbb{E} f(x)^2$: the exact
# Bayes predictor has .25, learner $a$ has .26 and learner $b$ has .29. All three numbers are exact. What is
# the largest possible $\mathbb{E}(a - b)^2$ between the answers of $a$ and $b$, over $\mathbb{E} f(x)^2$? It
# is right within .002.

# %% question 09.1 kind=number name=largest_distance points=2 minutes=15 tolerance=0.002
largest_distance = (
    ### BEGIN SOLUTION
    0.09  # both lie around Bayes, at root mean square distances .1 and .2, at most on opposite sides
    ### END SOLUTION
)

# %% wrong 09.1 loses=value: adds squares, as if the two deviations had nothing to do with each other
largest_distance = 0.01 + 0.04

# %% wrong 09.1 loses=value: the difference of the errors
largest_distance = 0.03

# %% wrong 09.1 loses=value: measures both from the truth, and forgets that Bayes misses it too
largest_distance = (0.26**0.5 + 0.29**0.5) ** 2

# %% wrong 09.1 loses=value: adds distances, and forgets to square the sum
largest_distance = 0.1 + 0.2

# %% [markdown]
# ## 09.2 Nearest neighbors on every prefix (compute, 20 minutes, 3 points)
#
# `xs` has shape (points, d), `ys` shape (points,). Return an array of shape (points,): entry $k$ is the plain
# mean of the outputs of the `n` examples, among the first $k$, whose inputs are nearest to $x_k$ by Euclidean
# distance. While there are fewer than `n` examples take all that there are; without examples predict 0. An
# input may occur twice, with the same output then; there are no other ties.


# %% question 09.2 kind=function name=neighbors points=3 minutes=20 tolerance=1e-9
def neighbors(xs, ys, n):
    ### BEGIN SOLUTION
    predictions = np.zeros(len(xs))
    for k in range(1, len(xs)):
        distances = ((xs[:k] - xs[k]) ** 2).sum(axis=1)
        nearest = np.argsort(distances)[: int(n)]
        predictions[k] = ys[nearest].mean()
    return predictions
    ### END SOLUTION


# %% probes 09.2
def _prompt(rng, points, d, n):
    return {"xs": rng.normal(size=(points, d)), "ys": rng.normal(size=points), "n": n}


def case_on_a_line(rng):
    """one number for every point, the first without an example"""
    return {"xs": np.array([[0.0], [1.0], [5.0], [1.5]]), "ys": np.array([2.0, 4.0, 9.0, 7.0]), "n": 2}


def case_three_neighbors(rng):
    """shape (9,), from earlier points alone"""
    return _prompt(rng, 9, 4, 3)


def probe_usual(rng):
    """earlier points alone, and the right ones of them"""
    return _prompt(rng, 20, 3, 3)


def probe_few(rng):
    """fewer examples than neighbors: all that there are count alike"""
    return _prompt(rng, 5, 6, 7)


def probe_repeated(rng):
    """with one neighbor, an input that was an example is looked up"""
    inputs = _prompt(rng, 15, 2, 1)
    for values in (inputs["xs"], inputs["ys"]):
        values[[6, 11]] = values[[2, 9]]
    return inputs


# %% wrong 09.2 loses=probe_usual,probe_few,probe_repeated: counts the query among its neighbors
def neighbors(xs, ys, n):
    out = np.zeros(len(xs))
    for k in range(len(xs)):
        distances = np.linalg.norm(xs[: k + 1] - xs[k], axis=1)
        out[k] = ys[np.argsort(distances)[:n]].mean()
    return out


# %% wrong 09.2 loses=probe_usual,probe_few: divides by n while there are fewer examples
def neighbors(xs, ys, n):
    out = np.zeros(len(xs))
    for k in range(1, len(xs)):
        distances = np.linalg.norm(xs[:k] - xs[k], axis=1)
        out[k] = ys[np.argsort(distances)[:n]].sum() / n
    return out


# %% wrong 09.2 loses=probe_usual,probe_few: silent while there are fewer than n examples
def neighbors(xs, ys, n):
    out = np.zeros(len(xs))
    for k in range(n, len(xs)):
        distances = np.linalg.norm(xs[:k] - xs[k], axis=1)
        out[k] = ys[np.argsort(distances)[:n]].mean()
    return out


# %% wrong 09.2 loses=probe_usual,probe_few,probe_repeated: looks at later points
def neighbors(xs, ys, n):
    out = np.zeros(len(xs))
    for k in range(len(xs)):
        distances = np.linalg.norm(xs - xs[k], axis=1)
        distances[k] = np.inf
        out[k] = ys[np.argsort(distances)[:n]].mean()
    return out


# %% wrong 09.2 loses=probe_usual,probe_repeated: the largest inner products instead of the smallest distances
def neighbors(xs, ys, n):
    out = np.zeros(len(xs))
    for k in range(1, len(xs)):
        out[k] = ys[np.argsort(-(xs[:k] @ xs[k]))[:n]].mean()
    return out


# %% [markdown]
# ## 09.3 A difference with its interval (compute, 15 minutes, 3 points)
#
# Two learners were asked the same prompts: `first` and `second` are their squared errors, each of shape
# (prompts,). `draws` holds the bootstrap's resamples, shape (resamples, prompts): `draws[r, i]` says how
# often prompt $i$ was drawn in resample $r$, and every row sums to the number of prompts. Return three
# numbers: the mean of `first` minus `second`, and the two ends of its 90 % percentile interval (`np.quantile`
# at .05 and .95 as it stands), for the *paired* comparison.


# %% question 09.3 kind=function name=paired_interval points=3 minutes=15 tolerance=1e-9
def paired_interval(first, second, draws):
    ### BEGIN SOLUTION
    gaps = first - second
    means = draws @ gaps / len(gaps)
    return np.array([gaps.mean(), *np.quantile(means, [0.05, 0.95])])
    ### END SOLUTION


# %% probes 09.3
def _errors(rng, prompts, resamples, apart):
    hard = rng.exponential(size=prompts)  # what both owe to the prompt
    first, second = hard + 0.2 * rng.random(prompts) + apart, hard + 0.2 * rng.random(prompts)
    draws = rng.multinomial(prompts, np.full(prompts, 1 / prompts), size=resamples).astype(float)
    return {"first": first, "second": second, "draws": draws}


def case_two_prompts(rng):
    """three numbers: a mean, and two ends that lie between the differences of the two prompts"""
    draws = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    return {"first": np.array([3.0, 5.0]), "second": np.array([1.0, 4.0]), "draws": draws}


def case_usual(rng):
    """shape (3,); the mean lies between the ends"""
    return _errors(rng, 12, 30, 0.0)


def probe_usual(rng):
    """mean and ends of the difference, resampled together"""
    return _errors(rng, 40, 80, 0.3)


def probe_second_is_worse(rng):
    """a difference may be negative"""
    return _errors(rng, 25, 60, -0.7)


def probe_always_the_same(rng):
    """where the difference is the same for every prompt, it is known exactly"""
    inputs = _errors(rng, 30, 50, 0.0)
    return inputs | {"first": inputs["second"] + 0.25}


# %% wrong 09.3 loses=probe_usual,probe_second_is_worse,probe_always_the_same: resamples one without the other
def paired_interval(first, second, draws):
    means = (draws @ first - np.roll(draws, 1, axis=0) @ second) / len(first)
    return np.array([first.mean() - second.mean(), *np.quantile(means, [0.05, 0.95])])


# %% wrong 09.3 loses=probe_usual,probe_second_is_worse,probe_always_the_same: subtracts the ends of two intervals
def paired_interval(first, second, draws):
    one, two = (np.quantile(draws @ e / len(e), [0.05, 0.95]) for e in (first, second))
    return [first.mean() - second.mean(), one[0] - two[1], one[1] - two[0]]


# %% wrong 09.3 loses=probe_usual,probe_second_is_worse: where single prompts lie, not where the mean does
def paired_interval(first, second, draws):
    gaps = first - second
    return np.array([gaps.mean(), *np.quantile(gaps, [0.05, 0.95])])


# %% wrong 09.3 loses=probe_usual,probe_second_is_worse: 95 % instead of 90 %
def paired_interval(first, second, draws):
    gaps = first - second
    return np.array([gaps.mean(), *np.quantile(draws @ gaps / len(gaps), [0.025, 0.975])])


# %% wrong 09.3 loses=probe_usual,probe_second_is_worse,probe_always_the_same: the second minus the first
def paired_interval(first, second, draws):
    gaps = second - first
    return np.array([gaps.mean(), *np.quantile(draws @ gaps / len(gaps), [0.05, 0.95])])


# %% [markdown]
# ## 09.4 The best linear predictor, with its error (implement, 30 minutes, 4 points)
#
# The chapter's yardstick for networks and trees, written directly and for noisy outputs. For fixed inputs the
# values $f(x_0), \dots, f(x_{T-1})$ have mean zero and second moments `K`, shape (T, T). What is seen is
# `ys`, shape (T,): each $y_i$ is $f(x_i)$ plus noise of its own, of mean zero and variance `noise` (which may
# be 0).
#
# Of all predictions of $f(x_k)$ that are linear in $y_0, \dots, y_{k-1}$, take that of the smallest expected
# squared error. Return a dictionary: `"prediction"`, shape (T,), with entry $k$ from the first $k$ outputs
# alone; and `"error"`, shape (T,), with the expected squared distance of that prediction to $f(x_k)$, without
# noise and not divided by anything. Where a matrix has no inverse use `np.linalg.pinv(matrix, rcond=1e-9)`.


# %% question 09.4 kind=function name=best_linear points=4 minutes=30 tolerance=1e-6
def best_linear(K, ys, noise):
    ### BEGIN SOLUTION
    T = len(ys)
    prediction, error = np.zeros(T), np.zeros(T)
    for k in range(T):
        seen = K[:k, :k] + noise * np.eye(k)
        weights = np.linalg.pinv(seen, rcond=1e-9) @ K[:k, k]
        prediction[k] = weights @ ys[:k]
        error[k] = K[k, k] - weights @ K[:k, k]
    return {"prediction": prediction, "error": error}
    ### END SOLUTION


# %% probes 09.4
def _values(rng, T, features, noise):
    made = rng.normal(size=(T, features)) / features**0.5
    ys = made @ rng.normal(size=features) + noise**0.5 * rng.normal(size=T)
    return {"K": made @ made.T, "ys": ys, "noise": noise}


def case_two_values(rng):
    """the first value is unknown, the second is partly known from the first"""
    return {"K": np.array([[1.0, 0.5], [0.5, 1.0]]), "ys": np.array([2.0, -1.0]), "noise": 0.0}


def case_noise(rng):
    """two arrays of shape (6,); no error is above the value's own second moment"""
    return _values(rng, 6, 20, 0.5)


def probe_no_noise(rng):
    """without noise, from earlier values alone"""
    return _values(rng, 8, 20, 0.0)


def probe_noise(rng):
    """with noise on what is seen, and none on what is asked"""
    return _values(rng, 9, 12, float(rng.uniform(0.2, 1.0)))


def probe_known_after_three(rng):
    """few features and no noise: from some point on the values are known"""
    return _values(rng, 7, 3, 0.0)


def probe_one_value(rng):
    """a single value, about which nothing was seen"""
    return _values(rng, 1, 10, 0.3)


# %% wrong 09.4 loses=probe_noise: takes the noise for none
def best_linear(K, ys, noise):
    T = len(ys)
    prediction, error = np.zeros(T), np.zeros(T)
    for k in range(T):
        weights = np.linalg.pinv(K[:k, :k], rcond=1e-9) @ K[:k, k]
        prediction[k], error[k] = weights @ ys[:k], K[k, k] - weights @ K[:k, k]
    return {"prediction": prediction, "error": error}


# %% wrong 09.4 loses=probe_noise,probe_one_value: the error to the noisy output instead of the value
def best_linear(K, ys, noise):
    T = len(ys)
    prediction, error = np.zeros(T), np.zeros(T)
    for k in range(T):
        weights = np.linalg.pinv(K[:k, :k] + noise * np.eye(k), rcond=1e-9) @ K[:k, k]
        prediction[k], error[k] = weights @ ys[:k], K[k, k] + noise - weights @ K[:k, k]
    return {"prediction": prediction, "error": error}


# %% wrong 09.4 loses=probe_no_noise,probe_noise,probe_known_after_three,probe_one_value: smooths, with all outputs seen
def best_linear(K, ys, noise):
    weights = K @ np.linalg.pinv(K + noise * np.eye(len(ys)), rcond=1e-9)
    return {"prediction": weights @ ys, "error": np.diag(K - weights @ K)}


# %% wrong 09.4 loses=probe_no_noise,probe_noise,probe_known_after_three: a ridge that is not in the problem
def best_linear(K, ys, noise):
    T = len(ys)
    prediction, error = np.zeros(T), np.zeros(T)
    for k in range(T):
        weights = np.linalg.solve(K[:k, :k] + (noise + 0.01) * np.eye(k), K[:k, k])
        prediction[k], error[k] = weights @ ys[:k], K[k, k] - weights @ K[:k, k]
    return {"prediction": prediction, "error": error}


# %% wrong 09.4 loses=probe_no_noise,probe_noise,probe_known_after_three: treats earlier values as if unrelated
def best_linear(K, ys, noise):
    T = len(ys)
    prediction, error = np.zeros(T), np.zeros(T)
    for k in range(T):
        weights = K[:k, k] / (np.diag(K)[:k] + noise)
        prediction[k], error[k] = weights @ ys[:k], K[k, k] - weights @ K[:k, k]
    return {"prediction": prediction, "error": error}


# %% [markdown]
# ## 09.5 A law that the chapter did not test (investigate, 40 minutes, 4 points, marked by hand)
#
# Linear functions add up: $f(u + v) = f(u) + f(v)$. For given examples, does the answer of
# `checkpoints.load("small/dense")` do so in its query? Choose the size of $u$ and $v$ with care: which inputs
# has the model met? Predict the result for $k = 10$ and $k = 40$, with your reason; measure it with at least
# 200 prompts, beside a learner that must obey; say how large the violation is compared with something, and
# what your result does not show. Five to ten sentences with your numbers; the code may stand in cells of its
# own.

# %% question 09.5 kind=text name=report_5 points=4 minutes=40
report_5 = """
### BEGIN SOLUTION
Prediction: with ten examples the law is kept up to a small part of the error, because most of that error is
ignorance, which is the same for u, v and u + v; with forty the violation is of the size of the error that is left,
since what is left is the model's own imprecision. With u and v of standard deviation 1 over the root of 2 the sum is
an ordinary query, while u and v are somewhat short ones. Measured with 300 prompts: see the numbers above, with
intervals over prompts; least squares keeps the law up to rounding. The violation is given as a part of the model's
error on the sum. Not shown: other sizes of u and v, where the chapter's ray suggests worse; other trainings; where in
the model the law is lost.
### END SOLUTION
"""

# %% rubric 09.5
# 1 point: a prediction with a reason for both k, and a choice of sizes that keeps the three queries near the training's
# law, or says that it does not.
# 1 point: the same examples for the three queries, 200 prompts or more, and a linear learner that gives zero.
# 1 point: a violation with an interval, beside the error or the size of the answers.
# 1 point: what is not shown (one training, sizes that were not tried, no cause; a law kept is no function known).
