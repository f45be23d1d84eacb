"""Free answers: the model writes what it likes, and the text must be the right one, word for word.

`LM.generate_until` does the writing. No list of candidates is shown to the model, so it can say what none of them is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from icl_lab.errors import InputError
from icl_lab.language.lm import LM
from icl_lab.language.prompts import Prompt


def free_answers(
    lm: LM, prompts: Sequence[Prompt], max_gen_toks: int = 8, until: str | Sequence[str] | None = None
) -> list[str]:
    """The model's greedy answer to each prompt, as written: spaces at its ends are still there.

    The context is that of `direct`, without the space at its end, which the model writes itself. ``until``: where an
    answer ends; None: at what stands between two demonstrations (its spaces left off, unless it is nothing else).
    """
    contexts, stops = [], set()
    for prompt in prompts:
        contexts.append(prompt.input_first("")[0].rstrip(" "))
        separator = prompt.template.separator
        stops.add(separator.strip() or separator)
    until = sorted(stops - {""}) if until is None else until
    return lm.generate_until(contexts, until, max_gen_toks)


def exact_match(answers: Sequence[str], targets: Sequence[str]) -> np.ndarray:
    """Which answers are the target, word for word: (n,) bool. Only white space may differ; case and marks count.

    Raises InputError for lists of different length.
    """
    if len(answers) != len(targets):
        raise InputError(f"Each answer needs its target, got {len(answers)} answers and {len(targets)} targets.")
    pairs = zip(answers, targets, strict=True)
    return np.array([answer.split() == target.split() for answer, target in pairs], dtype=bool)
