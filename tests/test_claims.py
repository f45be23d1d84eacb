"""Claims: verdicts, bad claims, tables, and thresholds that stand where they are said to have been committed."""

import json
import os
import random
import subprocess
import sys
import tomllib

import numpy as np
import pytest

from icl_lab import claims
from icl_lab.address import ROOT
from icl_lab.claims import FAILS, HOLDS, NOT_MEASURED, UNDECIDED, VERDICTS, Claim, Found
from icl_lab.errors import InputError
from icl_lab.evaluation import curve_of, interval_of, ratio_of_means

FILES = sorted(claims.THRESHOLDS.glob("*.toml"))
AT_MOST = Claim("a", "An error", "ours", most=0.5)
AT_LEAST = Claim("b", "A ratio", "ours", least=3)
BETWEEN = Claim("c", "A power", "ours", least=8, most=12)


# ---------------------------------------------------------------- verdicts


@pytest.mark.parametrize(
    ("claim", "low", "high", "verdict"),
    [
        (AT_MOST, 0.1, 0.4, HOLDS),
        (AT_MOST, 0.1, 0.5, HOLDS),  # the threshold itself is on the right side
        (AT_MOST, 0.1, 0.5000001, UNDECIDED),
        (AT_MOST, 0.5, 0.6, UNDECIDED),  # touching it is not beyond it
        (AT_MOST, 0.5000001, 0.6, FAILS),
        (AT_MOST, -9.0, -8.0, HOLDS),  # one side alone is bounded
        (AT_LEAST, 3.0, 4.0, HOLDS),
        (AT_LEAST, 2.9, 4.0, UNDECIDED),
        (AT_LEAST, 2.0, 3.0, UNDECIDED),
        (AT_LEAST, 2.0, 2.9, FAILS),
        (AT_LEAST, 1e6, 1e9, HOLDS),
        (BETWEEN, 8, 12, HOLDS),
        (BETWEEN, 9, 10, HOLDS),
        (BETWEEN, 7.9, 10, UNDECIDED),
        (BETWEEN, 10, 12.1, UNDECIDED),
        (BETWEEN, 7, 13, UNDECIDED),  # across both
        (BETWEEN, 4, 7.9, FAILS),
        (BETWEEN, 12.1, 16, FAILS),
        (BETWEEN, 8, 8, HOLDS),  # exact numbers are never undecided
        (BETWEEN, 12, 12, HOLDS),
        (BETWEEN, 7, 7, FAILS),
        (BETWEEN, 13, 13, FAILS),
    ],
)
def test_verdicts_at_and_around_the_thresholds(claim, low, high, verdict):
    assert claim.verdict(Found((low + high) / 2, low, high)) == verdict


def test_the_interval_decides_and_not_the_value():
    assert AT_MOST.verdict(Found(0.9, 0.1, 0.4)) == HOLDS
    assert AT_MOST.verdict(Found(0.2, 0.1, 0.9)) == UNDECIDED


def test_what_was_not_measured_says_so():
    assert AT_MOST.verdict(None) == NOT_MEASURED
    assert set(VERDICTS) == {HOLDS, FAILS, UNDECIDED, NOT_MEASURED}


def test_a_random_interval_gets_the_verdict_of_its_points():
    """Brute force: a verdict is decided if and only if all points of the interval agree."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        low, high = np.sort(rng.uniform(0, 20, 2))
        least, most = np.sort(rng.uniform(0, 20, 2))
        points = np.linspace(low, high, 2001)
        inside = (least <= points) & (points <= most)
        expected = HOLDS if inside.all() else UNDECIDED if inside.any() else FAILS
        got = Claim("x", "x", "x", least=least, most=most).verdict(Found(low, low, high))
        if {expected, got} != {UNDECIDED, FAILS}:  # a band narrower than the steps can slip between two points
            assert got == expected
        else:
            assert most - least < (high - low) / 1000


# ---------------------------------------------------------------- bad claims, bad measurements


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"id": ""}, "needs an id, a sentence and a source"),
        ({"sentence": ""}, "needs an id, a sentence and a source"),
        ({"source": ""}, "needs an id, a sentence and a source"),
        ({"most": None}, "Claim a needs a threshold"),
        ({"least": 0.6}, "can never hold: least=0.6 is above most=0.5"),
    ],
)
def test_a_bad_claim_is_refused(fields, said):
    good = {"id": "a", "sentence": "An error", "source": "ours", "most": 0.5}
    Claim(**good)
    with pytest.raises(InputError, match=said) as caught:
        Claim(**{**good, **fields})
    assert "\n" not in str(caught.value)


def test_bounds_of_zero_are_bounds():
    assert Claim("z", "z", "z", most=0).verdict(Found(1, 1, 1)) == FAILS
    assert Claim("z", "z", "z", least=0).verdict(Found(-1, -1, -1)) == FAILS


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        (0.1, float("nan"), 0.2),
        (float("-inf"), 0.0, 1.0),
        (0.1, 0.2, 0.1),  # out of order
        (0.5, 1.0, 0.0),
    ],
)
def test_a_bad_measurement_is_refused(value):
    with pytest.raises(InputError, match="must be finite, with low at most high"):
        claims.found(value)


def test_found_takes_numbers_and_intervals():
    assert claims.found(3) == Found(3.0, 3.0, 3.0)
    assert claims.found((1.0, 0.5, 2.0), "m", 3, "why") == Found(1.0, 0.5, 2.0, "m", 3, "why")
    interval = interval_of(np.array([1.0, 2.0, 3.0]))
    assert claims.found(interval)[:3] == interval
    numbers = claims.found(np.array([1, 0, 2], dtype=np.float32))
    assert numbers[:3] == (1, 0, 2)
    assert all(type(number) is float for number in numbers[:3])  # plain: they go into JSON


# ---------------------------------------------------------------- rows and tables


MEASURED = {
    "a": Found(0.61234, 0.55, 0.7, "tiny/dense_d5", 2, "too short"),
    "b": Found(5.0, 4.0, 6.0, "m", 1, "unused"),
}


def test_rows_are_one_for_each_claim_in_their_order():
    made = claims.rows([AT_MOST, AT_LEAST, BETWEEN], MEASURED)
    assert [row["id"] for row in made] == ["a", "b", "c"]
    assert [row["verdict"] for row in made] == [FAILS, HOLDS, NOT_MEASURED]
    assert [row["why"] for row in made] == ["too short", "", ""]  # a reason only where it does not hold
    assert made[0]["value"] == "0.612"
    assert made[0]["interval"] == "0.550 to 0.700"
    assert (made[2]["value"], made[2]["interval"], made[2]["model"], made[2]["trainings"]) == ("", "", "", "")


def test_an_exact_number_has_no_interval():
    (row,) = claims.rows([BETWEEN], {"c": claims.found(8)})
    assert row["value"] == "8.000"
    assert row["interval"] == ""


def test_a_measurement_of_no_claim_is_refused():
    with pytest.raises(InputError, match="claim 'aa'") as caught:
        claims.rows([AT_MOST, AT_LEAST], {"aa": claims.found(1)})
    assert "a" in str(caught.value)
    assert claims.rows([AT_MOST], {})[0]["verdict"] == NOT_MEASURED


@pytest.mark.parametrize(
    ("fields", "value", "told"),
    [
        ({"digits": 1}, 4.04, "4.0"),
        ({"digits": 0}, 11.6, "12"),
        ({"digits": 1, "percent": True}, 0.1234, "12.3 %"),
        ({"digits": 2}, -0.001, "0.00"),  # and no "-0.00"
    ],
)
def test_values_are_printed_as_the_claim_says(fields, value, told):
    assert Claim("v", "v", "v", most=1, **fields).told(value) == told


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"least": 3.0}, "≥ 3"),
        ({"most": 0.05}, "≤ 0.05"),
        ({"least": 8, "most": 12}, "≥ 8, ≤ 12"),
        ({"least": 0.5, "percent": True}, "≥ 50 %"),
        ({"most": 0}, "≤ 0"),
    ],
)
def test_thresholds_are_printed(fields, told):
    assert Claim("t", "t", "t", **fields).threshold() == told


def test_the_table_has_a_line_for_each_claim():
    dated = [Claim("a", "An error", "ours", most=0.5, committed="abc1234"), AT_LEAST, BETWEEN]
    table, *after = claims.markdown(claims.rows(dated, MEASURED)).split("\n\n")
    lines = table.splitlines()
    assert len(lines) == 2 + 3
    assert {line.count("|") for line in lines} == {len(claims.HEADER) + 1}  # the same number of cells in all
    assert "An error (`tiny/dense_d5`)" in lines[2]
    assert "**does not hold**" in lines[2]
    assert lines[3].endswith("| holds |")
    assert "**not measured at this size**" in lines[4]
    assert after == [
        "Thresholds were fixed before the first full run, in commit `abc1234`.",
        "Likely reasons, where a claim does not hold or is undecided:",
        "- *An error*: too short",
    ]


def test_a_table_without_failures_or_commits_is_the_table_alone():
    text = claims.markdown(claims.rows([AT_LEAST], {"b": claims.found(5, why="unused")}))
    assert "\n\n" not in text
    assert "unused" not in text


@pytest.mark.parametrize("given", ["list", "mapping"])
def test_show_gives_the_table_and_the_same_rows_as_data(monkeypatch, given):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append((data, options)))
    several = [AT_MOST, AT_LEAST]
    claims.show(several if given == "list" else {claim.id: claim for claim in several}, MEASURED)
    ((data, options),) = shown
    rows = claims.rows(several, MEASURED)
    assert options == {"raw": True}
    assert data == {"text/markdown": claims.markdown(rows), "text/plain": claims.markdown(rows), claims.MIME: rows}


UNDER_IPYTHON = """
import json
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from icl_lab import claims

InteractiveShell.instance()
with capture_output() as captured:
    claims.show(claims.of("14"), {"threshold": claims.found(8, "a model")})
print(json.dumps([output.data for output in captured.outputs]))
"""


def test_the_output_of_a_cell_has_both(tmp_path):
    """As a notebook file gets it: through IPython's own publisher, and through JSON."""
    ran = subprocess.run(
        [sys.executable, "-c", UNDER_IPYTHON],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "IPYTHONDIR": str(tmp_path)},
    )
    assert ran.returncode == 0, ran.stderr
    (data,) = json.loads(ran.stdout)
    assert data["text/markdown"].startswith("| claim |")
    rows = claims.rows(list(claims.of("14").values()), {"threshold": claims.found(8, "a model")})
    assert data[claims.MIME] == rows


# ---------------------------------------------------------------- the files


def test_there_are_files_for_the_chapters_of_part_iii_and_iv():
    assert [path.stem.split("_")[0] for path in FILES][:5] == ["10", "11", "12", "13", "14"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_can_be_read(path):
    by_id = claims.of(path.stem)
    assert by_id == claims.of(path.stem.split("_")[0])
    assert by_id
    for name, claim in by_id.items():
        assert claim.id == name
        assert claim.committed


def git(*arguments):
    """Output of git in the repository; the test is skipped where there is no git or no history."""
    try:
        ran = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("git is not installed, so the commits of the thresholds cannot be looked at")
    return ran


def bounds(text):
    return {entry["id"]: (entry.get("least"), entry.get("most")) for entry in tomllib.loads(text)["claim"]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_bounds_stood_in_the_commit_that_is_named(path):
    text = path.read_text(encoding="utf-8")
    commit = tomllib.loads(text)["committed"]
    if git("cat-file", "-e", f"{commit}^{{commit}}").returncode:
        pytest.skip(f"the history up to commit {commit} is not here (a shallow clone, or no repository)")
    ran = git("show", f"{commit}:icl_lab/thresholds/{path.name}")
    assert ran.returncode == 0, f"{path.name} was not in commit {commit}"
    then, now = bounds(ran.stdout), bounds(text)
    for name, pair in now.items():
        assert then.get(name) == pair, f"{path.name}, {name}: {pair} now, {then.get(name)} in commit {commit}"
    assert then.keys() == now.keys(), "a claim that failed must not disappear"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[claim", "not a file of claims"),
        ('[[claim]]\nid = "a"\nsentence = "s"\nsource = "o"\nmost = 1', "not a file of claims: 'committed'"),
        ('committed = "c"', "not a file of claims: 'claim'"),
        ('committed = "c"\n[[claim]]\nid = "a"\nsentence = "s"\nsource = "o"\nmots = 1', "not a file of claims.*mots"),
        ('committed = "c"\n[[claim]]\nid = "a"\nsentence = "s"\nsource = "o"', "Claim a needs a threshold"),
        (
            'committed = "c"\n' + '[[claim]]\nid = "a"\nsentence = "s"\nsource = "o"\nmost = 1\n' * 2,
            "names a claim twice",
        ),
    ],
)
def test_a_bad_file_is_refused(tmp_path, text, said):
    path = tmp_path / "99_bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        claims.read(path)


@pytest.mark.parametrize("chapter", ["99", "1", "10_model", ""])
def test_a_chapter_without_a_file_is_refused(chapter):
    with pytest.raises(InputError, match="chapter with thresholds"):
        claims.of(chapter)


# ---------------------------------------------------------------- intervals, against plain Python


def plain_bootstrap(statistic, n, resamples=4000, seed=1):
    """The 90 % percentile interval, drawn with Python's own generator, one resample after the other."""
    rng = random.Random(seed)
    found = sorted(statistic([rng.randrange(n) for _ in range(n)]) for _ in range(resamples))
    return found[round(0.05 * resamples)], found[round(0.95 * resamples)]


def test_interval_of_is_a_bootstrap_of_the_mean():
    values = np.random.default_rng(3).exponential(size=60)  # skewed, so that the two ends differ
    mean, low, high = interval_of(values)
    expected = plain_bootstrap(lambda rows: sum(values[i] for i in rows) / len(rows), len(values))
    assert mean == pytest.approx(sum(values) / 60)
    np.testing.assert_allclose((low, high), expected, atol=0.03)
    assert interval_of(values) == (mean, low, high)  # the same resamples every time
    curve = curve_of(np.stack([values, 2 * values], 1))
    np.testing.assert_allclose((low, high), (curve.low[0], curve.high[0]))


def test_interval_of_known_numbers():
    assert interval_of(np.full(10, 7.0)) == pytest.approx((7, 7, 7))
    halves = np.repeat([0.0, 1.0], 200)  # a coin: mean .5, standard error 1 / 40, ends 1.645 of them away
    np.testing.assert_allclose(interval_of(halves), (0.5, 0.5 - 1.645 / 40, 0.5 + 1.645 / 40), atol=0.004)


def test_ratio_of_means_resamples_both_together():
    rng = np.random.default_rng(4)
    below = rng.exponential(size=60)
    above = 2 * below + rng.normal(size=60) ** 2
    mean, low, high = ratio_of_means(above, below)
    expected = plain_bootstrap(lambda rows: sum(above[i] for i in rows) / sum(below[i] for i in rows), 60)
    assert mean == pytest.approx(above.sum() / below.sum())
    np.testing.assert_allclose((low, high), expected, atol=0.08)


def test_ratio_of_known_numbers():
    below = np.random.default_rng(5).exponential(size=50)
    np.testing.assert_allclose(ratio_of_means(3 * below, below), (3, 3, 3))  # paired: nothing is left to chance
    one, other = interval_of(3 * below), interval_of(below)
    assert one.high / other.low > 3.5  # which two intervals that know nothing of each other would not see


@pytest.mark.parametrize(
    ("above", "below", "said"),
    [
        (np.ones(3), np.ones(4), r"\(prompts,\), got \(3,\) and \(4,\)"),
        (np.ones((3, 2)), np.ones((3, 2)), r"got \(3, 2\)"),
        (np.ones(0), np.ones(0), r"got \(0,\)"),
        (np.ones(3), np.zeros(3), "above 0"),
        (np.ones(3), np.array([0.0, 0.0, 1.0]), "above 0"),  # some resamples miss the only one
    ],
)
def test_a_ratio_that_makes_no_sense_is_refused(above, below, said):
    with pytest.raises(InputError, match=said):
        ratio_of_means(above, below)
