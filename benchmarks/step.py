"""One training step, ours against the construction of the research's code: CPU seconds, one thread, taking turns.

The peer is built as Garg et al.'s published training is: transformers' ``GPT2Model`` fed with ``inputs_embeds``, a
linear read-in and read-out, x and y in turn as tokens, float32, torch's Adam at 1e-4, prompts drawn with torch.randn,
the loss read at every step. Ours is the step that ``icl-lab train`` takes, its own sampling and its optimizer included.
Both learn dense functions at d = 20 from 64 prompts of 41 points. Ratios are medians over rounds in which each took one
step, so a change of the machine's speed meets both.

    python -m benchmarks.step
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from benchmarks import timing
from benchmarks.timing import cpu_time
from icl_lab.functions import DenseLinear
from icl_lab.precision import pick_precision
from icl_lab.step import Stepper
from icl_lab.training import Recipe
from icl_lab.transformer import SIZES, Config, Transformer

DIM, N_POINTS, BATCH = 20, 41, 64
CPU = torch.device("cpu")
WANTED_SHARE = 0.35


@dataclass(frozen=True)
class Row(timing.Row):
    """A comparison of two training steps."""

    precision: str = field(kw_only=True)


class PeerModel(nn.Module):
    def __init__(self, n_layer: int, n_embd: int, n_head: int) -> None:
        super().__init__()
        from transformers import GPT2Config, GPT2Model

        config = GPT2Config(
            n_positions=2 * N_POINTS,
            n_embd=n_embd,
            n_layer=n_layer,
            n_head=n_head,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            use_cache=False,
        )
        self.read_in, self.read_out = nn.Linear(DIM, n_embd), nn.Linear(n_embd, 1)
        self.backbone = GPT2Model(config)

    def forward(self, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
        wide = torch.cat([ys[..., None], torch.zeros(*ys.shape, DIM - 1, device=ys.device)], dim=2)  # (B, T, d)
        tokens = torch.stack([xs, wide], dim=2).view(len(xs), 2 * N_POINTS, DIM)
        hidden = self.backbone(inputs_embeds=self.read_in(tokens)).last_hidden_state
        return self.read_out(hidden)[:, ::2, 0]


def peer_step(n_layer: int, n_embd: int, n_head: int, device: torch.device = CPU) -> Callable[[], float]:
    """Their step, with PyTorch's own settings; on a GPU too prompts are drawn on the CPU and moved, as they do."""
    model = PeerModel(n_layer, n_embd, n_head).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def step() -> float:
        xs, w = torch.randn(BATCH, N_POINTS, DIM), torch.randn(BATCH, DIM, 1)
        ys = (xs @ w)[..., 0]
        xs, ys = xs.to(device), ys.to(device)
        optimizer.zero_grad()
        loss = (model(xs, ys) - ys).square().mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def our_step(
    n_layer: int,
    n_embd: int,
    n_head: int,
    tokens: str,
    optimizer: str = "muon",
    device: torch.device = CPU,
    batch: int = BATCH,
    compiled: bool = True,
) -> Stepper:
    recipe = Recipe(
        "bench", DenseLinear(DIM), N_POINTS, steps=1000, batch_size=batch, tokens=tokens, optimizer=optimizer
    )
    config = Config(DIM, N_POINTS, n_layer, n_embd, n_head, tokens)
    model = Transformer(config).init_weights(0).to(device)
    return Stepper(recipe, model, device, pick_precision(device, n_embd), compiled)


NARROW = (4, 64, 4)  # layers, width, heads
CASES = {  # name: shape, tokens, optimizer, the ratio that the project set itself
    "standard, pair": (SIZES["standard"], "pair", "muon", 5.0),
    "standard, interleaved": (SIZES["standard"], "interleaved", "muon", 2.5),
    "standard, pair, AdamW alone": (SIZES["standard"], "pair", "adamw", None),
    "4 layers x 64, pair": (NARROW, "pair", "muon", 2.5),
    "4 layers x 64, interleaved": (NARROW, "interleaved", "muon", None),
}


def rows(rounds: int = 3) -> list[Row]:
    """The comparisons: in every round each of ours and the peer take a step, after one that pays for start-up.

    About two minutes on one quiet core.
    """
    found = []
    for shape, repeat in ((SIZES["standard"], rounds), (NARROW, 5 * rounds)):
        cases = {name: case for name, case in CASES.items() if case[0] == shape}
        steps = {name: our_step(*shape, tokens, optimizer) for name, (_, tokens, optimizer, _) in cases.items()}
        steps["peer"] = peer_step(*shape)
        for step in steps.values():
            step()
        times = [{name: cpu_time(step) for name, step in steps.items()} for _ in range(repeat)]
        middle = {name: statistics.median(t[name] for t in times) for name in steps}
        for name, (*_, wanted) in cases.items():
            ratio = statistics.median(t["peer"] / t[name] for t in times)
            reason = steps[name].precision.reason
            times = middle[name], middle["peer"]
            found.append(Row(f"step, {name}", "GPT2Model, Adam", *times, ratio, wanted, precision=reason))
    return found


# ---------------------------------------------------------------- share of the machine's rate


def model_flops(config: Config, batch: int = BATCH) -> float:
    """Floating-point operations of forward and backward over a batch: matrix products only, 2 per multiply-add.

    Forward is 2 per weight of a matrix and token, and 4 n_embd per pair of tokens that attention joins (half of all
    pairs: the others are masked); backward is twice the forward. Embeddings and norms are left out.
    """
    C, n = config.n_embd, config.n_tokens
    weights = config.n_layer * 12 * C * C + config.token_width * C + C
    pairs = n * (n + 1) / 2
    return 3 * batch * (2 * weights * n + config.n_layer * 4 * C * pairs)


def muon_flops(config: Config, steps: int = 5) -> float:
    """Operations of the Newton-Schulz steps: per step a Gram matrix, its square, and their product with the matrix."""
    C = config.n_embd
    shapes = [(C, 3 * C), (C, C), (C, 4 * C), (C, 4 * C)]
    return config.n_layer * steps * sum(2 * (2 * r * r * c + r**3) for r, c in shapes)


@dataclass(frozen=True)
class Share:
    """What part of the machine's bfloat16 matmul rate one standard step reaches, without and with the optimizer's work.

    The step's whole time counts in both, sampling and optimizer included. ``formats``: how many times faster bfloat16
    products are than float32 ones on this machine, which bounds what any bfloat16 step can win.
    """

    gflops_per_step: float
    gflops_optimizer: float
    seconds: float
    matmul_gflops_per_second: float
    formats: float
    share: float
    share_with_optimizer: float
    wanted: float = WANTED_SHARE


def share(rounds: int = 5, n: int = 2048) -> Share:
    """Standard size, ``pair`` tokens; the rate is that of an n x n x n product, measured between the steps."""
    stepper = our_step(*SIZES["standard"], "pair")
    flops, extra = model_flops(stepper.model.config), muon_flops(stepper.model.config)
    a, b = torch.randn(2, n, n)
    a16, b16 = a.bfloat16(), b.bfloat16()
    calls = {"step": stepper, "bfloat16": lambda: a16 @ b16, "float32": lambda: a @ b}
    for call in calls.values():
        call()
    times = [{name: cpu_time(call) for name, call in calls.items()} for _ in range(rounds)]
    middle = {name: statistics.median(t[name] for t in times) for name in calls}
    reached = statistics.median(flops / t["step"] / (2 * n**3 / t["bfloat16"]) for t in times)
    return Share(
        gflops_per_step=flops / 1e9,
        gflops_optimizer=extra / 1e9,
        seconds=middle["step"],
        matmul_gflops_per_second=2 * n**3 / middle["bfloat16"] / 1e9,
        formats=middle["float32"] / middle["bfloat16"],
        share=reached,
        share_with_optimizer=reached * (1 + extra / flops),
    )
