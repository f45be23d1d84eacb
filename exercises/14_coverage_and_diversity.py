# %% [markdown]
# # Exercises to chapter 14: coverage and diversity
#
# Five questions, about an hour and forty minutes, 16 points. They need [chapter
# 14](https://github.com/icl-measured/icl-measured/blob/main/chapters/14_coverage_and_diversity.ipynb), numpy
# and a little probability, and no trained model but in the last one.
#
# Work in the cells with `# your code` or `# your answer`. Keep the names that are given: the grader looks for
# names, not for cells, and calls your functions with inputs that you do not see. `check("14.2",
# seen_in_training)` tries a function on some cases at once, and says what is wrong with it, but not the
# answer. Passing `check` is not the grade.

# %%
import numpy as np

# %% [markdown]
# ## 14.1 Which of these cannot be? (understand, 5 minutes, 1 point and 1 for the reason)
#
# A model was pretrained on a pool of $M$ tasks. You measure mean squared errors of the model, of memory of
# that pool and of ridge, with the true noise in both, on a million prompts. Three of these findings are
# possible. Which one means that something is wrong with the measurement?
#
# - **a**: on new tasks the model has a smaller error than memory;
# - **b**: on the pool's tasks the model has a smaller error than memory;
# - **c**: on the pool's tasks the model has a larger error than ridge;
# - **d**: on the pool's tasks ridge and memory have nearly the same error.

# %% question 14.1 kind=choice name=answer_1 points=1 minutes=5 choices=a,b,c,d reason=1
answer_1 = (
    ### BEGIN SOLUTION
    "b"
    ### END SOLUTION
)
reason_1 = """ """  # two or three sentences

# %% rubric 14.1
# 1 point: memory is the posterior mean under the law of the pool's prompts, and no function of the prompt has a smaller
# expected squared error on that law; a million prompts leave no room for luck. The others are possible: a) new tasks
# have another law, c) a short training, d) a pool so large that it is as good as the normal law.
# Half a point for "memory is optimal on its pool" without saying in which sense, or without a word on the others.

# %% wrong 14.1 loses=value: thinks that the optimum of the training is the optimum everywhere
answer_1 = "a"

# %% wrong 14.1 loses=value: thinks that a model has learned its training
answer_1 = "c"

# %% wrong 14.1 loses=value: thinks that a list is always better than a law
answer_1 = "d"

# %% [markdown]
# ## 14.2 What a training has seen (compute, 15 minutes, 3 points)
#
# Both dials at once: every prompt of a training is, independently of all others, about a sinusoid with
# probability `share` (above 0, at most 1). Its sinusoid is then drawn from a fixed pool of `pool` different
# sinusoids, each as likely as any other. The training has `steps` steps of `batch_size` prompts. Return a
# dictionary of two numbers:
#
# - `"prompts"`: the expected number of prompts about sinusoids;
# - `"tasks"`: the expected number of *different* sinusoids that are seen at least once. It is exact: no
#   simulation, and no approximation for large pools.


# %% question 14.2 kind=function name=seen_in_training points=3 minutes=15 tolerance=1e-6
def seen_in_training(share, pool, steps, batch_size):
    ### BEGIN SOLUTION
    n = steps * batch_size
    missed = (1 - share / pool) ** n  # one given sinusoid, in all prompts
    return {"prompts": share * n, "tasks": pool * (1 - missed)}
    ### END SOLUTION


# %% probes 14.2
def case_two_prompts(rng):
    """two numbers; two prompts can be about the same sinusoid"""
    return {"share": 1.0, "pool": 2, "steps": 1, "batch_size": 2}


def case_half(rng):
    """two numbers, the second at most as large as the first"""
    return {"share": 0.5, "pool": 8, "steps": 4, "batch_size": 3}


def probe_usual(rng):
    """more prompts than sinusoids in the pool"""
    return {"share": float(rng.uniform(0.2, 0.6)), "pool": 20, "steps": 10, "batch_size": 8}


def probe_sinusoids_alone(rng):
    """every prompt is about a sinusoid"""
    return {"share": 1.0, "pool": int(rng.integers(8, 16)), "steps": 3, "batch_size": 4}


def probe_one_task(rng):
    """a pool of one: it is seen or it is not"""
    return {"share": float(rng.uniform(0.1, 0.3)), "pool": 1, "steps": 2, "batch_size": 2}


# %% wrong 14.2 loses=probe_usual,probe_one_task: puts the expected number of prompts into the exponent
def seen_in_training(share, pool, steps, batch_size):
    n = share * steps * batch_size
    return {"prompts": n, "tasks": pool * (1 - (1 - 1 / pool) ** n)}


# %% wrong 14.2 loses=probe_usual,probe_one_task: forgets the share
def seen_in_training(share, pool, steps, batch_size):
    n = steps * batch_size
    return {"prompts": share * n, "tasks": pool * (1 - (1 - 1 / pool) ** n)}


# %% wrong 14.2 loses=probe_usual,probe_sinusoids_alone,probe_one_task: no sinusoid comes twice before all have come
def seen_in_training(share, pool, steps, batch_size):
    n = share * steps * batch_size
    return {"prompts": n, "tasks": min(n, pool)}


# %% wrong 14.2 loses=probe_usual,probe_sinusoids_alone,probe_one_task: the approximation of a Poisson law
def seen_in_training(share, pool, steps, batch_size):
    n = share * steps * batch_size
    return {"prompts": n, "tasks": pool * (1 - np.exp(-n / pool))}


# %% wrong 14.2 loses=probe_usual,probe_sinusoids_alone,probe_one_task: counts steps for prompts
def seen_in_training(share, pool, steps, batch_size):
    return {"prompts": share * steps, "tasks": pool * (1 - (1 - share / pool) ** steps)}


# %% [markdown]
# ## 14.3 Memory (implement, 25 minutes, 4 points)
#
# `xs` has shape (points, d), `ys` shape (points,), `tasks` shape (M, d): the weight vectors of the pool, all
# equally likely. Outputs are $y = w \cdot x$ plus normal noise of standard deviation `noise`. Return an array
# of shape (points,): entry $k$ is the posterior mean of $w \cdot x_k$ over the pool, given the first $k$
# examples and no others. Without examples all tasks count alike. When no task of the pool fits, every
# likelihood may be too small for a floating-point number: the answer must still be right.


# %% question 14.3 kind=function name=memory_predictions points=4 minutes=25 tolerance=1e-6
def memory_predictions(xs, ys, tasks, noise):
    ### BEGIN SOLUTION
    answers = np.asarray(xs) @ np.asarray(tasks).T  # (points, M)
    squared = (np.asarray(ys)[:, None] - answers) ** 2
    before = np.cumsum(squared, axis=0) - squared  # of the examples before each point
    score = -before / (2 * noise**2)
    p = np.exp(score - score.max(axis=1, keepdims=True))
    return (p * answers).sum(axis=1) / p.sum(axis=1)
    ### END SOLUTION


# %% probes 14.3
def _prompt(rng, points, d, M, noise):
    xs, tasks = rng.normal(size=(points, d)), rng.normal(size=(M, d))
    return {"xs": xs, "ys": xs @ rng.normal(size=d) + noise * rng.normal(size=points), "tasks": tasks, "noise": noise}


def case_two_tasks(rng):
    """shape (3,); without examples both tasks count alike, then the examples tell them apart"""
    return {
        "xs": np.array([[1.0], [1.0], [2.0]]),
        "ys": np.array([1.0, 1.2, 2.0]),
        "tasks": np.array([[1.0], [-1.0]]),
        "noise": 1.0,
    }


def case_pool(rng):
    """shape (6,), the posterior mean over the pool on every prefix"""
    return _prompt(rng, 6, 2, 5, 0.5)


def probe_usual(rng):
    """a new task with noise: the posterior mean over the pool on every prefix"""
    return _prompt(rng, 8, 3, 20, 0.9)


def probe_no_task_fits(rng):
    """little noise and no task that fits: finite numbers, and the right ones"""
    xs = rng.choice([-1, 1], size=(14, 1)) * rng.uniform(1, 2, size=(14, 1))
    truth = float(rng.uniform(2.25, 2.35))
    return {"xs": xs, "ys": xs[:, 0] * truth, "tasks": np.arange(1.0, 7.0)[:, None], "noise": 0.02}


def probe_one_task(rng):
    """a pool of one task has one answer, whatever the examples say"""
    return _prompt(rng, 7, 4, 1, 0.5)


# %% wrong 14.3 loses=probe_no_task_fits: multiplies likelihoods until all of them are 0
def memory_predictions(xs, ys, tasks, noise):
    out = np.zeros(len(xs))
    for k in range(len(xs)):
        p = np.exp(-((ys[:k, None] - xs[:k] @ tasks.T) ** 2).sum(0) / (2 * noise**2) + np.zeros(len(tasks)))
        if len(tasks) == 1:
            p = np.ones(1)
        with np.errstate(invalid="ignore"):
            out[k] = (p / p.sum()) @ (tasks @ xs[k])
    return out


# %% wrong 14.3 loses=probe_usual,probe_no_task_fits: repeats the task that fits best
def memory_predictions(xs, ys, tasks, noise):
    out = np.zeros(len(xs))
    for k in range(len(xs)):
        misfit = ((ys[:k, None] - xs[:k] @ tasks.T) ** 2).sum(0)
        out[k] = tasks[misfit.argmin()] @ xs[k]
    return out


# %% wrong 14.3 loses=probe_usual: forgets the 2 of the normal law
def memory_predictions(xs, ys, tasks, noise):
    out = np.zeros(len(xs))
    for k in range(len(xs)):
        misfit = ((ys[:k, None] - xs[:k] @ tasks.T) ** 2).sum(0)
        p = np.exp(-(misfit - misfit.min()) / noise**2)
        out[k] = p @ (tasks @ xs[k]) / p.sum()
    return out


# %% wrong 14.3 loses=probe_usual,probe_no_task_fits: lets the query's own output count
def memory_predictions(xs, ys, tasks, noise):
    out = np.zeros(len(xs))
    for k in range(len(xs)):
        misfit = ((ys[: k + 1, None] - xs[: k + 1] @ tasks.T) ** 2).sum(0)
        p = np.exp(-(misfit - misfit.min()) / (2 * noise**2))
        out[k] = p @ (tasks @ xs[k]) / p.sum()
    return out


# %% wrong 14.3 loses=probe_usual,probe_no_task_fits: the posterior of all examples on every prefix
def memory_predictions(xs, ys, tasks, noise):
    misfit = ((ys[:, None] - xs @ tasks.T) ** 2).sum(0)
    p = np.exp(-(misfit - misfit.min()) / (2 * noise**2))
    return xs @ (p @ tasks) / p.sum()


# %% [markdown]
# ## 14.4 Which is nearer, over trainings (compute, 15 minutes, 3 points)
#
# Several trainings with different seeds, one pool, one set of prompts. `model` has shape (trainings, prompts,
# points), `memory` and `ridge` have shape (prompts, points): predictions. The distance of two predictors is
# the mean squared difference of their predictions over prompts and points, divided by `second_moment`, which
# is $\mathbb{E} f(x)^2$. The ratio of a training is its distance to ridge over its distance to memory. Return
# a dictionary:
#
# - `"to_memory"` and `"to_ridge"`: the distances of each training, shape (trainings,);
# - `"interval"`: a list of two numbers, the lowest and the highest ratio of the trainings;
# - `"nearer"`: `"ridge"` if the whole interval is below 1, `"memory"` if the whole interval is above 1, else
#   `"undecided"`.


# %% question 14.4 kind=function name=which_is_nearer points=3 minutes=15 tolerance=1e-9
def which_is_nearer(model, memory, ridge, second_moment):
    ### BEGIN SOLUTION
    def distances(reference):
        return ((np.asarray(model) - np.asarray(reference)) ** 2).mean(axis=(1, 2)) / second_moment

    to_memory, to_ridge = distances(memory), distances(ridge)
    low, high = (to_ridge / to_memory).min(), (to_ridge / to_memory).max()
    nearer = "ridge" if high < 1 else "memory" if low > 1 else "undecided"
    return {"to_memory": to_memory, "to_ridge": to_ridge, "interval": [low, high], "nearer": nearer}
    ### END SOLUTION


# %% probes 14.4
def _trainings(rng, weights, own, prompts, points, second_moment):
    """Trainings at a fixed weight of memory, with something of their own."""
    memory, ridge = rng.normal(size=(2, prompts, points))
    pairs = zip(weights, own, strict=True)
    model = [w * memory + (1 - w) * ridge + o * rng.uniform(-1, 1, size=ridge.shape) for w, o in pairs]
    named = {"model": np.stack(model), "memory": memory, "ridge": ridge}
    return {name: value * second_moment**0.5 for name, value in named.items()} | {"second_moment": second_moment}


def case_one_point(rng):
    """two trainings, one prompt, one point: distances of shape (2,), two numbers, a word"""
    memory, ridge = np.array([[0.0]]), np.array([[4.0]])
    return {"model": np.array([[[1.0]], [[1.5]]]), "memory": memory, "ridge": ridge, "second_moment": 2.0}


def case_three_trainings(rng):
    """distances of shape (3,), two numbers, a word"""
    return _trainings(rng, [0.1, 0.2, 0.3], [0.3, 0.1, 0.2], 3, 4, 1.0)


def probe_clear(rng):
    """three trainings that agree about what is nearer"""
    return _trainings(rng, [0.2, 0.1, 0.3], [0.1, 0.9, 0.3], 20, 8, 8.0)


def probe_trainings_disagree(rng):
    """four trainings, of which one differs from the rest"""
    return _trainings(rng, [0.1, 0.15, 0.8, 0.2], [0.9, 0.1, 0.2, 0.3], 20, 8, 1.0)


def probe_one_training(rng):
    """one training has an interval, too, without width"""
    return _trainings(rng, [0.75], [0.2], 10, 5, 4.0)


# %% wrong 14.4 loses=probe_trainings_disagree: goes by the mean of the distances
def which_is_nearer(model, memory, ridge, second_moment):
    a, b = (((model - one) ** 2).mean(axis=(1, 2)) / second_moment for one in (memory, ridge))
    nearer = "ridge" if b.mean() < a.mean() else "memory"
    return {"to_memory": a, "to_ridge": b, "interval": [(b / a).min(), (b / a).max()], "nearer": nearer}


# %% wrong 14.4 loses=probe_clear,probe_one_training: forgets the second moment
def which_is_nearer(model, memory, ridge, second_moment):
    a, b = (((model - one) ** 2).mean(axis=(1, 2)) for one in (memory, ridge))
    r = b / a
    nearer = "ridge" if r.max() < 1 else "memory" if r.min() > 1 else "undecided"
    return {"to_memory": a, "to_ridge": b, "interval": [r.min(), r.max()], "nearer": nearer}


# %% wrong 14.4 loses=probe_clear,probe_trainings_disagree: the worst pairs of different trainings
def which_is_nearer(model, memory, ridge, second_moment):
    a, b = (((model - one) ** 2).mean(axis=(1, 2)) / second_moment for one in (memory, ridge))
    low, high = b.min() / a.max(), b.max() / a.min()
    nearer = "ridge" if high < 1 else "memory" if low > 1 else "undecided"
    return {"to_memory": a, "to_ridge": b, "interval": [low, high], "nearer": nearer}


# %% wrong 14.4 loses=probe_clear,probe_trainings_disagree,probe_one_training: memory over ridge
def which_is_nearer(model, memory, ridge, second_moment):
    a, b = (((model - one) ** 2).mean(axis=(1, 2)) / second_moment for one in (memory, ridge))
    r = a / b
    nearer = "ridge" if r.max() < 1 else "memory" if r.min() > 1 else "undecided"
    return {"to_memory": a, "to_ridge": b, "interval": [r.min(), r.max()], "nearer": nearer}


# %% wrong 14.4 loses=probe_clear,probe_trainings_disagree,probe_one_training: distances are not squared
def which_is_nearer(model, memory, ridge, second_moment):
    a, b = (np.abs(model - one).mean(axis=(1, 2)) / second_moment for one in (memory, ridge))
    r = b / a
    nearer = "ridge" if r.max() < 1 else "memory" if r.min() > 1 else "undecided"
    return {"to_memory": a, "to_ridge": b, "interval": [r.min(), r.max()], "nearer": nearer}


# %% [markdown]
# ## 14.5 Neither old nor new (investigate, 40 minutes, 4 points, marked by hand)
#
# `checkpoints.load("small/dense_pool_16")` of `icl_lab` was trained on 16 tasks: the weight vectors
# `TaskPool(DenseLinear(8, scale="raw", noise=0.5), 16).all_weights()`. New tasks are drawn from the normal
# law, far from all of them. Make tasks that are neither: halfway between two tasks of the pool, a task of the
# pool plus a little, a task times a factor. Say what you predict: does the model answer with a task of the
# pool, with a mean of tasks, or as ridge does? Measure its error and its distances to memory (your own of
# 14.3, or `PoolBayes`) and to ridge on 200 prompts or more. The penalty of ridge that fits is the variance of
# the noise over the variance of a weight, 0.25 here. Say what your result does not show. Five to ten
# sentences with your numbers; the code may stand in cells of its own.

# %% question 14.5 kind=text name=report_5 points=4 minutes=40
report_5 = """
### BEGIN SOLUTION
Tasks: halfway between two tasks of the pool, w = (w_1 + w_2)/2, pairs at random, 300 prompts; errors and distances
over E f(x)^2 of these tasks, which is 4.2. Prediction: the model answers as memory does, with one of the two tasks,
and is wrong. It came out otherwise. With 15 examples the model has an error of 0.18 (90 % interval 0.15 to 0.21),
memory 0.93 (0.79 to 1.07), ridge 0.06 (0.05 to 0.07). Over all positions its distance to ridge over that to memory is
0.53 (0.50 to 0.57): nearer to ridge. On the pool's own tasks, same inputs and noise, the ratio is 3.5 (3.2 to 3.9),
and its error of 0.012 is below ridge's 0.033; on new tasks it is 1.2 (1.1 to 1.3). A soft memory that weighs both
tasks alike would also be right halfway, so this does not show that the model computes ridge; a memory that believes
in more noise should be measured beside it. One training, a short one, and one pool.
### END SOLUTION
"""

# %% rubric 14.5
# 1 point: a prediction with a reason, written before the measurement, and tasks that are said precisely.
# 1 point: error and both distances on the same prompts, 200 or more, ridge with the right penalty, memory with the true
# noise, and what they are divided by.
# 1 point: an interval, or another statement of how sure the comparison is.
# 1 point: what the result does not show (one training, a short one, one pool; near in prediction is not the same
# computation).
