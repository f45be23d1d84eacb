# %% [markdown]
# # Exercises to chapter 11: between the classes
#
# Five questions, about two hours, 16 points. They need [chapter
# 11](https://github.com/icl-measured/icl-measured/blob/main/chapters/11_between_the_classes.ipynb), numpy and
# a little probability, and no trained model but in the last one.
#
# Work in the cells with `# your code` or `# your answer`. Keep the names that are given: the grader looks for
# names, not for cells, and calls your functions with inputs that you do not see. `check("11.2", price)` tries
# a function on some cases at once, and says what is wrong with it, but not the answer. Passing `check` is not
# the grade.

# %%
import numpy as np

# %% [markdown]
# ## 11.1 What three distances tell (understand, 15 minutes, 1 point and 1 for the reason)
#
# On functions between the classes, mean squared distances of predictions over $\mathbb{E} f(x)^2$ are .04
# from the mixture model to the sparse specialist, .09 from the mixture model to the dense one, and .25
# between the two specialists. All three are exact. What did the mixture model do?
#
# - **a**: it copied one specialist in some prompts and the other one in the rest;
# - **b**: in every prompt it gave the sparse specialist the weight .6 and the dense one .4;
# - **c**: in every prompt it gave the sparse specialist the weight .4 and the dense one .6;
# - **d**: it averaged, with weights that differed from prompt to prompt;
# - **e**: several of these would give the same three distances.

# %% question 11.1 kind=choice name=answer_1 points=1 minutes=15 choices=a,b,c,d,e reason=1
answer_1 = (
    ### BEGIN SOLUTION
    "b"
    ### END SOLUTION
)
reason_1 = """ """  # two or three sentences

# %% rubric 11.1
# 1 point: the root mean square distances .2 and .3 add up to .5, so the mixture lies on the line between the two, with
# one weight in all prompts, for equality in the triangle inequality leaves nothing else; it is .3 of .5 away from the
# dense one. Half a point for the square roots without saying why weights cannot differ.

# %% wrong 11.1 loses=value: reads a distance to the sparse specialist as its weight
answer_1 = "c"

# %% wrong 11.1 loses=value: adds squared distances and finds that they do not make .25, or does not look
answer_1 = "a"

# %% wrong 11.1 loses=value: thinks that only a mean weight follows
answer_1 = "d"

# %% wrong 11.1 loses=value: forgets when the triangle inequality is an equality
answer_1 = "e"

# %% [markdown]
# ## 11.2 What a hard choice costs (compute, 25 minutes, 4 points)
#
# For each prompt a learner holds the exact posterior probability of "sparse", `p`, and knows the best
# predictions under either class, `sparse` and `dense`; all three have shape (prompts,). The *soft* answer is
# the posterior mean, `p * sparse + (1 - p) * dense`. The *hard* answer is that of the more probable class (at
# equal probabilities either of the two).
#
# Return one number: the expected squared error of the hard answer minus that of the soft answer, averaged
# over the prompts and divided by `second_moment`, which is $\mathbb{E} f(x)^2$. Expected means: over what is
# still unknown given the examples, with the posterior as it is. (Nothing is drawn at random here; a formula
# does it.)


# %% question 11.2 kind=function name=price points=4 minutes=25 tolerance=1e-9
def price(p, sparse, dense, second_moment):
    ### BEGIN SOLUTION
    less = np.minimum(p, 1 - p)
    return ((less * (sparse - dense)) ** 2).mean() / second_moment
    ### END SOLUTION


# %% probes 11.2
def _prompts(rng, n, second_moment):
    values = second_moment**0.5 * rng.normal(size=(2, n))
    return {"p": rng.uniform(0.05, 0.95, n), "sparse": values[0], "dense": values[1], "second_moment": second_moment}


def case_one_prompt(rng):
    """one number, not negative"""
    return {"p": np.array([0.75]), "sparse": np.array([1.0]), "dense": np.array([-1.0]), "second_moment": 1.0}


def case_usual(rng):
    """one number, the mean over prompts"""
    return _prompts(rng, 6, 2.0)


def probe_usual(rng):
    """the mean over prompts that are more or less undecided"""
    return _prompts(rng, 30, 1.0)


def probe_undecided(rng):
    """both classes are equally probable in every prompt"""
    return _prompts(rng, 12, 1.0) | {"p": np.full(12, 0.5)}


def probe_some_are_certain(rng):
    """where the class is known there is nothing to choose"""
    inputs = _prompts(rng, 20, 1.0)
    inputs["p"] = np.concatenate([np.ones(6), np.zeros(6), rng.uniform(0.3, 0.7, size=8)])
    return inputs


def probe_scale(rng):
    """over the second moment, which is not 1"""
    return _prompts(rng, 25, float(rng.uniform(2.0, 9.0)))


# %% wrong 11.2 loses=probe_usual,probe_undecided,probe_some_are_certain,probe_scale: chance of error times distance
def price(p, sparse, dense, second_moment):
    return (np.minimum(p, 1 - p) * (sparse - dense) ** 2).mean() / second_moment


# %% wrong 11.2 loses=probe_usual,probe_some_are_certain,probe_scale: the error that the soft answer makes itself
def price(p, sparse, dense, second_moment):
    return (p * (1 - p) * (sparse - dense) ** 2).mean() / second_moment


# %% wrong 11.2 loses=probe_scale: forgets the second moment
def price(p, sparse, dense, second_moment):
    soft = p * sparse + (1 - p) * dense
    hard = np.where(p > 0.5, sparse, dense)
    return ((hard - soft) ** 2).mean()


# %% wrong 11.2 loses=probe_usual,probe_some_are_certain,probe_scale: always chooses sparse
def price(p, sparse, dense, second_moment):
    soft = p * sparse + (1 - p) * dense
    return ((sparse - soft) ** 2).mean() / second_moment


# %% wrong 11.2 loses=probe_usual,probe_undecided,probe_some_are_certain,probe_scale: the distance without its square
def price(p, sparse, dense, second_moment):
    soft = p * sparse + (1 - p) * dense
    hard = np.where(p > 0.5, sparse, dense)
    return np.abs(hard - soft).mean() / second_moment


# %% [markdown]
# ## 11.3 The hump (implement, 20 minutes, 4 points)
#
# Predictions of three models, each of shape (numbers, prompts): a row for every number of non-zeros, in
# rising order. Row by row, take the mean squared distance of `mixture` to `sparse` and to `dense` over the
# prompts, divided by `second_moment` ($\mathbb{E} f(x)^2$, the same for all rows), and of these two means the
# smaller one. Return one number: the largest of these smaller distances in the inner rows (all but the first
# and the last), minus the higher one of the two in the first and in the last row. There are at least three
# rows.


# %% question 11.3 kind=function name=hump points=4 minutes=20 tolerance=1e-9
def hump(mixture, sparse, dense, second_moment):
    ### BEGIN SOLUTION
    means = [((mixture - one) ** 2).mean(axis=1) / second_moment for one in (sparse, dense)]
    nearest = np.minimum(*means)
    return nearest[1:-1].max() - max(nearest[0], nearest[-1])
    ### END SOLUTION


# %% probes 11.3
def _walk(rng, weights, own, prompts, second_moment):
    """The mixture gives the sparse specialist these weights, row by row, and adds something of its own."""
    sparse, dense, rest = second_moment**0.5 * rng.normal(size=(3, len(weights), prompts))
    weight = np.array(weights)[:, None]
    mixture = weight * sparse + (1 - weight) * dense + np.array(own)[:, None] * rest
    return {"mixture": mixture, "sparse": sparse, "dense": dense, "second_moment": second_moment}


def case_two_prompts(rng):
    """one number, from three rows of two prompts"""
    given = {"mixture": [[1.0, 1.0], [0.0, 0.0], [2.0, 0.0]], "sparse": [[1.0, 2.0], [2.0, 0.0], [4.0, 4.0]]}
    given["dense"] = [[5.0, 5.0], [0.0, 3.0], [2.0, 1.0]]
    return {name: np.array(rows) for name, rows in given.items()} | {"second_moment": 1.0}


def case_usual(rng):
    """one number, over the second moment"""
    return _walk(rng, [0.9, 0.7, 0.5, 0.3, 0.2], [0.1] * 5, 40, 3.0)


def probe_usual(rng):
    """a mixture that walks from one specialist to the other"""
    return _walk(rng, [0.95, 0.7, 0.55, 0.4, 0.2], [0.2, 0.1, 0.1, 0.1, 0.1], 50, 1.0)


def probe_no_hump(rng):
    """the ends may be higher than what lies between: the number may be negative"""
    return _walk(rng, [0.9, 0.6, 0.5, 0.3], [1.5, 0.1, 0.1, 1.0], 50, 1.0)


def probe_copies(rng):
    """means over prompts come before the smaller one is taken: in the inner rows each prompt copies one specialist"""
    inputs = _walk(rng, [1.0, 0.5, 0.5, 0.1], [0.1] * 4, 40, 1.0)
    coin = np.arange(40) % 2 == 0
    inputs["mixture"][1:3] = np.where(coin, inputs["sparse"][1:3], inputs["dense"][1:3])
    return inputs


def probe_scale(rng):
    """over the second moment, which is not 1"""
    return _walk(rng, [1.0, 0.5, 0.1], [0.1, 0.1, 0.1], 60, float(rng.uniform(2.0, 9.0)))


# %% wrong 11.3 loses=probe_usual,probe_no_hump,probe_copies,probe_scale: takes the nearer specialist prompt by prompt
def hump(mixture, sparse, dense, second_moment):
    squares = np.minimum((mixture - sparse) ** 2, (mixture - dense) ** 2)
    nearest = squares.mean(axis=1) / second_moment
    return nearest[1:-1].max() - max(nearest[0], nearest[-1])


# %% wrong 11.3 loses=probe_no_hump: looks for the largest in all rows
def hump(mixture, sparse, dense, second_moment):
    nearest = np.minimum(((mixture - sparse) ** 2).mean(axis=1), ((mixture - dense) ** 2).mean(axis=1)) / second_moment
    return nearest.max() - max(nearest[0], nearest[-1])


# %% wrong 11.3 loses=probe_usual,probe_no_hump,probe_copies,probe_scale: takes the lower end
def hump(mixture, sparse, dense, second_moment):
    nearest = np.minimum(((mixture - sparse) ** 2).mean(axis=1), ((mixture - dense) ** 2).mean(axis=1)) / second_moment
    return nearest[1:-1].max() - min(nearest[0], nearest[-1])


# %% wrong 11.3 loses=probe_scale: forgets the second moment
def hump(mixture, sparse, dense, second_moment):
    nearest = np.minimum(((mixture - sparse) ** 2).mean(axis=1), ((mixture - dense) ** 2).mean(axis=1))
    return nearest[1:-1].max() - max(nearest[0], nearest[-1])


# %% wrong 11.3 loses=probe_usual,probe_no_hump,probe_copies,probe_scale: roots of the distances
def hump(mixture, sparse, dense, second_moment):
    means = [((mixture - one) ** 2).mean(axis=1) / second_moment for one in (sparse, dense)]
    nearest = np.sqrt(np.minimum(*means))
    return nearest[1:-1].max() - max(nearest[0], nearest[-1])


# %% [markdown]
# ## 11.4 Told a part of the truth (experiment, 20 minutes, 2 points)
#
# Functions have 5 non-zero coefficients of 20, all of one size with random signs; inputs are standard normal,
# there is no noise, and $\mathbb{E} f(x)^2 = 1$. Least squares on all coordinates with $k = 10$ examples has
# the expected error .5, whatever the number of non-zeros. Another learner has been *told* two of the five
# coordinates that count, takes them for all of them, and fits these two by least squares to the same 10
# examples. What is its expected squared error? Find it by an experiment or by thought; it is right within
# .01.

# %% question 11.4 kind=number name=error_of_two points=2 minutes=20 tolerance=0.01
error_of_two = (
    ### BEGIN SOLUTION
    0.771  # what it leaves out, 3/5, acts as noise, and noise costs least squares 2/(10 - 2 - 1) more
    ### END SOLUTION
)

# %% wrong 11.4 loses=value: counts what is left out, and forgets that it disturbs the fit
error_of_two = 0.6

# %% wrong 11.4 loses=value: takes more knowledge for less error
error_of_two = 0.5 * 3 / 5

# %% wrong 11.4 loses=value: divides by the number of examples instead of those that are left over
error_of_two = 0.6 * (1 + 2 / 10)

# %% [markdown]
# ## 11.5 Another way from sparse to dense (investigate, 40 minutes, 4 points, marked by hand)
#
# The chapter goes from sparse to dense by the number of non-zeros. Choose another way at $d = 8$, on which
# the first class is one non-zero coefficient and the last is dense: for instance one coefficient of size 1
# beside seven of size $\epsilon$, scaled so that $\mathbb{E} f(x)^2 = 1$. Ask `small/sparse1_d8`,
# `small/dense_d8` and `small/dense_sparse1_d8` (`checkpoints.load`) about the same 300 prompts or more for
# several values on the way, with $k = 4$. Where does the mixture leave the sparse specialist, and is there a
# hump? Predict it first; say at which value exact Bayes for the mixture switches; and what your result does
# not show. Five to ten sentences with your numbers; the code may stand in cells of its own.

# %% question 11.5 kind=text name=report_5 points=4 minutes=40
report_5 = """
### BEGIN SOLUTION
Prediction: exact Bayes switches at once, for without noise any epsilon above zero refutes a single coordinate from the
second example on; the model, which allows for misfit, stays with the sparse specialist while the small coefficients
change the outputs by less than its own errors, and leaves it somewhere between epsilon .1 and 1. Measured for epsilon
0, .05, .1, .2, .4 and 1 on 400 prompts: see the distances above, with intervals, each over the same prompts, and the
hump from question 3. Not shown: other k, other ways, other trainings; and distances have a floor, since each of three
trainings has errors of its own.
### END SOLUTION
"""

# %% rubric 11.5
# 1 point: a prediction with a reason, and exact Bayes: it switches as soon as epsilon is not zero.
# 1 point: three models on the same prompts at unit scale, several values on the way, 300 prompts or more.
# 1 point: both distances with intervals, beside the distance between the specialists, and a statement on the hump.
# 1 point: what is not shown (one training each, one k, one way, the floor of distances).
