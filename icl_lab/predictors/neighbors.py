"""Nearest neighbors: predict what the most similar examples had."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from icl_lab.errors import check_count
from icl_lab.predictors.base import check_prompts, in_chunks

CHUNK = 64  # prompts at a time: their T x T distances stay in the cache


@dataclass(frozen=True)
class NearestNeighbors:
    """The plain mean of y over the n nearest of the first k examples, by Euclidean distance; of all while k < n.

    ``(xs (B, T, d), ys (B, T)) -> (B, T)``; 0 at k = 0. Garg et al. 2022 (arXiv 2208.01066) use n = 3. Of examples at
    exactly one distance any may be taken. Raises InputError for n < 1 and for shapes that do not fit.
    """

    n: int = 3

    def __post_init__(self) -> None:
        check_count("n", self.n)

    @property
    def name(self) -> str:
        return "nearest neighbor" if self.n == 1 else f"{self.n} nearest neighbors"

    def __call__(self, xs: Tensor, ys: Tensor) -> Tensor:
        X, Y = check_prompts(self.name, xs, ys)
        return in_chunks(self._mean, CHUNK, X, Y)[0].to(xs.device, dtype=xs.dtype)

    def _mean(self, X: Tensor, Y: Tensor) -> tuple[Tensor]:
        b, T, _ = X.shape
        distance = torch.cdist(X, X, compute_mode="donot_use_mm_for_euclid_dist")  # (b, T, T): no rounding near zero
        later = torch.ones(T, T, dtype=torch.bool).triu()
        nearest = distance.masked_fill_(later, torch.inf).topk(min(self.n, T), largest=False)  # (b, T, n)
        counts = nearest.values.isfinite()  # at k < n the rest are not examples yet
        y = Y.unsqueeze(1).expand(b, T, T).gather(2, nearest.indices)
        return ((y * counts).sum(-1) / counts.sum(-1).clamp(min=1),)
