# %% [markdown]
# # Exercises to chapter 7: function classes
#
# Five questions, about an hour and a half, 15 points. They need [chapter
# 7](https://github.com/icl-measured/icl-measured/blob/main/chapters/07_function_classes.ipynb), numpy and a
# little linear algebra, and no trained model but in the last one.
#
# Work in the cells with `# your code` or `# your answer`. Keep the names that are given: the grader looks for
# names, not for cells, and calls your functions with inputs that you do not see. `check("07.2",
# learning_curve)` tries a function on some cases at once, and says what is wrong with it, but not the answer.
# Passing `check` is not the grade.

# %%
import numpy as np

# %% [markdown]
# ## 07.1 What least squares cannot notice (understand, 5 minutes, 1 point and 1 for the reason)
#
# A linear function of 20 coordinates, inputs standard normal, no noise. Only 2 of its 20 coefficients differ
# from zero; $\mathbb{E} f(x)^2 = 1$. Minimum-norm least squares sees $k = 10$ examples. Its expected squared
# error at the query is
#
# - **a**: well below one half, because only two coefficients are unknown;
# - **b**: one half, as on functions with 20 non-zero coefficients;
# - **c**: above one half, because it spreads the weight over coordinates that do not count;
# - **d**: zero, because ten examples are more than two unknowns.

# %% question 07.1 kind=choice name=answer_1 points=1 minutes=5 choices=a,b,c,d reason=1
answer_1 = (
    ### BEGIN SOLUTION
    "b"
    ### END SOLUTION
)
reason_1 = """ """  # two or three sentences

# %% rubric 07.1
# 1 point: the estimate is the projection of w onto the span of the inputs, and what is missing is the part of w outside
# it; inputs look in all directions alike, so that part holds (d - k)/d of |w|^2, wherever the zeros of w are.
# Half a point for the formula 1 - k/d without the argument.

# %% wrong 07.1 loses=value: counts unknowns against equations
answer_1 = "d"

# %% wrong 07.1 loses=value: hopes that zeros are noticed
answer_1 = "a"

# %% wrong 07.1 loses=value: a capital letter is another answer
answer_1 = "B"

# %% [markdown]
# ## 07.2 The learning curve (compute, 10 minutes, 3 points)
#
# `yhat` and `f` are arrays of shape (prompts, positions): predictions, and the true values without noise.
# Return the learning curve, an array of shape (positions,): the mean squared error over prompts divided by
# `second_moment`, which is $\mathbb{E} f(x)^2$ of the function class.


# %% question 07.2 kind=function name=learning_curve points=3 minutes=10 tolerance=1e-9
def learning_curve(yhat, f, second_moment):
    ### BEGIN SOLUTION
    return ((np.asarray(yhat) - np.asarray(f)) ** 2).mean(axis=0) / second_moment
    ### END SOLUTION


# %% probes 07.2
def _batch(rng, prompts, positions, second_moment):
    f = rng.normal(size=(prompts, positions)) * second_moment**0.5
    return {"yhat": f + rng.normal(size=f.shape), "f": f, "second_moment": second_moment}


def case_two_prompts(rng):
    """one number for every position, the mean of two squared errors"""
    return {"yhat": np.array([[1.0, 2.0], [3.0, 4.0]]), "f": np.array([[1.0, 0.0], [0.0, 4.0]]), "second_moment": 1.0}


def case_many(rng):
    """shape (7,), divided by the second moment"""
    return _batch(rng, 5, 7, 4.0)


def probe_usual(rng):
    """one number for every position"""
    return _batch(rng, 40, 11, 1.0)


def probe_scale(rng):
    """divided by the second moment of the class, which is not 1 here"""
    return _batch(rng, 30, 6, float(rng.uniform(2, 9)))


def probe_one_prompt(rng):
    """a batch of one prompt has a learning curve too"""
    return _batch(rng, 1, 8, 2.0)


# %% wrong 07.2 loses=probe_scale,probe_one_prompt: forgets the second moment
def learning_curve(yhat, f, second_moment):
    return ((yhat - f) ** 2).mean(axis=0)


# %% wrong 07.2 loses=probe_usual,probe_scale,probe_one_prompt: means over positions instead of prompts
def learning_curve(yhat, f, second_moment):
    return ((yhat - f) ** 2).mean(axis=1) / second_moment


# %% wrong 07.2 loses=probe_usual,probe_scale,probe_one_prompt: absolute instead of squared errors
def learning_curve(yhat, f, second_moment):
    return np.abs(yhat - f).mean(axis=0) / second_moment


# %% wrong 07.2 loses=probe_usual,probe_scale,probe_one_prompt: divides by the second moment of this batch
def learning_curve(yhat, f, second_moment):
    return ((yhat - f) ** 2).mean(axis=0) / (f**2).mean(axis=0)


# %% [markdown]
# ## 07.3 Least squares on every prefix (implement, 25 minutes, 4 points)
#
# `xs` has shape (points, d), `ys` shape (points,). Return an array of shape (points,): entry $k$ is the
# prediction of $y_k$ at $x_k$ by least squares from the first $k$ examples and no others. Where they do not
# determine the function, take the solution of the smallest norm; without examples it predicts 0.


# %% question 07.3 kind=function name=prefix_least_squares points=4 minutes=25 tolerance=1e-6
def prefix_least_squares(xs, ys):
    ### BEGIN SOLUTION
    xs, ys = np.asarray(xs, dtype=float), np.asarray(ys, dtype=float)
    predictions = np.zeros(len(xs))
    for k in range(1, len(xs)):
        w, *_ = np.linalg.lstsq(xs[:k], ys[:k], rcond=None)
        predictions[k] = xs[k] @ w
    return predictions
    ### END SOLUTION


# %% probes 07.3
def _prompt(rng, points, d, noise=0.0):
    xs = rng.normal(size=(points, d))
    return {"xs": xs, "ys": xs @ rng.normal(size=d) + noise * rng.normal(size=points)}


def case_one_coordinate(rng):
    """from the second point on the function is known"""
    return {"xs": np.array([[1.0], [2.0], [3.0]]), "ys": np.array([2.0, 4.0, 6.0])}


def case_few_examples(rng):
    """fewer examples than coordinates: the solution of the smallest norm"""
    return _prompt(rng, 4, 6)


def probe_wide(rng):
    """fewer examples than coordinates: the solution of the smallest norm"""
    return _prompt(rng, 5, 12)


def probe_tall(rng):
    """more examples than coordinates, with noise: least squares, not interpolation"""
    return _prompt(rng, 14, 4, noise=0.3)


def probe_repeated(rng):
    """an input that is repeated adds nothing, and breaks nothing"""
    inputs = _prompt(rng, 9, 3)
    inputs["xs"][4], inputs["ys"][4] = inputs["xs"][1], inputs["ys"][1]
    inputs["xs"][2], inputs["ys"][2] = inputs["xs"][1], inputs["ys"][1]
    return inputs


def probe_two_points(rng):
    """a prompt of two points has one example, and a query that no example determines"""
    return _prompt(rng, 2, 5)


# %% wrong 07.3 loses=probe_wide,probe_tall,probe_repeated,probe_two_points: fits all points, the query among them
def prefix_least_squares(xs, ys):
    w, *_ = np.linalg.lstsq(xs, ys, rcond=None)
    return np.concatenate([[0.0], xs[1:] @ w])


# %% wrong 07.3 loses=probe_wide,probe_tall,probe_repeated,probe_two_points: uses one example too many
def prefix_least_squares(xs, ys):
    out = np.zeros(len(xs))
    for k in range(1, len(xs)):
        w, *_ = np.linalg.lstsq(xs[: k + 1], ys[: k + 1], rcond=None)
        out[k] = xs[k] @ w
    return out


# %% wrong 07.3 loses=probe_wide,probe_tall,probe_repeated,probe_two_points: ridge instead of least squares
def prefix_least_squares(xs, ys):
    out = np.zeros(len(xs))
    for k in range(1, len(xs)):
        A = xs[:k].T @ xs[:k] + 0.1 * np.eye(xs.shape[1])
        out[k] = xs[k] @ np.linalg.solve(A, xs[:k].T @ ys[:k])
    return out


# %% wrong 07.3 loses=probe_wide,probe_tall,probe_repeated,probe_two_points: normal equations, or 0
def prefix_least_squares(xs, ys):
    out = np.zeros(len(xs))
    for k in range(1, len(xs)):
        A = xs[:k].T @ xs[:k]
        if np.linalg.matrix_rank(A) < xs.shape[1]:
            continue
        out[k] = xs[k] @ np.linalg.solve(A, xs[:k].T @ ys[:k])
    return out


# %% [markdown]
# ## 07.4 How patient must one be? (experiment, 15 minutes, 2 points)
#
# *Averaging* predicts $\hat y_k = x_k \cdot \hat w$ with $\hat w = \frac{1}{k + d + 1} \sum_{i<k} y_i x_i$, the
# best multiple of the sum for standard normal inputs. At $d = 20$ without noise: from how many examples on is
# its expected error (over $\mathbb{E} f(x)^2$) below 0.3? Find the number by an experiment or by thought; it is
# right within 5 %.

# %% question 07.4 kind=number name=k_for_averaging points=2 minutes=15 tolerance=0.05
k_for_averaging = (
    ### BEGIN SOLUTION
    49  # (d + 1)/(k + d + 1) < .3
    ### END SOLUTION
)

# %% wrong 07.4 loses=value: the number of examples that least squares needs
k_for_averaging = 14

# %% wrong 07.4 loses=value: takes 1/k for the error
k_for_averaging = 1 / 0.3

# %% wrong 07.4 loses=value: reads d/k
k_for_averaging = 20 / 0.3

# %% [markdown]
# ## 07.5 Outside the training (investigate, 40 minutes, 4 points, marked by hand)
#
# `checkpoints.load("tiny/dense_d5")` of `icl_lab` is a transformer that was trained on dense functions with
# standard normal inputs. Choose one way in which the prompts can differ from those of its training, such as
# larger inputs, inputs on a line, or noise. Say what you predict and why, measure it beside least squares with
# at least 200 prompts, and say what your result does not show. Five to ten sentences with your numbers; the
# code may stand in cells of its own.

# %% question 07.5 kind=text name=report_5 points=4 minutes=40
report_5 = """
### BEGIN SOLUTION
Prediction: with all inputs times 3 the transformer gets worse, since it never saw such inputs, while least squares
stays what it is, for it knows no scale. Measured on 300 prompts at k = 10: see the numbers above. The result does not
show why the model fails, nor whether a model trained on a range of scales would.
### END SOLUTION
"""

# %% rubric 07.5
# 1 point: a prediction with a reason, written before the measurement.
# 1 point: a measurement beside least squares on the same prompts, 200 or more, with the scale of the error said.
# 1 point: an interval, or another statement of how sure the number is.
# 1 point: what the result does not show (one training, one size, one kind of change, no cause).
