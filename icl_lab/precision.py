"""Device and number format of a training, decided once, with the reason."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from icl_lab.errors import unknown

BF16_MIN_WIDTH = 128  # below, on CPUs with bfloat16 units, casts eat most of the gain


@dataclass(frozen=True)
class Precision:
    """autocast dtype (None: plain float32), whether gradients need loss scaling, and why."""

    dtype: torch.dtype | None
    scale_loss: bool
    reason: str


def pick_device(name: str | None) -> torch.device:
    """``cpu``, ``cuda`` or None for the best there is. Raises InputError for a name that is not there."""
    known = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
    if name is None:
        return torch.device(known[-1])
    if name not in known:
        raise unknown("device", name, known)
    return torch.device(name)


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (AVX-512 BF16 or AMX)."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # not in the oldest torch we allow
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def pick_precision(device: torch.device, n_embd: int) -> Precision:
    """The fastest format in which this training is known to work on this device."""
    if device.type == "cpu":
        if n_embd < BF16_MIN_WIDTH:
            return Precision(None, False, f"float32: at width {n_embd} casting to bfloat16 costs what it gains")
        if not cpu_has_bf16():
            return Precision(None, False, "float32: this CPU has no bfloat16 multiplication")
        return Precision(torch.bfloat16, False, "bfloat16 autocast with attention in float32: the CPU multiplies it")
    major, minor = torch.cuda.get_device_capability(device)
    if major >= 8:
        return Precision(torch.bfloat16, False, f"bfloat16 autocast: compute capability {major}.{minor}")
    return Precision(
        torch.float16, True, f"float16 with loss scaling: compute capability {major}.{minor} has no bfloat16"
    )
