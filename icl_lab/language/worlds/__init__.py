"""Worlds of text whose grammar is written down, so that the best possible answer is known exactly."""

from icl_lab.language.worlds.base import Case, World, reorder
from icl_lab.language.worlds.drift import Drift
from icl_lab.language.worlds.expression import Expression
from icl_lab.language.worlds.mapping import Mapping
from icl_lab.language.worlds.noisy_evidence import NoisyEvidence
from icl_lab.language.worlds.reasoning import Reasoning
from icl_lab.language.worlds.recognition import Recognition

WORLDS = {
    "NoisyEvidence": NoisyEvidence,
    "Recognition": Recognition,
    "Mapping": Mapping,
    "Drift": Drift,
    "Reasoning": Reasoning,
    "Expression": Expression,
}

__all__ = [
    "WORLDS",
    "Case",
    "Drift",
    "Expression",
    "Mapping",
    "NoisyEvidence",
    "Reasoning",
    "Recognition",
    "World",
    "reorder",
]
