# %% [markdown]
# # Exercises to chapter 13: extreme functions
#
# Five questions, about an hour and forty minutes, 15 points. They need [chapter
# 13](https://github.com/icl-measured/icl-measured/blob/main/chapters/13_extreme_functions.ipynb), numpy and a
# little calculus or patience with grids, and no trained model but in the last one.
#
# Work in the cells with `# your code` or `# your answer`. Keep the names that are given: the grader looks for
# names, not for cells, and calls your functions with inputs that you do not see. `check("13.2", percentile)`
# tries a function on some cases at once, and says what is wrong with it, but not the answer. Passing `check`
# is not the grade.

# %%
import numpy as np

# %% [markdown]
# ## 13.1 Who notices the size? (understand, 5 minutes, 1 point and 1 for the reason)
#
# Multiply the outputs of all examples by 8 and leave the inputs as they are. The true answer is 8 times as
# large, too. Three of these four learners then predict exactly 8 times what they predicted before. Which one
# does not?
#
# - **a**: minimum-norm least squares;
# - **b**: ridge with a fixed penalty $\alpha > 0$;
# - **c**: the mean output of the three examples whose inputs are nearest to the query;
# - **d**: exact Bayes for an even mixture of lines and sinusoids, which believes in noise of standard
#   deviation 0.1.

# %% question 13.1 kind=choice name=answer_1 points=1 minutes=5 choices=a,b,c,d reason=1
answer_1 = (
    ### BEGIN SOLUTION
    "d"
    ### END SOLUTION
)
reason_1 = """ """  # two or three sentences

# %% rubric 13.1
# 1 point: a, b and c are linear in the outputs, with coefficients that depend on inputs alone (ridge: (X'X + alpha
# I)^-1 X'y, so its penalty notices the scale of inputs and not of outputs); in d the posterior of the classes depends
# on the outputs, which fit the prior and the noise well or badly according to their size.
# Half a point for the linearity of a to c without saying what breaks it in d, or the other way round.

# %% wrong 13.1 loses=value: thinks that a fixed penalty must notice the size of outputs
answer_1 = "b"

# %% wrong 13.1 loses=value: takes what is no formula for what has no scale
answer_1 = "c"

# %% wrong 13.1 loses=value: a capital letter is another answer
answer_1 = "D"

# %% [markdown]
# ## 13.2 How rare is a frequency? (compute, 15 minutes, 3 points)
#
# The angular frequencies of the training have a Gamma law with a whole number as shape. Such a law has a
# meaning: events come at random, on average `rate` of them in a unit of $\omega$, and the Gamma variable is
# where event number `shape` comes. It lies below $\omega$ if at least `shape` events came before $\omega$,
# and the number of events before $\omega$ has the Poisson law of mean `rate` $\cdot\, \omega$.
#
# `w` has shape (n,), frequencies of at least 0. Return an array of shape (n,): the percentile of each, the
# share of the law below it *in percent*, from 0 to 100, with numpy alone.


# %% question 13.2 kind=function name=percentile points=3 minutes=15 tolerance=1e-6
def percentile(w, shape, rate):
    ### BEGIN SOLUTION
    mean = rate * np.asarray(w, dtype=float)
    term, fewer = np.exp(-mean), np.zeros_like(mean)
    for j in range(int(shape)):
        fewer += term  # probability of j events
        term = term * mean / (j + 1)
    return 100 * (1 - fewer)
    ### END SOLUTION


# %% probes 13.2
def case_one_event(rng):
    """shape (3,), percent; with a shape of 1 it is the exponential law"""
    return {"w": np.array([0.5, 1.0, 2.0]), "shape": 1, "rate": 1.0}


def case_two_events(rng):
    """shape (2,), percent, larger for the larger frequency"""
    return {"w": np.array([0.3, 0.9]), "shape": 2, "rate": 3.0}


def probe_of_the_chapter(rng):
    """shape (7,), percent under the law of the chapter"""
    return {"w": rng.uniform(0.2, 2.5, size=7), "shape": 6, "rate": 6.0}


def probe_another_law(rng):
    """shape (5,), percent under another law"""
    return {"w": rng.uniform(0.5, 2.0, size=5), "shape": int(rng.integers(2, 5)), "rate": float(rng.uniform(1.5, 3))}


def probe_ends(rng):
    """nothing lies below a frequency of zero, and everything below a very large one"""
    return {"w": np.array([0.0, float(rng.uniform(40, 60))]), "shape": 6, "rate": 6.0}


# %% wrong 13.2 loses=probe_of_the_chapter,probe_another_law,probe_ends: the share above
def percentile(w, shape, rate):
    terms = [np.exp(-rate * w)]
    for j in range(1, shape):
        terms.append(terms[-1] * rate * w / j)
    return 100 * sum(terms)


# %% wrong 13.2 loses=probe_of_the_chapter,probe_another_law: one event too many
def percentile(w, shape, rate):
    terms = [np.exp(-rate * w)]
    for j in range(1, shape + 1):
        terms.append(terms[-1] * rate * w / j)
    return 100 * (1 - sum(terms))


# %% wrong 13.2 loses=probe_of_the_chapter,probe_another_law,probe_ends: divides by the rate
def percentile(w, shape, rate):
    terms = [np.exp(-w / rate)]
    for j in range(1, shape):
        terms.append(terms[-1] * w / rate / j)
    return 100 * (1 - sum(terms))


# %% wrong 13.2 loses=probe_of_the_chapter,probe_another_law,probe_ends: a share of 1, not percent
def percentile(w, shape, rate):
    terms = [np.exp(-rate * w)]
    for j in range(1, shape):
        terms.append(terms[-1] * rate * w / j)
    return 1 - sum(terms)


# %% wrong 13.2 loses=probe_of_the_chapter,probe_another_law: a normal law of the same mean and variance, on a grid
def percentile(w, shape, rate):
    x = np.linspace(-20, 80, 200_001)
    density = np.exp(-((x - shape / rate) ** 2) / (2 * shape / rate**2))
    below = np.where(np.asarray(w) <= 0, 0.0, np.interp(w, x, np.cumsum(density) / density.sum()))
    return 100 * below


# %% [markdown]
# ## 13.3 What the best straight line misses (implement, 25 minutes, 4 points)
#
# One sinusoid, $f(x) = A \sin \omega x + B \cos \omega x$, with $x$ uniform on $(-h, h)$. Among all straight
# lines, with intercept, take the one with the smallest mean squared distance from $f$ over that interval.
# Write `line_misses(A, B, w, h)` for numbers $A$, $B$ (not both zero), $\omega > 0$ and $h > 0$; return a
# dictionary of two numbers:
#
# - `"absolute"`: that mean squared distance;
# - `"relative"`: the same over the variance of $f(x)$ for $x$ uniform on $(-h, h)$, with this $A$ and $B$.
#
# Right within 0.001: by formula, or on a grid of at least ten thousand inputs. Random inputs are not exact
# enough. Compare a slow sine and a slow cosine: which of the two passes for a line, and by which of the two
# errors?


# %% question 13.3 kind=function name=line_misses points=4 minutes=25 tolerance=1e-3
def line_misses(A, B, w, h):
    ### BEGIN SOLUTION
    n = 40_000
    x = h * ((2 * np.arange(n) + 1) / n - 1)  # midpoints
    f = A * np.sin(w * x) + B * np.cos(w * x)
    f = f - f.mean()
    rest = f - (x @ f) / (x @ x) * x
    absolute = (rest**2).mean()
    return {"absolute": absolute, "relative": absolute / (f**2).mean()}
    ### END SOLUTION


# %% probes 13.3
def _amplitudes(rng):
    a, b = rng.choice([-1, 1], size=2) * rng.uniform(0.6, 1.5, size=2)
    return {"A": float(a), "B": float(b)}


def case_slow_sine(rng):
    """a quarter of a wave or less, without a cosine: nearly a line, by both errors"""
    return {"A": 1.0, "B": 0.0, "w": 0.1, "h": 5.0}


def case_fast(rng):
    """a fast sinusoid: a line misses nearly everything"""
    return {"A": 1.0, "B": 1.0, "w": 6.0, "h": 5.0}


def probe_common(rng):
    """sine and cosine, of a frequency near one half, on (-5, 5)"""
    return {**_amplitudes(rng), "w": float(rng.uniform(0.45, 0.54)), "h": 5.0}


def probe_slow_sine(rng):
    """a slow sinusoid with sine and cosine: a small absolute error, and another relative one"""
    return {"A": float(rng.uniform(0.5, 0.8)), "B": float(rng.uniform(1.5, 2)), "w": 0.2, "h": 5.0}


def probe_slow_cosine(rng):
    """a slow cosine without a sine, for which the two errors are far apart"""
    return {"A": 0.0, "B": float(rng.uniform(0.6, 1.5)), "w": 0.02, "h": 5.0}


def probe_interval(rng):
    """another interval than that of the chapter"""
    return {**_amplitudes(rng), "w": float(rng.uniform(1.2, 1.6)), "h": float(rng.uniform(1.2, 1.7))}


# %% wrong 13.3 loses=probe_common,probe_slow_sine,probe_slow_cosine,probe_interval: a line through the origin
def line_misses(A, B, w, h):
    x = np.linspace(-h, h, 40_001)
    f = A * np.sin(w * x) + B * np.cos(w * x)
    absolute = ((f - (x @ f) / (x @ x) * x) ** 2).mean()
    return {"absolute": absolute, "relative": absolute / f.var()}


# %% wrong 13.3 loses=probe_common,probe_slow_sine,probe_interval: a constant, and no slope
def line_misses(A, B, w, h):
    x = np.linspace(-h, h, 40_001)
    f = A * np.sin(w * x) + B * np.cos(w * x)
    return {"absolute": f.var(), "relative": 1.0}


# %% wrong 13.3 loses=probe_common,probe_slow_sine,probe_slow_cosine,probe_interval: over E f(x)^2, not the variance
def line_misses(A, B, w, h):
    x = np.linspace(-h, h, 40_001)
    f = A * np.sin(w * x) + B * np.cos(w * x)
    rest = f - np.polyval(np.polyfit(x, f, 1), x)
    return {"absolute": (rest**2).mean(), "relative": (rest**2).mean() / (f**2).mean()}


# %% wrong 13.3 loses=probe_common,probe_slow_sine,probe_slow_cosine,probe_interval: the tangent at 0
def line_misses(A, B, w, h):
    x = np.linspace(-h, h, 40_001)
    f = A * np.sin(w * x) + B * np.cos(w * x)
    absolute = ((f - B - A * w * x) ** 2).mean()
    return {"absolute": absolute, "relative": absolute / f.var()}


# %% wrong 13.3 loses=probe_interval: always on (-5, 5)
def line_misses(A, B, w, h):
    x = np.linspace(-5, 5, 40_001)
    f = A * np.sin(w * x) + B * np.cos(w * x)
    rest = f - np.polyval(np.polyfit(x, f, 1), x)
    return {"absolute": (rest**2).mean(), "relative": (rest**2).mean() / f.var()}


# %% wrong 13.3 loses=probe_common,probe_slow_sine,probe_slow_cosine,probe_interval: on (0, h)
def line_misses(A, B, w, h):
    x = np.linspace(0, h, 40_001)
    f = A * np.sin(w * x) + B * np.cos(w * x)
    rest = f - np.polyval(np.polyfit(x, f, 1), x)
    return {"absolute": (rest**2).mean(), "relative": (rest**2).mean() / f.var()}


# %% [markdown]
# ## 13.4 Half a line (experiment, 15 minutes, 2 points)
#
# Now $A$ and $B$ are independent and standard normal, and $x$ is uniform on $(-5, 5)$. Average both the mean
# squared distance of each sinusoid from its best straight line, and the variance of its $f(x)$, over $A$ and
# $B$, and divide the first mean by the second. At very low frequencies the ratio is near 0, at high ones near
# 1. At which $\omega$ is it one half? Right within 0.02.

# %% question 13.4 kind=number name=half_a_line points=2 minutes=15 tolerance=0.02
half_a_line = (
    ### BEGIN SOLUTION
    0.528
    ### END SOLUTION
)

# %% wrong 13.4 loses=value: takes the interval for (-10, 10)
half_a_line = 0.264

# %% wrong 13.4 loses=value: sine alone
half_a_line = 0.663

# %% wrong 13.4 loses=value: the mean of the law
half_a_line = 1.0

# %% [markdown]
# ## 13.5 Extreme in another direction (investigate, 40 minutes, 4 points, marked by hand)
#
# `checkpoints.load("small/line_sine")` of `icl_lab` was trained on lines and on sinusoids of ordinary size.
# The chapter went to large slopes, large outputs, far inputs, high and low frequencies. Choose a direction
# that it left out: *small* outputs, a large intercept, all inputs close together, examples that come in
# pairs, or one of your own. Say what you predict, and for which of the errors, relative or absolute, and why.
# Measure at least three sizes of the change with 200 prompts or more each, beside exact Bayes or least
# squares. Say what your result does not show. Five to ten sentences with your numbers; the code may stand in
# cells of its own.

# %% question 13.5 kind=text name=report_5 points=4 minutes=40
report_5 = """
### BEGIN SOLUTION
Direction: small outputs, whole lines times 1, 1/4 and 1/16. Prediction: the absolute error stays about what it is,
since the model misses by some amount that it does not know to shrink, so the relative error grows about sixteenfold
each time; exact Bayes, a formula, does not notice. Measured on 300 prompts with 20 examples, the same inputs at each
factor: the relative error is 0.0005 (90 % interval 0.0004 to 0.0006), then 0.0034 (0.0025 to 0.0045), then 0.039
(0.033 to 0.046); the absolute one is 0.0005, 0.0002 and 0.0002; exact Bayes is below 1e-13 throughout. So the
prediction was too dark by a factor of two: the absolute error shrinks, though far less than the outputs. By the
absolute error nothing is wrong with small lines, by the relative one they are a hundred times worse than common ones.
It is one training and one number of examples, and does not show why the misses do not shrink.
### END SOLUTION
"""

# %% rubric 13.5
# 1 point: a prediction with a reason, written before the measurement, for a named error, relative or absolute.
# 1 point: three sizes of the change beside a learner with a formula, on the same prompts, 200 or more.
# 1 point: both errors where they say different things, or a word on why they agree; and an interval.
# 1 point: what the result does not show (one training, rare and hard not separated, no cause).
