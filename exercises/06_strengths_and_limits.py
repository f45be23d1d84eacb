# %% [markdown]
# # Exercises to chapter 6: strengths and limits
#
# Five questions, about an hour and three quarters, 15 points. They need [chapter
# 6](https://github.com/icl-measured/icl-measured/blob/main/chapters/06_strengths_and_limits.ipynb) and numpy,
# and no language model but in the last one.
#
# Work in the cells with `# your code` or `# your answer`. Keep the names that are given: the grader looks for
# names, not for cells, and calls your functions with inputs that you do not see. `check("06.2",
# order_spread)` tries a function on some cases at once, and says what is wrong with it, but not the answer.
# Passing `check` is not the grade.

# %%
import numpy as np

# %% [markdown]
# ## 06.1 The same accuracy twice (understand, 5 minutes, 1 point and 1 for the reason)
#
# A model answers 400 questions, 200 of them of label A and 200 of label B, with A and B as its candidates.
# After demonstrations in the order A A B B it is right in 80 %; after the same demonstrations in the order A
# B A B it is right in 80 % of the same questions. What follows?
#
# - **a**: the order does not change its answers;
# - **b**: the order may change its answers, but on 80 of the questions at most;
# - **c**: in both orders it leans equally far, perhaps to different labels;
# - **d**: not one of these: the orders can differ in up to 160 answers, and one can lean while the other does
#   not.

# %% question 06.1 kind=choice name=answer_1 points=1 minutes=5 choices=a,b,c,d reason=1
answer_1 = (
    ### BEGIN SOLUTION
    "d"
    ### END SOLUTION
)
reason_1 = """ """  # two or three sentences

# %% rubric 06.1
# 1 point: 80 errors in each order, which may be the same questions or other ones, so up to 160 answers differ; and the
# 80 errors may be 40 of each label (no lean) or all of one label (280 answers of 400 to the other). Half a point for
# one of the two, or for saying only that accuracy does not show a lean.

# %% wrong 06.1 loses=value: equal accuracies, so equal answers
answer_1 = "a"

# %% wrong 06.1 loses=value: counts the errors of one order alone
answer_1 = "b"

# %% wrong 06.1 loses=value: reads a lean from an accuracy
answer_1 = "c"

# %% [markdown]
# ## 06.2 What the order does (compute, 20 minutes, 3 points)
#
# `right` has shape (orders, questions): 1 where a model is right after the demonstrations in that order, else
# 0. Every question has two candidates. Return a dictionary with three numbers:
#
# - `"std"`: the standard deviation of the accuracy over these orders (divide by their number), in points, so
#   that accuracies of 0.5 and 0.7 have 10 points;
# - `"steady"`: the share of questions, from 0 to 1, on which all orders give one and the same answer;
# - `"vote"`: the accuracy, from 0 to 1, of the answer that most orders give; where the orders are split in
#   halves, one of the two answers is drawn by lot, so count one half.


# %% question 06.2 kind=function name=order_spread points=3 minutes=20 tolerance=1e-9
def order_spread(right):
    ### BEGIN SOLUTION
    right = np.asarray(right, dtype=float)
    share = right.mean(axis=0)  # (questions,): of the orders that are right
    votes = np.where(share == 0.5, 0.5, share > 0.5)
    return {
        "std": 100 * right.mean(axis=1).std(),
        "steady": ((share == 0) | (share == 1)).mean(),
        "vote": votes.mean(),
    }
    ### END SOLUTION


# %% probes 06.2
def _right(rng, orders, questions, majority):
    """Three questions always right, two never; on ``majority`` of the others all orders but two are right, else two."""
    right = np.zeros((orders, questions))
    right[:, :3] = 1.0
    right[0, 5:] = 1.0  # the best order; the second is the worst
    for question in range(5, questions):
        other = rng.integers(2, orders)
        if question < 5 + majority:
            right[2:, question] = 1.0
            right[other, question] = 0.0
        else:
            right[other, question] = 1.0
    return right[:, rng.permutation(questions)]


def case_two_orders(rng):
    """two orders, four questions; the orders disagree on one question"""
    return {"right": np.array([[1.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]])}


def case_three_orders(rng):
    """three orders cannot be split in halves"""
    return {"right": np.array([[1.0, 0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 0.0, 0.0]])}


def probe_usual(rng):
    """an odd number of orders, so that a vote is never split in halves"""
    return {"right": _right(rng, 9, 40, int(rng.integers(20, 27)))}


def probe_halves(rng):
    """an even number of orders, split in halves on some questions, each of which counts one half"""
    right = _right(rng, 6, 30, int(rng.integers(14, 20)))
    split = np.repeat([[1.0], [0.0]], 3, axis=0)
    return {"right": np.hstack([right, np.tile(split, (1, 7))])}


def probe_one_order(rng):
    """a single order agrees with itself: no spread, every question steady"""
    right = np.zeros((1, 20))
    right[0, : rng.integers(11, 18)] = 1.0
    return {"right": right[:, rng.permutation(20)]}


# %% wrong 06.2 loses=probe_usual,probe_halves,probe_one_order: divides by the number of orders minus one
def order_spread(right):
    share = right.mean(axis=0)
    votes = np.where(share == 0.5, 0.5, share > 0.5).mean()
    return {"std": 100 * right.mean(axis=1).std(ddof=1), "steady": (share % 1 == 0).mean(), "vote": votes}


# %% wrong 06.2 loses=probe_usual,probe_halves,probe_one_order: spreads over questions, not over orders
def order_spread(right):
    share = right.mean(axis=0)
    votes = np.where(share == 0.5, 0.5, share > 0.5).mean()
    return {"std": 100 * share.std(), "steady": (share % 1 == 0).mean(), "vote": votes}


# %% wrong 06.2 loses=probe_usual,probe_halves: forgets that points are hundredths
def order_spread(right):
    share = right.mean(axis=0)
    votes = np.where(share == 0.5, 0.5, share > 0.5).mean()
    return {"std": right.mean(axis=1).std(), "steady": (share % 1 == 0).mean(), "vote": votes}


# %% wrong 06.2 loses=probe_usual,probe_halves,probe_one_order: overlooks that answers can be steady and not right
def order_spread(right):
    share = right.mean(axis=0)
    votes = np.where(share == 0.5, 0.5, share > 0.5).mean()
    return {"std": 100 * right.mean(axis=1).std(), "steady": (share == 1).mean(), "vote": votes}


# %% wrong 06.2 loses=probe_halves: gives every split vote to the right answer
def order_spread(right):
    share = right.mean(axis=0)
    return {
        "std": 100 * right.mean(axis=1).std(),
        "steady": (share % 1 == 0).mean(),
        "vote": (share >= 0.5).mean(),
    }


# %% wrong 06.2 loses=probe_usual,probe_halves: the mean accuracy instead of a vote
def order_spread(right):
    share = right.mean(axis=0)
    return {"std": 100 * right.mean(axis=1).std(), "steady": (share % 1 == 0).mean(), "vote": right.mean()}


# %% [markdown]
# ## 06.3 What still fits (implement, 25 minutes, 4 points)
#
# A token is a word or a mark between spaces. A prompt begins with one token `<s>`; each demonstration $(x,
# y)$ is written `x : y .`, with a colon and an end mark of one token each; then come the query and a colon,
# `query :`, and then the label that is to be scored, without an end mark. The model reads at most `window`
# tokens, `<s>` and the label among them. All candidates are scored with the same demonstrations, so there
# must be room for any of them.
#
# `demonstrations` is a list of pairs `[x, y]` of strings, oldest first, `query` a string, `labels` a list of
# strings of one or more words. Whole demonstrations are left out, **the oldest first**, and only as many as
# necessary. Return an array with the positions (0 is the oldest) of those that are kept, in rising order; an
# empty array if there is room for none. Without demonstrations the prompt always fits.


# %% question 06.3 kind=function name=kept points=4 minutes=25 tolerance=1e-9
def kept(demonstrations, query, labels, window):
    ### BEGIN SOLUTION
    room = window - 1 - len(query.split()) - 1 - max(len(label.split()) for label in labels)
    first = len(demonstrations)
    while first > 0:
        x, y = demonstrations[first - 1]
        room -= len(x.split()) + len(y.split()) + 2
        if room < 0:
            break
        first -= 1
    return np.arange(first, len(demonstrations))
    ### END SOLUTION


# %% probes 06.3
WORDS = ["rain", "soup", "storm", "goal", "snow", "cloud", "drum", "wind", "medal", "race", "team", "frost", "crab"]


def _words(rng, n):
    return " ".join(rng.choice(WORDS, size=n).tolist())


def _tokens(demonstrations, query, labels):
    """Tokens of the whole prompt with its longest label."""
    return len(("<s> " + "".join(f"{x} : {y} . " for x, y in demonstrations) + query + " : ").split()) + max(
        len(label.split()) for label in labels
    )


def _prompt(rng, n, labels, keep, spare, lengths=None):
    """A window for the last ``keep`` demonstrations and ``spare`` tokens more (less than nothing: for one more)."""
    lengths = [4] * n if lengths is None else lengths
    shots = [[_words(rng, length), labels[0]] for length in lengths]
    query = _words(rng, int(rng.integers(3, 7)))
    count = _tokens(shots[n - keep - (spare < 0) :], query, labels)
    return {"demonstrations": shots, "query": query, "labels": labels, "window": count + spare}


def case_three(rng):
    """two of three demonstrations fit, with no token to spare"""
    shots = [["rain soup", "weather"], ["goal", "sport"], ["snow cloud", "weather"]]
    return {"demonstrations": shots, "query": "team ball", "labels": ["sport", "weather"], "window": 14}


def case_none(rng):
    """no demonstration fits"""
    shots = [["rain soup storm", "weather"], ["goal medal race", "sport"]]
    return {"demonstrations": shots, "query": "team ball", "labels": ["sport", "weather"], "window": 10}


def probe_exact(rng):
    """a prompt of exactly as many tokens as the window has fits"""
    return _prompt(rng, 8, ["sport", "weather"], int(rng.integers(3, 6)), 0)


def probe_one_too_many(rng):
    """a prompt of one token more than the window has does not fit"""
    return _prompt(rng, 8, ["weather", "sport"], int(rng.integers(3, 6)), -1)


def probe_longest_label(rng):
    """there is room for the longest candidate, wherever it stands in the list"""
    labels = ["sport", "weather of the far north", "food"]
    return _prompt(rng, 8, labels, int(rng.integers(3, 6)), -1)


def probe_short_one(rng):
    """the oldest go first, even if one of them is short"""
    keep = int(rng.integers(3, 5))
    lengths = [2] * (7 - keep) + [15] + [4] * keep
    return _prompt(rng, 8, ["food", "sport"], keep, 6, lengths)


# %% wrong 06.3 loses=probe_exact: leaves one token of the window empty
def kept(demonstrations, query, labels, window):
    room = window - 2 - len(query.split()) - max(len(label.split()) for label in labels)
    first = len(demonstrations)
    for x, y in demonstrations[::-1]:
        room -= len(x.split()) + len(y.split()) + 2
        if room <= 0:
            break
        first -= 1
    return np.arange(first, len(demonstrations))


# %% wrong 06.3 loses=probe_one_too_many,probe_longest_label: does not count <s>
def kept(demonstrations, query, labels, window):
    room = window - 1 - len(query.split()) - max(len(label.split()) for label in labels)
    first = len(demonstrations)
    for x, y in demonstrations[::-1]:
        room -= len(x.split()) + len(y.split()) + 2
        if room < 0:
            break
        first -= 1
    return np.arange(first, len(demonstrations))


# %% wrong 06.3 loses=probe_longest_label: leaves room for the first candidate alone
def kept(demonstrations, query, labels, window):
    room = window - 2 - len(query.split()) - len(labels[0].split())
    first = len(demonstrations)
    for x, y in demonstrations[::-1]:
        room -= len(x.split()) + len(y.split()) + 2
        if room < 0:
            break
        first -= 1
    return np.arange(first, len(demonstrations))


# %% wrong 06.3 loses=probe_short_one: goes on to shorter ones that are older
def kept(demonstrations, query, labels, window):
    room = window - 2 - len(query.split()) - max(len(label.split()) for label in labels)
    found = []
    for i in range(len(demonstrations))[::-1]:
        tokens = sum(len(part.split()) for part in demonstrations[i]) + 2
        if tokens <= room:
            room -= tokens
            found.append(i)
    return np.array(sorted(found))


# %% wrong 06.3 loses=probe_exact,probe_one_too_many,probe_longest_label,probe_short_one: leaves out the newest
def kept(demonstrations, query, labels, window):
    room = window - 2 - len(query.split()) - max(len(label.split()) for label in labels)
    n = 0
    for x, y in demonstrations:
        room -= len(x.split()) + len(y.split()) + 2
        if room < 0:
            break
        n += 1
    return np.arange(n)


# %% wrong 06.3 loses=probe_exact,probe_one_too_many,probe_longest_label: forgets the marks of the demonstrations
def kept(demonstrations, query, labels, window):
    room = window - 2 - len(query.split()) - max(len(label.split()) for label in labels)
    first = len(demonstrations)
    for x, y in demonstrations[::-1]:
        room -= len(x.split()) + len(y.split())
        if room < 0:
            break
        first -= 1
    return np.arange(first, len(demonstrations))


# %% [markdown]
# ## 06.4 The luckiest of 24 (experiment, 15 minutes, 2 points)
#
# Suppose that a prompt's order did not matter: after every one of 24 orders a model is right on a question
# with probability 0.75, and all answers, to all questions and after all orders, are independent. Each order
# is tried on 100 questions, and the accuracy of the best of the 24 is reported. What is it on average, in
# percent? Find it by a simulation; it is right within 1 % of itself.

# %% question 06.4 kind=number name=best_of_24 points=2 minutes=15 tolerance=0.01
best_of_24 = (
    ### BEGIN SOLUTION
    np.random.default_rng(0).binomial(100, 0.75, size=(20_000, 24)).max(axis=1).mean()
    ### END SOLUTION
)

# %% wrong 06.4 loses=value: the accuracy of every order
best_of_24 = 75

# %% wrong 06.4 loses=value: one standard deviation above it
best_of_24 = 75 + 100 * (0.75 * 0.25 / 100) ** 0.5

# %% wrong 06.4 loses=value: three standard deviations above it
best_of_24 = 75 + 300 * (0.75 * 0.25 / 100) ** 0.5

# %% wrong 06.4 loses=value: a share instead of a percentage
best_of_24 = 0.8314

# %% [markdown]
# ## 06.5 How many orders are enough? (investigate, 40 minutes, 4 points, marked by hand)
#
# In the chapter the mean of a question's scores over all 24 orders of four demonstrations was a remedy
# against bad orders, at 24 times the passes. `load_lm("drift")` of `icl_lab.language.models` and `Drift()` of
# `icl_lab.language.worlds` are its model and its world. How much of the remedy do two, four or eight orders
# give, and does it matter how they are chosen (by lot, or by a rule of yours)? Say what you predict and why,
# measure it on at least 200 questions and two sets of demonstrations beside a single order and all 24, and
# say what your result does not show. Five to ten sentences with your numbers; the code may stand in cells of
# its own.

# %% question 06.5 kind=text name=report_5 points=4 minutes=40
report_5 = """
### BEGIN SOLUTION
Prediction: an order and the same order with the two labels exchanged do nearly as much as all 24, since they lean to
opposite sides and the leans cancel in the mean; two orders by lot do less, since they often lean alike. Measured on 200
questions with each of two sets, all 24 pairs of the rule, and 200 draws by lot of two, four and eight orders: see the
numbers above. The pairs come as close to all 24 as the intervals can tell, at two passes for each question and not 24;
two by lot gain less and vary much. The result does not show that a pair is enough where queries are lopsided, with
more labels, or in a model whose leans have another cause; one training stands behind it.
### END SOLUTION
"""

# %% rubric 06.5
# 1 point: a prediction with a reason (leans that differ in sign cancel in a mean), written beforehand.
# 1 point: one, some and all 24 orders on the same 200 questions or more, two sets; random choices drawn more than once.
# 1 point: an interval, or the spread over choices of orders, and the price in passes.
# 1 point: what the result does not show (one training, a world where order was made to matter, balanced queries).
