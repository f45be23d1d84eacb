import re
from collections import Counter

import numpy as np
import pytest

from icl_lab.errors import InputError
from icl_lab.language import anatomy
from icl_lab.language.prompts import Demonstration, Prompt, Template
from icl_lab.language.worlds import Case

STYLE = Template("text {x} -> {y}", "{y} -> text {x}", " ; ")
SHOTS = (("red hat", "cold"), ("big sun", "warm"), ("old ice", "cold"), ("dry sand", "warm"))
CASE = Case(
    Prompt("new snow", tuple(Demonstration(*shot) for shot in SHOTS), STYLE, "warm or cold ?"),
    ("warm", "cold", "other"),
    1,
)
SPACE = ("warm", "cold")


def text(case, label="?"):
    return "".join(case.prompt.input_first(label))


def labels(case):
    return [shot.y for shot in case.prompt.demonstrations]


def test_what_is_not_taken_away_stays():
    rng = np.random.default_rng(0)
    for made in (
        anatomy.random_labels(CASE, SPACE, rng),
        anatomy.wrong_labels(CASE, SPACE),
        anatomy.partly_wrong(CASE, SPACE, 2, rng),
        anatomy.rename(CASE, {"warm": "dax", "cold": "wug"}),
    ):
        assert [shot.x for shot in made.prompt.demonstrations] == [x for x, _ in SHOTS]
        assert (made.prompt.query, made.prompt.instruction, made.labels, made.answer) == (
            "new snow",
            "warm or cold ?",
            CASE.labels,
            1,
        )
    moved = anatomy.other_inputs(CASE, ["a", "b", "c", "d"])
    assert [(shot.x, shot.y) for shot in moved.prompt.demonstrations] == [
        ("a", "cold"),
        ("b", "warm"),
        ("c", "cold"),
        ("d", "warm"),
    ]
    assert text(anatomy.without_demonstrations(CASE)) == "warm or cold ? text new snow -> ?"


def test_wrong_labels_are_all_wrong_and_always_in_the_same_way():
    assert labels(anatomy.wrong_labels(CASE, SPACE)) == ["warm", "cold", "warm", "cold"]
    assert labels(anatomy.wrong_labels(CASE, ("cold", "warm", "third"))) == ["warm", "third", "warm", "third"]


def test_random_labels_are_uniform_and_follow_the_seed():
    counts = Counter()
    for seed in range(500):
        made = anatomy.random_labels(CASE, ("cold", "warm", "third"), np.random.default_rng(seed))
        assert made == anatomy.random_labels(CASE, ("cold", "warm", "third"), np.random.default_rng(seed))
        counts.update(zip(range(4), labels(made), strict=True))
    assert len(counts) == 12
    assert all(abs(n / 500 - 1 / 3) < 0.08 for n in counts.values())


def test_partly_wrong_keeps_as_many_labels_as_it_says_at_random_places():
    kept = Counter()
    for seed in range(300):
        made = anatomy.partly_wrong(CASE, SPACE, 3, np.random.default_rng(seed))
        same = [a == b for a, (_, b) in zip(labels(made), SHOTS, strict=True)]
        assert sum(same) == 3
        kept.update(np.flatnonzero(same).tolist())
    assert all(abs(kept[place] / 300 - 3 / 4) < 0.1 for place in range(4))
    rng = np.random.default_rng(0)
    assert anatomy.partly_wrong(CASE, SPACE, 4, rng) == CASE
    assert anatomy.partly_wrong(CASE, SPACE, 0, rng) == anatomy.wrong_labels(CASE, SPACE)


def test_rename_asks_in_the_new_words_only_if_told_to():
    made = anatomy.rename(CASE, {"warm": "dax", "cold": "wug"}, ask=True)
    assert labels(made) == ["wug", "dax", "wug", "dax"]
    assert (made.labels, made.labels[made.answer]) == (("dax", "wug"), "wug")
    swapped = anatomy.rename(CASE, {"warm": "cold", "cold": "warm"}, ask=True)
    assert labels(swapped) == ["warm", "cold", "warm", "cold"]
    assert swapped.labels[swapped.answer] == "warm"


def test_a_broken_format_keeps_the_words_and_the_marks_between_them():
    front, query = "warm or cold ? ", "text new snow -> ?"
    assert text(anatomy.unpaired(CASE)) == (
        f"{front}red hat ; big sun ; old ice ; dry sand ; cold ; warm ; cold ; warm ; {query}"
    )
    assert text(anatomy.labels_only(CASE)) == f"{front}cold ; warm ; cold ; warm ; {query}"
    assert text(anatomy.inputs_only(CASE)) == f"{front}red hat ; big sun ; old ice ; dry sand ; {query}"
    bare = anatomy.without_demonstrations(CASE)
    assert anatomy.unpaired(bare) == bare


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: anatomy.relabel(CASE, ["cold"]), "needs a label, got 1 for 4 demonstrations"),
        (lambda: anatomy.other_inputs(CASE, ["a"]), "needs an input, got 1 for 4 demonstrations"),
        (lambda: anatomy.wrong_labels(CASE, ("warm", "third")), "The label 'cold' needs a label space"),
        (lambda: anatomy.wrong_labels(CASE, ("cold",)), "needs a label space of two or more words"),
        (lambda: anatomy.partly_wrong(CASE, SPACE, 5, np.random.default_rng(0)), "between 0 and the 4 demonstrations"),
        (lambda: anatomy.rename(CASE, {"warm": "dax"}), "missing: ['cold']"),
        (lambda: anatomy.rename(CASE, {"warm": "dax", "cold": "dax"}), "a name of its own"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(InputError, match=re.escape(message)):
        call()
