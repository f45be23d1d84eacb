"""Exact Bayes for a mixture of classes: each class's posterior mean, weighed by the posterior of the class."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from icl_lab.errors import InputError
from icl_lab.functions import DenseLinear, FourierSeries, Line, Mixture, Sinusoid, SparseAny, SparseLinear, TaskPool
from icl_lab.predictors.fourier import FourierBayes
from icl_lab.predictors.gaussian import ROUNDING
from icl_lab.predictors.linear import DenseBayes, LineBayes
from icl_lab.predictors.pool import PoolBayes
from icl_lab.predictors.sinusoid import SinusoidBayes
from icl_lab.predictors.sparse import SparseBayes


def bayes(function_class: Any) -> Any:
    """The exact Bayes predictor of a function class or mixture; InputError if there is none."""
    match function_class:
        case SparseLinear(dim=d, nonzeros=n, scale=scale, noise=noise):
            return SparseBayes(dim=d, nonzeros=n, scale=scale, noise=noise)
        case DenseLinear(dim=d, scale=scale, noise=noise):
            return DenseBayes(dim=d, scale=scale, noise=noise)
        case SparseAny(dim=d, scale=scale, noise=noise, largest=most):  # a mixture over the number of non-zeros
            return bayes(Mixture([SparseLinear(d, noise, scale, nonzeros=n) for n in range(1, most + 1)]))
        case Line(scale=scale, noise=noise):
            return LineBayes(scale=scale, noise=noise)
        case Sinusoid(noise=noise):
            return SinusoidBayes(noise=noise)
        case FourierSeries(scale=scale, max_frequency=top, noise=noise):
            return FourierBayes(scale=scale, max_frequency=top, noise=noise)
        case TaskPool():
            return PoolBayes(function_class)
        case Mixture():
            return MixtureBayes(function_class)
    raise InputError(f"There is no exact Bayes predictor for {type(function_class).__name__}.")


@dataclass(frozen=True)
class MixtureBayes:
    """Posterior mean under a ``Mixture`` of the classes that ``bayes`` knows: ``(xs, ys) -> (B, T)``.

    The ideal model selection: sum over classes of p(class | first k examples) * that class's posterior mean.

    Without noise the densities of the classes live on supports of different dimension: where one class determines
    example k from the earlier ones and the other gives it a density, the limit noise -> 0 makes the first infinitely
    more likely if it is right and impossible if it is wrong. Both evidences are taken at one common small noise, to
    leading order in it (1e-7 of the outputs' standard deviation: what float32 leaves of the data anyway), so that every
    determined example that fits weighs about 1e7. A class that fits one such example has all but about 1e-6 of the
    posterior; the more a class is restricted, the sooner it wins if it fits: dominance by dimension.
    """

    mixture: Mixture

    def __post_init__(self) -> None:
        if not isinstance(self.mixture, Mixture):
            raise InputError(f"MixtureBayes needs a Mixture, got {type(self.mixture).__name__}.")
        for component in self.mixture.components:
            bayes(component)

    @property
    def name(self) -> str:
        return "Bayes, mixture"

    def _classes(self, xs: Tensor, ys: Tensor, rounding: float | None) -> tuple[Tensor, Tensor]:
        """Means of each class and log weight + log evidence, (B, T, C) each."""
        components = self.mixture.components
        rounding = rounding or ROUNDING * math.sqrt(max(c.second_moment for c in components))
        inferred = [bayes(c).infer(xs, ys, rounding) for c in components]
        means, evidences = (torch.stack(parts, -1) for parts in zip(*inferred, strict=True))
        return means, evidences + torch.tensor(self.mixture.weights, dtype=evidences.dtype).log()

    def infer(self, xs: Tensor, ys: Tensor, rounding: float | None = None) -> tuple[Tensor, Tensor]:
        """Posterior means and log evidences at every prefix, each (B, T) float64; see ``DenseBayes.infer``."""
        means, joint = self._classes(xs, ys, rounding)
        return (joint.softmax(-1) * means).sum(-1), joint.logsumexp(-1)

    def posterior(self, xs: Tensor, ys: Tensor) -> Tensor:
        """p(class | first k examples), (B, T, number of classes) float64; at k = 0 the weights of the mixture."""
        return self._classes(xs, ys, None)[1].softmax(-1)

    def __call__(self, xs: Tensor, ys: Tensor) -> Tensor:
        return self.infer(xs, ys)[0].to(xs.device, dtype=xs.dtype)
