"""A prompt taken apart: each function takes away one thing that demonstrations show and leaves the others in place.

Min et al. 2022 (arXiv 2202.12837) name four such things, and those are the four used here:

    mapping              which label belongs to which input      `random_labels`, `wrong_labels`, `partly_wrong`
    label space          which words are labels at all           `rename`
    input distribution   what the inputs look like               `other_inputs`
    format               an input is followed by its label       `unpaired`, `labels_only`, `inputs_only`

The functions take a `Case` and give another one with the same query. How each thing is taken away is our choice.
``space`` is the list of the task's label words, and ``rng`` a numpy Generator, so that a seed makes the same prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from icl_lab.errors import InputError
from icl_lab.language.prompts import Demonstration
from icl_lab.language.worlds.base import Case


def without_demonstrations(case: Case) -> Case:
    """The query alone, after the instruction if there is one."""
    return replace(case, prompt=replace(case.prompt, demonstrations=()))


def relabel(case: Case, labels: Sequence[str]) -> Case:
    """The same inputs with these labels, one for each demonstration. InputError if their number differs."""
    shots = case.prompt.demonstrations
    if len(labels) != len(shots):
        raise InputError(f"Each demonstration needs a label, got {len(labels)} for {len(shots)} demonstrations.")
    fresh = tuple(Demonstration(shot.x, label) for shot, label in zip(shots, labels, strict=True))
    return replace(case, prompt=replace(case.prompt, demonstrations=fresh))


def random_labels(case: Case, space: Sequence[str], rng: np.random.Generator) -> Case:
    """Each demonstration's label drawn uniformly from the label space: right by chance in 1 of len(space)."""
    return relabel(case, [space[i] for i in rng.integers(len(space), size=len(case.prompt.demonstrations))])


def wrong_labels(case: Case, space: Sequence[str]) -> Case:
    """Every label replaced by the next one of the space: all wrong, and wrong in the same way all along."""
    return relabel(case, [_next(shot.y, space) for shot in case.prompt.demonstrations])


def partly_wrong(case: Case, space: Sequence[str], right: int, rng: np.random.Generator) -> Case:
    """Exactly ``right`` of the demonstrations, chosen at random, keep their label; the others get the next one.

    Raises InputError unless 0 <= right <= the number of demonstrations.
    """
    shots = case.prompt.demonstrations
    if not 0 <= right <= len(shots):
        raise InputError(f"right must be between 0 and the {len(shots)} demonstrations, got {right}.")
    kept = set(rng.permutation(len(shots))[:right].tolist())
    return relabel(case, [shot.y if i in kept else _next(shot.y, space) for i, shot in enumerate(shots)])


def _next(label: str, space: Sequence[str]) -> str:
    if label not in space or len(space) < 2:
        raise InputError(f"The label {label!r} needs a label space of two or more words that holds it, got {space}.")
    return space[(list(space).index(label) + 1) % len(space)]


def rename(case: Case, names: Mapping[str, str], ask: bool = False) -> Case:
    """The demonstrations' labels replaced by other words, the same word for the same label: ``names`` says which.

    ``ask``: the answer is renamed too, and the candidates are the new words. Otherwise query, candidates and answer
    stay, and the demonstrations just do not show the label space. Raises InputError for a label without a name, and
    for two labels with one name.
    """
    answer = case.labels[case.answer]
    missing = {shot.y for shot in case.prompt.demonstrations} | {answer}
    missing -= set(names)
    if missing or len(set(names.values())) != len(names):
        raise InputError(f"Each label needs a name of its own, got {dict(names)}; missing: {sorted(missing)}.")
    case = relabel(case, [names[shot.y] for shot in case.prompt.demonstrations])
    words = tuple(names.values())
    return replace(case, labels=words, answer=words.index(names[answer])) if ask else case


def other_inputs(case: Case, inputs: Sequence[str]) -> Case:
    """These inputs with the labels as they were, one for each demonstration. InputError if their number differs."""
    shots = case.prompt.demonstrations
    if len(inputs) != len(shots):
        raise InputError(f"Each demonstration needs an input, got {len(inputs)} for {len(shots)} demonstrations.")
    fresh = tuple(Demonstration(x, shot.y) for x, shot in zip(inputs, shots, strict=True))
    return replace(case, prompt=replace(case.prompt, demonstrations=fresh))


def unpaired(case: Case) -> Case:
    """All inputs, then all labels, each set apart as two demonstrations are: nothing says what belongs together."""
    shots = case.prompt.demonstrations
    return _loose(case, [shot.x for shot in shots] + [shot.y for shot in shots])


def labels_only(case: Case) -> Case:
    """The demonstrations' labels without their inputs."""
    return _loose(case, [shot.y for shot in case.prompt.demonstrations])


def inputs_only(case: Case) -> Case:
    """The demonstrations' inputs without their labels."""
    return _loose(case, [shot.x for shot in case.prompt.demonstrations])


def _loose(case: Case, parts: Sequence[str]) -> Case:
    """The case with these texts in place of its demonstrations, written where an instruction stands."""
    prompt, template = case.prompt, case.prompt.template
    if not parts:
        return case
    front = prompt.instruction + template.head if prompt.instruction else ""
    loose = replace(
        prompt,
        demonstrations=(),
        instruction=front + template.separator.join(parts),
        template=replace(template, head=template.separator),
    )
    return replace(case, prompt=loose)
