"""In-context learners with the one call: ``predictor(xs (B, T, d), ys (B, T)) -> (B, T)``."""

from icl_lab.predictors.lasso import Lasso
from icl_lab.predictors.linear import DenseBayes, LeastSquares, LineBayes, Ridge
from icl_lab.predictors.mixture import MixtureBayes, bayes
from icl_lab.predictors.pool import PoolBayes
from icl_lab.predictors.sinusoid import SinusoidBayes
from icl_lab.predictors.sparse import SparseBayes

__all__ = [
    "DenseBayes",
    "Lasso",
    "LeastSquares",
    "LineBayes",
    "MixtureBayes",
    "PoolBayes",
    "Ridge",
    "SinusoidBayes",
    "SparseBayes",
    "bayes",
]
