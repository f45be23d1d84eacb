"""In-context learners with the one call: ``predictor(xs (B, T, d), ys (B, T)) -> (B, T)``."""

from icl_lab.predictors.linear import DenseBayes, LeastSquares, LineBayes, Ridge

__all__ = ["DenseBayes", "LeastSquares", "LineBayes", "Ridge"]
