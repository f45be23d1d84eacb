"""Device and number format of a training, decided once, with the reason."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from icl_lab.errors import unknown

BF16_MIN_WIDTH = 64  # below, casts eat the gain; at 64 a step still takes a tenth to a fifth less time


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


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware: AVX-512 BF16 or AMX, compute capability 8."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # not in the oldest torch we allow
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def pick_precision(device: torch.device, n_embd: int) -> Precision:
    """The fastest format in which this training is known to work on this device."""
    if device.type == "cpu":
        if n_embd < BF16_MIN_WIDTH:
            return Precision(None, False, f"float32: at width {n_embd} casting to bfloat16 costs what it gains")
        if not has_bf16(device):
            return Precision(None, False, "float32: this CPU has no bfloat16 multiplication")
        return Precision(torch.bfloat16, False, "bfloat16 autocast with attention in float32: the CPU multiplies it")
    capability = "compute capability {}.{}".format(*torch.cuda.get_device_capability(device))
    if has_bf16(device):
        return Precision(torch.bfloat16, False, f"bfloat16 autocast: {capability}")
    return Precision(torch.float16, True, f"float16 with loss scaling: {capability} has no bfloat16")


class LossScale:
    """Dynamic loss scaling for float16, whose gradients would otherwise vanish below 6e-8.

    The loss is multiplied by ``factor`` before backward and the gradients are divided by it after. A step whose
    gradients overflow counts as a zero gradient and halves the factor; PATIENCE good steps in a row double it.
    ``torch.amp.GradScaler`` decides on the host and for each optimizer apart; here everything stays on the device, so
    that the step can be captured, and one decision holds for all parameters.
    """

    START, PATIENCE = 2.0**16, 2000

    def __init__(self, device: torch.device) -> None:
        self.factor = torch.tensor(self.START, device=device)
        self.good = torch.zeros((), device=device)  # good steps since the factor last changed

    def tensors(self) -> dict[str, Tensor]:
        """What a resumable state must hold."""
        return {"loss_scale.factor": self.factor, "loss_scale.good": self.good}

    def unscale(self, gradients: list[Tensor]) -> None:
        torch._foreach_mul_(gradients, 1 / self.factor)

    def update(self, gradients: list[Tensor], norm: Tensor) -> None:
        """norm: of all gradients together; where it is not finite, all of them become zero."""
        finite = norm.isfinite()
        for gradient in gradients:
            gradient.masked_fill_(~finite, 0.0)
        good = torch.where(finite, self.good + 1, 0.0)
        patient = good >= self.PATIENCE
        self.factor.mul_(torch.where(patient, 2.0, torch.where(finite, 1.0, 0.5)))
        self.good.copy_(torch.where(patient, 0.0, good))
