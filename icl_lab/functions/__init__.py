"""Function classes: laws of prompts. ``fc.sample(n_prompts, n_points, seed, device) -> Prompts``."""

from icl_lab.functions.base import FunctionClass, Prompts, Stage
from icl_lab.functions.combination import ConvexCombination
from icl_lab.functions.curves import Line, Sinusoid
from icl_lab.functions.extremes import SinusoidOf, SteepLine
from icl_lab.functions.fourier import FourierSeries
from icl_lab.functions.linear import DenseLinear, SparseAny, SparseLinear
from icl_lab.functions.mixture import Mixture
from icl_lab.functions.networks import TwoLayerReLU
from icl_lab.functions.pool import TaskPool
from icl_lab.functions.random import training_seed
from icl_lab.functions.shifts import (
    ShiftedPrompts,
    gen_noisy,
    gen_orthants,
    gen_query_equal,
    gen_query_orthogonal,
    gen_scaled_w,
    gen_scaled_x,
    gen_skewed,
    gen_subspace,
)
from icl_lab.functions.trees import DecisionTree

__all__ = [
    "ConvexCombination",
    "DecisionTree",
    "DenseLinear",
    "FourierSeries",
    "FunctionClass",
    "Line",
    "Mixture",
    "Prompts",
    "ShiftedPrompts",
    "Sinusoid",
    "SinusoidOf",
    "SparseAny",
    "SparseLinear",
    "Stage",
    "SteepLine",
    "TaskPool",
    "TwoLayerReLU",
    "gen_noisy",
    "gen_orthants",
    "gen_query_equal",
    "gen_query_orthogonal",
    "gen_scaled_w",
    "gen_scaled_x",
    "gen_skewed",
    "gen_subspace",
    "training_seed",
]
