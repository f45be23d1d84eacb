"""In-context learners with the one call: ``predictor(xs (B, T, d), ys (B, T)) -> (B, T)``."""

from icl_lab.predictors.averaging import Averaging
from icl_lab.predictors.descent import GradientDescent
from icl_lab.predictors.expensive import Expensive
from icl_lab.predictors.fourier import FourierBayes
from icl_lab.predictors.lasso import Lasso
from icl_lab.predictors.linear import DenseBayes, LeastSquares, LineBayes, Ridge
from icl_lab.predictors.mixture import MixtureBayes, bayes
from icl_lab.predictors.neighbors import NearestNeighbors
from icl_lab.predictors.network import TwoLayerNet
from icl_lab.predictors.pool import PoolBayes
from icl_lab.predictors.sinusoid import SinusoidBayes
from icl_lab.predictors.sparse import SparseBayes
from icl_lab.predictors.trees import GradientBoosting, GreedyTree

__all__ = [
    "Averaging",
    "DenseBayes",
    "Expensive",
    "FourierBayes",
    "GradientBoosting",
    "GradientDescent",
    "GreedyTree",
    "Lasso",
    "LeastSquares",
    "LineBayes",
    "MixtureBayes",
    "NearestNeighbors",
    "PoolBayes",
    "Ridge",
    "SinusoidBayes",
    "SparseBayes",
    "TwoLayerNet",
    "bayes",
]
