"""A mixture of function classes: every prompt draws its class, then its function."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from icl_lab.errors import InputError, positive
from icl_lab.functions.base import STATED, FunctionClass, Prompts, Stage
from icl_lab.functions.random import Streams, mix


@dataclass(frozen=True)
class Mixture:
    """The classes and the probability of each (weights are normalized; equal by default).

    ``Prompts.component`` says which class each prompt came from. All components are drawn for every prompt and one
    is kept: shapes stay fixed, so the sampler runs inside a CUDA graph; drawing is cheap next to a training step.
    """

    components: tuple[FunctionClass, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "components", tuple(self.components))
        n = len(self.components)
        if n == 0:
            raise InputError("a Mixture needs at least one component, got none.")
        dims = {c.dim for c in self.components}
        if len(dims) > 1:
            raise InputError(f"components of a Mixture must have one dim, got {sorted(dims)}.")
        weights = (1.0,) * n if self.weights is None else tuple(float(w) for w in self.weights)
        if len(weights) != n:
            raise InputError(f"a Mixture needs one weight per component: {n} components, {len(weights)} weights.")
        total = math.fsum(weights)
        if not (all(w >= 0 and math.isfinite(w) for w in weights) and total > 0):
            raise InputError(f"weights must be >= 0 and sum to a positive number, got {list(weights)}.")
        object.__setattr__(self, "weights", tuple(w / total for w in weights))

    @property
    def dim(self) -> int:
        return self.components[0].dim

    @property
    def noise(self) -> float:
        """The largest noise among the components."""
        return max(c.noise for c in self.components)

    @property
    def second_moment(self) -> float:
        """E f(x)^2 over classes, functions and inputs."""
        return sum(w * c.second_moment for w, c in zip(self.weights, self.components, strict=True))

    def sample(
        self,
        n_prompts: int,
        n_points: int,
        seed: int | Tensor,
        device: torch.device | str = "cpu",
        stage: Stage = STATED,
    ) -> Prompts:
        """As FunctionClass.sample. Component i draws with its own seed, the class with another."""
        positive("n_prompts", n_prompts)
        positive("n_points", n_points)
        root = Streams(seed, device).task
        u = root.uniform(n_prompts)
        # Plain numbers, not a tensor of edges: copying one to a GPU would break the capture of a CUDA graph.
        edges = list(accumulate(self.weights))[:-1]
        if stage.share is not None:
            edges = [stage.share * edge + (1 - stage.share) * (i >= stage.first) for i, edge in enumerate(edges)]
        component = sum((u >= edge).long() for edge in edges) + torch.zeros_like(u).long()
        drawn = [
            c.sample(n_prompts, n_points, mix(root.key + i), device, stage)
            for i, c in enumerate(self.components, start=1)
        ]
        xs, ys = drawn[0].xs, drawn[0].ys
        for i, prompts in enumerate(drawn[1:], start=1):
            mine = component == i
            xs = torch.where(mine[:, None, None], prompts.xs, xs)
            ys = torch.where(mine[:, None], prompts.ys, ys)
        return Prompts(xs, ys, component, {str(i): p.task for i, p in enumerate(drawn)})
