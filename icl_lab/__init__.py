"""icl_lab: in-context learning, measured.

Everything that predicts is an in-context learner: one call, ``predictor(xs, ys) -> (B, T)``.
Importing the package is light on purpose: no compilation, no network, no plotting backend.
"""

__version__ = "0.1.0"
