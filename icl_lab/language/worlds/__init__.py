"""Worlds of text whose grammar is written down, so that the best possible answer is known exactly."""

from icl_lab.language.worlds.noisy_evidence import Case, NoisyEvidence

WORLDS = {"NoisyEvidence": NoisyEvidence}

__all__ = ["WORLDS", "Case", "NoisyEvidence"]
