"""Claims: a sentence, its source, a threshold; and what was measured, with a verdict that the code computes.

Thresholds of chapters 10 to 14 lie in ``thresholds/``, one file a chapter, and were committed before the chapter was
first run in full; ``committed`` in each file names the commit. A claim holds if its whole interval is on the right side
of the threshold, does not hold if the whole interval is on the wrong side, and is undecided otherwise.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from icl_lab.errors import InputError, unknown

THRESHOLDS = Path(__file__).parent / "thresholds"
MIME = "application/vnd.icl-lab.claims+json"  # beside the table in a cell's output; the book collects it
HOLDS, FAILS, UNDECIDED, NOT_MEASURED = "holds", "does not hold", "undecided", "not measured at this size"
VERDICTS = (HOLDS, FAILS, UNDECIDED, NOT_MEASURED)


@dataclass(frozen=True)
class Claim:
    """A sentence that could be wrong. ``least`` and ``most`` bound the measured value; at least one is given.

    ``source`` says who claims it ("ours": the course), ``committed`` the commit that fixed the bounds before the first
    full run (empty: they were written with their chapter), ``digits`` how the value is printed, ``percent`` prints it
    as a percentage, ``points`` a difference of two percentages, with its sign. Raises InputError for a claim without a
    sentence, a source or a bound, and for crossed bounds.
    """

    id: str
    sentence: str
    source: str
    least: float | None = None
    most: float | None = None
    digits: int = 3
    percent: bool = False
    committed: str = ""
    points: bool = False

    def __post_init__(self) -> None:
        if not (self.id and self.sentence and self.source):
            raise InputError(f"A claim needs an id, a sentence and a source, got {self!r}.")
        if self.least is None and self.most is None:
            raise InputError(f"Claim {self.id} needs a threshold: least, most, or both.")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise InputError(f"Claim {self.id} can never hold: least={self.least} is above most={self.most}.")

    def verdict(self, found: Found | None) -> str:
        """One of VERDICTS; None: it was not measured."""
        if found is None:
            return NOT_MEASURED
        least = -math.inf if self.least is None else self.least
        most = math.inf if self.most is None else self.most
        if least <= found.low and found.high <= most:
            return HOLDS
        return FAILS if found.high < least or found.low > most else UNDECIDED

    @property
    def unit(self) -> str:
        """What is printed behind a value."""
        return " %" if self.percent else " points" if self.points else ""

    def told(self, value: float, unit: bool = True) -> str:
        """A value as this claim prints it, with its unit or without."""
        scaled = 100 * value if self.unit else value
        sign = "+" if self.points else ""
        return f"{round(scaled, self.digits) + 0.0:{sign}.{self.digits}f}" + (self.unit if unit else "")

    def threshold(self) -> str:
        """The bounds, as the table prints them."""
        factor = 100 if self.unit else 1
        bounds = (("≥", self.least), ("≤", self.most))
        return ", ".join(f"{sign} {factor * bound:g}{self.unit}" for sign, bound in bounds if bound is not None)


class Found(NamedTuple):
    """What was measured: a value with its interval, on which model, and how many trainings stand behind it.

    ``why`` is the likely reason, printed where the claim does not hold. A number without an interval has low = high.
    """

    value: float
    low: float
    high: float
    model: str = ""
    trainings: int = 1
    why: str = ""


def found(value: Any, model: str = "", trainings: int = 1, why: str = "") -> Found:
    """A `Found` from a number or from (mean, low, high), as ``evaluation.interval_of`` gives it.

    Raises InputError for numbers that are not finite or out of order.
    """
    mean, low, high = (value, value, value) if isinstance(value, int | float) else value
    numbers = tuple(float(number) for number in (mean, low, high))
    if not all(map(math.isfinite, numbers)) or not numbers[1] <= numbers[2]:
        raise InputError(f"A measured value must be finite, with low at most high, got {numbers}.")
    return Found(*numbers, model, trainings, why)


def of(chapter: str) -> dict[str, Claim]:
    """The claims of a chapter by id, from its file in thresholds/: ``of("10")`` or ``of("10_model_selection")``.

    Raises InputError for a chapter without a file, or a file that is not as it should be.
    """
    files = {path.stem: path for path in sorted(THRESHOLDS.glob("*.toml"))}
    match = [name for name in files if name == chapter or name.split("_")[0] == chapter]
    if not match:
        raise unknown("chapter with thresholds", chapter, files)
    return read(files[match[0]])


def read(path: Path) -> dict[str, Claim]:
    """The claims in one file: ``committed = "..."`` and one ``[[claim]]`` table each."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        claims = [Claim(**entry, committed=data["committed"]) for entry in data["claim"]]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{path.name} is not a file of claims: {error}.") from None
    by_id = {claim.id: claim for claim in claims}
    if len(by_id) != len(claims):
        raise InputError(f"{path.name} names a claim twice.")
    return by_id


HEADER = ("claim", "source", "value", "interval", "threshold", "trainings", "verdict")


def rows(claims: Sequence[Claim], measured: Mapping[str, Found | None]) -> list[dict[str, Any]]:
    """Claims with what was measured of them, as plain values: what a table and the appendix are made from.

    Raises InputError for a measurement of no claim; a claim without one is "not measured at this size".
    """
    ids = [claim.id for claim in claims]
    for name in measured:
        if name not in ids:
            raise unknown("claim", name, ids)
    made = []
    for claim in claims:
        one = measured.get(claim.id)
        verdict = claim.verdict(one)
        exact = one is None or one.low == one.high
        made.append(
            {
                **asdict(claim),
                "value": "" if one is None else claim.told(one.value),
                "interval": "" if exact else f"{claim.told(one.low, unit=False)} to {claim.told(one.high)}",
                "threshold": claim.threshold(),
                "model": "" if one is None else one.model,
                "trainings": "" if one is None else one.trainings,
                "verdict": verdict,
                "why": one.why if one is not None and verdict != HOLDS else "",
            }
        )
    return made


def names(model: str) -> list[str]:
    """The single models in the text of a row: "tiny/line, tiny/sine" names two, "Bayes, mixture" is one."""
    several = model.split(", ")
    return several if all("/" in name for name in several) else [model] if model else []


def quoted(model: str) -> str:
    """The models of a row as Markdown code."""
    return ", ".join(f"`{name}`" for name in names(model))


def _named(name: str, sentence: str) -> bool:
    """Whether the sentence says already which model it is; "small/dense" as `dense` too, one without size in words."""
    if "/" not in name:
        return name.lower() in sentence.lower()
    return f"`{name}`" in sentence or f"`{name.split('/')[-1]}`" in sentence


def markdown(made: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table, with the commit of the thresholds and the reasons for failures below it."""
    lines = [HEADER, ["---"] * len(HEADER)]
    for row in made:
        others = [name for name in names(row["model"]) if not _named(name, row["sentence"])]
        sentence = row["sentence"] + (f" ({quoted(row['model'])})" if others else "")
        verdict = f"**{row['verdict']}**" if row["verdict"] != HOLDS else HOLDS
        measured = [row[column] for column in ("source", "value", "interval", "threshold", "trainings")]
        lines.append([sentence, *measured, verdict])
    parts = ["\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)]
    commits = sorted({row["committed"] for row in made if row["committed"]})
    if commits:
        named = ", ".join(f"`{commit}`" for commit in commits)
        parts.append(f"Thresholds were fixed before the first full run, in commit {named}.")
    reasons = [f"- *{row['sentence']}*: {row['why']}" for row in made if row["why"]]
    if reasons:
        parts.append("Likely reasons, where a claim does not hold or is undecided:\n\n" + "\n".join(reasons))
    return "\n\n".join(parts)


def show(claims: Sequence[Claim] | Mapping[str, Claim], measured: Mapping[str, Found | None]) -> None:
    """Show the table in a notebook; the same rows go into the cell's output as JSON, for the book's appendix."""
    from IPython.display import display

    made = rows(list(claims.values()) if isinstance(claims, Mapping) else list(claims), measured)
    text = markdown(made)
    display({"text/markdown": text, "text/plain": text, MIME: made}, raw=True)
