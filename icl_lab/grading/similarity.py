"""Pairs of submissions whose code is suspiciously alike: a hint for a person, never a grade.

Code is cut into tokens; names become one sign, comments and spaces nothing; what the student version holds already does
not count. Alike means sharing most of their runs of eight tokens (the Jaccard index).
"""

from __future__ import annotations

import io
import keyword
import tokenize
from collections.abc import Sequence
from itertools import combinations
from typing import Any

RUN = 8
ALIKE = 0.8
FEWEST = 40  # runs below which two short answers are alike by chance
MOST = 20_000  # tokens that are looked at


def shingles(code: str) -> frozenset[tuple[str, ...]]:
    """The runs of tokens in some code; what does not parse is cut at spaces."""
    words = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.NAME:
                words.append(token.string if keyword.iskeyword(token.string) else "name")
            elif token.type in (tokenize.OP, tokenize.NUMBER, tokenize.STRING):
                words.append(token.string)
            if len(words) >= MOST:
                break
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError):
        words = code.split()[:MOST]
    return frozenset(tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1))


def pairs(exercise: Any, graded: Sequence[Any]) -> list[tuple[float, str, str]]:
    """(how alike, student, student), most alike first."""
    given = frozenset().union(*(shingles(exercise.shown(cell)) for cell in exercise.cells if cell.kind != "markdown"))
    own = {one.student: shingles(one.code) - given for one in graded}
    own = {student: runs for student, runs in own.items() if len(runs) >= FEWEST}
    found = []
    for a, b in combinations(sorted(own), 2):
        if min(len(own[a]), len(own[b])) < ALIKE * max(len(own[a]), len(own[b])):
            continue  # however much they share, it is too little
        shared = len(own[a] & own[b])
        alike = shared / (len(own[a]) + len(own[b]) - shared)
        if alike >= ALIKE:
            found.append((round(alike, 3), a, b))
    return sorted(found, reverse=True)
