"""One recursion behind every linear-Gaussian predictor: the posterior of w after each example.

y_i = phi_i . w + noise, w ~ N(0, prior_std^2 I). With noise this is the Kalman recursion (recursive least squares).
Without noise its limit noise -> 0 is taken analytically, as in exact diffuse filtering (Durbin and Koopman 2012,
"Time Series Analysis by State Space Methods", 5.2), never by a small jitter. The covariance of w is kept in two parts:

    prior_std^2 * Z  +  noise^2 * P

Z projects on the directions that no example has touched yet; P is what noise would leave in the others. An example in
a new direction (x'Zx > 0) is fitted exactly and shrinks Z; any other example updates by P, which is ordinary least
squares on what was seen. Hence the mean is the minimum-norm least-squares solution of every prefix.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Inputs arrive as float32. A direction that keeps less than this part of an input's length is not new.
NEW_DIRECTION = 1e-6
# Outputs computed in float32 miss the exact ones by about this part of their standard deviation.
ROUNDING = 1e-7


def sweep(features: Tensor, ys: Tensor, prior_std: float, noise: float, rounding: float) -> tuple[Tensor, Tensor]:
    """Posterior means and log evidences of S models at every prefix.

    features: (B, T, S, s) float64, what the weights of each model multiply; ys: (B, T).
    rounding: the standard deviation that stands for noise -> 0 where evidences are compared (used if noise is 0).
    Returns means (B, T, S) of f at point k, and log p(y_0..y_(k-1)) (B, T, S), both from the first k examples.
    """
    B, T, S, s = features.shape
    exact = noise == 0
    unit = rounding**2 if exact else noise**2  # P is in units of this variance
    eye = torch.eye(s, dtype=features.dtype).expand(B, S, s, s)
    Z = eye.clone() if exact else None
    P = torch.zeros_like(eye) if exact else eye * (prior_std / noise) ** 2
    P = P.contiguous()
    w = torch.zeros(B, S, s, dtype=features.dtype)
    rank = torch.zeros(B, S, dtype=torch.int64)
    total = torch.zeros(B, S, dtype=features.dtype)
    means, evidences = torch.empty(2, B, T, S, dtype=features.dtype)
    for k in range(T):
        x = features[:, k]  # (B, S, s)
        means[:, k] = (w * x).sum(-1)
        evidences[:, k] = total
        if k == T - 1:
            break  # the last y is never an example
        residual = ys[:, k, None] - means[:, k]
        Px = (P @ x.unsqueeze(-1)).squeeze(-1)
        F = 1.0 + (x * Px).sum(-1)
        gain = Px / F.unsqueeze(-1)
        variance = unit * F  # of the residual
        if Z is not None:
            new, direction, rest = _new_direction(Z, x)
            gain = torch.where(new.unsqueeze(-1), direction, gain)
            variance = torch.where(new, prior_std**2 * rest, variance)
            rank += new
            if bool((rank == s).all()):
                Z = None  # nothing is left untouched: only P works from here on
            else:
                Z *= (rank < s)[..., None, None]
        # Both cases at once: P - g u' - u g' + F g g' with u = P x.
        half = Px - 0.5 * F.unsqueeze(-1) * gain
        P.addcmul_(gain.unsqueeze(-1), half.unsqueeze(-2), value=-1.0)
        P.addcmul_(half.unsqueeze(-1), gain.unsqueeze(-2), value=-1.0)
        w = w + gain * residual.unsqueeze(-1)
        total = total - 0.5 * (residual**2 / variance + torch.log(2.0 * math.pi * variance))
    return means, evidences


def _new_direction(Z: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Whether x reaches outside what was seen, the gain for it, and x'Zx; Z shrinks in place.

    Z is applied twice, as Gram-Schmidt is run twice: the second time removes what rounding left of seen directions.
    """
    r = (Z @ (Z @ x.unsqueeze(-1))).squeeze(-1)
    rest = (r * x).sum(-1)
    new = rest > NEW_DIRECTION**2 * (x * x).sum(-1)
    rest = torch.where(new, rest, torch.ones_like(rest))
    gain = torch.where(new.unsqueeze(-1), r / rest.unsqueeze(-1), torch.zeros_like(r))
    Z.addcmul_(r.unsqueeze(-1), gain.unsqueeze(-2), value=-1.0)
    return new, gain, rest
