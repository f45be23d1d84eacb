"""Measuring a transformer: a learning curve's errors beside the way of the research's code, CPU seconds, one thread.

Ours is ``squared_errors`` of a loaded model, drawing prompts included, with ``pair`` tokens (the default) and with the
peers' ``interleaved`` ones, both in float32. The peers' way: transformers' ``GPT2Model`` in float32 on interleaved
tokens, 64 prompts at a time, drawn with torch.randn. Weights are random: the time does not depend on them. Part of the
1,280 prompts is timed and the seconds are scaled; rows say so. The bootstrap of the interval is on nobody's account.

    python -m benchmarks.run evaluation
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from benchmarks.step import BATCH, DIM, N_POINTS, PeerModel
from benchmarks.timing import Row, compared
from icl_lab.checkpoints import Pretrained
from icl_lab.evaluation import squared_errors
from icl_lab.functions import DenseLinear
from icl_lab.transformer import SIZES, Config, Transformer

N_PROMPTS, TIMED = 1280, 128
CASES = {"standard": ("pair", "interleaved"), "small": ("pair",)}
PEER = "GPT2Model, float32, batch 64"


def ours(size: str, tokens: str) -> Pretrained:
    """A model of ours with random weights, as ``checkpoints.load`` gives a trained one."""
    config = Config.of_size(size, dim=DIM, n_points=N_POINTS, tokens=tokens)
    return Pretrained(Transformer(config).init_weights(0).eval(), {"name": f"{size}, random weights"})


@torch.no_grad()
def peer_errors(model: PeerModel, n_prompts: int) -> Tensor:
    """(n_prompts, T) squared errors over E f(x)^2 on dense functions of raw scale."""
    errors = []
    for start in range(0, n_prompts, BATCH):
        n = min(BATCH, n_prompts - start)
        xs, w = torch.randn(n, N_POINTS, DIM), torch.randn(n, DIM, 1)
        ys = (xs @ w)[..., 0]
        errors.append((model(xs, ys) - ys).square() / DIM)
    return torch.cat(errors)


def rows(timed: int = TIMED, rounds: int = 3) -> list[Row]:
    """The comparisons, about half a minute; ``timed`` prompts of 1,280."""
    found = []
    for size, tokenizations in CASES.items():
        own = {
            f"evaluation, {size}, {tokens}, {N_PROMPTS} x {N_POINTS} ({timed} timed)": partial(
                squared_errors, ours(size, tokens), DenseLinear(DIM), timed, N_POINTS
            )
            for tokens in tokenizations
        }
        peer = {PEER: partial(peer_errors, PeerModel(*SIZES[size]).eval(), timed)}
        found += compared(own, peer, rounds, scale=N_PROMPTS / timed)
    return found
