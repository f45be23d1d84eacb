"""Counter-based random numbers: a batch is a pure function of its seed, the same on every device.

The generator is SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"):
the n-th 64-bit word is a fixed mixing function of ``key + n * GAMMA``. It has no state, so

- there is nothing to save when a training is interrupted: step 1000 draws the same batch in any run;
- the seed may be a tensor on the device, so a CUDA graph draws new data at every replay without the host;
- CPU and GPU draw the same bits (normals agree up to the rounding of log and cos).

``torch.Generator`` has none of the three: its CPU and CUDA streams differ, and its CPU seed keeps only 32 bits.
Integers are int64 in two's complement: products and sums wrap as unsigned ones do, only the shift needs a mask.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

TRAINING_BIT = 1 << 62  # set in every training seed and in no evaluation seed: the two can never meet


def _signed(word: int) -> int:
    """The 64-bit word as the int64 that holds the same bits."""
    word &= (1 << 64) - 1
    return word - (1 << 64) if word >> 63 else word


GAMMA = _signed(0x9E3779B97F4A7C15)
MIX1 = _signed(0xBF58476D1CE4E5B9)
MIX2 = _signed(0x94D049BB133111EB)


def _xor_shift(x: Tensor, bits: int, spare: Tensor) -> Tensor:
    """x ^= x >> bits with a logical shift: int64 shifts copy the sign, the mask takes the copies away."""
    torch.bitwise_right_shift(x, bits, out=spare)
    return x.bitwise_xor_(spare.bitwise_and_((1 << (64 - bits)) - 1))


def _mix(x: Tensor) -> Tensor:
    """``mix`` in the memory of x. Fresh memory for every operation would cost more than the operations do."""
    spare = torch.empty_like(x)
    _xor_shift(x, 30, spare).mul_(MIX1)
    _xor_shift(x, 27, spare).mul_(MIX2)
    return _xor_shift(x, 31, spare)


def mix(x: Tensor) -> Tensor:
    """SplitMix64's output function, a bijection on 64-bit words. x: int64 of any shape."""
    return _mix(x.clone())


def training_seed(run_seed: int, step: int | Tensor) -> int | Tensor:
    """The seed of one training batch: distinct for every (run_seed < 2**30, step < 2**32)."""
    return step + ((run_seed << 32) | TRAINING_BIT)


def _uniforms(words: Tensor) -> Tensor:
    """(..., n) words -> (..., 2 n) float32 in (0, 1)."""
    n = words.shape[-1]
    out = torch.empty(*words.shape[:-1], 2 * n, dtype=torch.float32, device=words.device)
    half = words >> 40
    out[..., :n] = half.bitwise_and_(0xFFFFFF)
    torch.bitwise_right_shift(words, 8, out=half)
    out[..., n:] = half.bitwise_and_(0xFFFFFF)
    return out.add_(0.5).mul_(2.0**-24).clamp_(max=1 - 2.0**-24)


def _normals(words: Tensor) -> Tensor:
    """(..., n) words -> (..., 2 n) standard normals."""
    out = _uniforms(words)
    u, v = out.chunk(2, -1)
    radius = torch.log(u).mul_(-2.0).sqrt_()
    angle = v * (2.0 * math.pi)
    torch.cos(angle, out=u).mul_(radius)  # u and v are the halves of out
    torch.sin(angle, out=v).mul_(radius)
    return out


def table_rows(seed: int, rows: Tensor, n: int) -> Tensor:
    """(..., n) standard normals: those rows (...) of an endless table that belongs to the seed.

    A row depends on the seed and its number alone, so a table of any length is had without being kept.
    """
    seed, fourth = (torch.full((), _signed(i), dtype=torch.int64, device=rows.device) for i in (seed, 4))
    root = _roots(seed, fourth)
    keys = mix(root + rows * GAMMA).unsqueeze(-1)
    return _normals(_mix(keys + torch.arange(1, (n + 1) // 2 + 1, device=rows.device) * GAMMA))[..., :n]


def _roots(seed: Tensor, i: Tensor) -> Tensor:
    """The i-th of a seed's independent keys, for each i: 1 to 3 are a batch's streams, 4 is the table."""
    return _mix(_mix(seed + i * GAMMA) + i)


class Stream:
    """One stream of random numbers. Every draw uses its own key, so shapes never make draws overlap."""

    def __init__(self, key: Tensor) -> None:
        self.key = key  # () int64, on the device that the numbers are wanted on
        self.draws = 0

    def _words(self, n: int) -> Tensor:
        self.draws += 1
        key = mix(self.key + _signed(self.draws * GAMMA))
        return _mix(torch.arange(1, n + 1, device=key.device).mul_(GAMMA).add_(key))

    def uniform(self, *shape: int) -> Tensor:
        """float32 in (0, 1), never 0 and never 1: two 24-bit numbers out of every 64-bit word."""
        n = math.prod(shape)
        return _uniforms(self._words((n + 1) // 2))[:n].view(shape)

    def normal(self, *shape: int) -> Tensor:
        """Standard normals by Box and Muller; tails reach 5.9 standard deviations."""
        n = math.prod(shape)
        return _normals(self._words((n + 1) // 2))[:n].view(shape)

    def gamma(self, shape_parameter: int, *shape: int) -> Tensor:
        """Gamma with an integer shape parameter and rate 1: a sum of that many exponentials."""
        return -torch.log(self.uniform(shape_parameter, *shape)).sum(0)

    def integers(self, high: int | Tensor, *shape: int) -> Tensor:
        """int64, uniform on 0..high-1; ``high`` may be a tensor. The remainder's bias is below high / 2**53."""
        return ((self._words(math.prod(shape)) >> 11) & ((1 << 53) - 1)).view(shape) % high

    def subset(self, batch: int, n: int, size: int | Tensor, limit: int | Tensor | None = None) -> Tensor:
        """(batch, n) of 0 and 1: a uniform subset of the given size in each row; ``size`` may be (batch,) sizes.

        ``limit`` (a number of leading columns, may be a tensor) keeps the subset among the first columns.
        """
        keys = self.uniform(batch, n)
        if limit is not None:
            keys = keys - (torch.arange(n, device=keys.device) >= limit).float()
        if isinstance(size, Tensor):
            rank = keys.argsort(dim=1, descending=True, stable=True).argsort(dim=1)  # 0 for the largest key of a row
            return (rank < size.unsqueeze(-1)).float()
        chosen = keys.topk(size, dim=1).indices
        return torch.zeros_like(keys).scatter_(1, chosen, 1.0)


class Streams:
    """The three independent streams of a batch: inputs, task, noise.

    Turning noise on, or drawing more of it, never changes the inputs or the functions.
    """

    def __init__(self, seed: int | Tensor, device: torch.device | str = "cpu") -> None:
        if not isinstance(seed, Tensor):
            seed = torch.tensor(_signed(seed), dtype=torch.int64, device=device)
        roots = _roots(seed, torch.arange(1, 4, device=seed.device))
        self.inputs, self.task, self.noise = (Stream(root) for root in roots)
