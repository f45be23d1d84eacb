"""The GPT-2-style transformer of the research this course teaches, on one page.

Pre-LN blocks, learned positions, tanh GELU and biases as GPT-2; read-in and read-out are linear maps from prompts of
numbers and to one prediction (Garg et al. 2022, arXiv 2208.01066). Names follow nanoGPT. A test loads the same weights
into transformers' GPT2Model.

Two ways to write a prompt (x_0, y_0), ..., (x_T-1, y_T-1) as tokens:

- ``pair``: token i is [x_i, y_(i-1), x_(i-1)], one token per example: half the length, and learns sooner;
- ``interleaved``: x_i and [y_i, 0, ..., 0] in turn, two tokens per example: Garg et al.'s, for replication.

Either way the prediction of y_i is read where x_i has been seen and y_i has not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from icl_lab.errors import InputError, positive, unknown

# Garg et al.'s names: layers, embedding width, heads.
SIZES = {"tiny": (3, 64, 2), "small": (6, 128, 4), "standard": (12, 256, 8)}
TOKENS = ("pair", "interleaved")


@dataclass(frozen=True)
class Config:
    """Everything that fixes the model's shape and how it reads numbers."""

    dim: int  # coordinates of x
    n_points: int  # the longest prompt, query included
    n_layer: int
    n_embd: int
    n_head: int
    tokens: str = "pair"
    input_scale: float = 1.0  # x is divided by it: U(-5, 5) inputs enter with standard deviation 1
    init_std: float | None = None  # None: 1/sqrt(fan_in), learns many times sooner here than GPT-2's 0.02

    def __post_init__(self) -> None:
        for name in ("dim", "n_points", "n_layer", "n_embd", "n_head", "input_scale"):
            positive(name, getattr(self, name))
        if self.tokens not in TOKENS:
            raise unknown("tokenization", self.tokens, TOKENS)
        if self.n_embd % self.n_head:
            raise InputError(f"n_embd must be a multiple of n_head, got {self.n_embd} and {self.n_head}.")

    @property
    def token_width(self) -> int:
        return 2 * self.dim + 1 if self.tokens == "pair" else self.dim

    @property
    def n_tokens(self) -> int:
        return self.n_points if self.tokens == "pair" else 2 * self.n_points

    @classmethod
    def of_size(cls, size: str, **kwargs) -> Config:
        """A named size; raises InputError for an unknown one."""
        if size not in SIZES:
            raise unknown("size", size, SIZES)
        n_layer, n_embd, n_head = SIZES[size]
        return cls(n_layer=n_layer, n_embd=n_embd, n_head=n_head, **kwargs)


class CausalSelfAttention(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        B, T, C = x.shape
        q, k, v = self.c_attn(x).split(C, dim=2)  # (B, T, C) each
        return tuple(t.view(B, T, self.n_head, C // self.n_head).transpose(1, 2) for t in (q, k, v))  # (B, nh, T, hs)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        q, k, v = self.heads(x)
        if x.device.type == "cpu":
            # Under bf16 autocast the CPU kernel of attention is slower than its float32 one: keep this part float32.
            with torch.autocast("cpu", enabled=False):
                y = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), is_causal=True)
        else:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, C))

    def attention(self, x: Tensor) -> Tensor:
        """The attention weights themselves: (B, nh, T, T), each row sums to 1."""
        q, k, _ = self.heads(x)
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(q.shape[-1])  # (B, nh, T, T)
        future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        return scores.masked_fill(future, float("-inf")).softmax(dim=-1)


class MLP(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd)
        self.attn = CausalSelfAttention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd)
        self.mlp = MLP(config)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """``model(xs, ys) -> (B, T)``: column k predicts y_k from the first k examples and x_k."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.read_in = nn.Linear(config.token_width, config.n_embd)
        self.wpe = nn.Embedding(config.n_tokens, config.n_embd)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd)
        self.read_out = nn.Linear(config.n_embd, 1)

    def init_weights(self, seed: int) -> Transformer:
        """Normal weights, zero biases, from a seed of their own; the global generator is left alone."""
        generator = torch.Generator().manual_seed(seed)
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
            elif name == "wpe.weight":
                nn.init.normal_(p, std=0.02, generator=generator)
            elif p.ndim == 2:
                std = p.shape[1] ** -0.5 if self.config.init_std is None else self.config.init_std
                nn.init.normal_(p, std=std, generator=generator)
                if name.endswith("c_proj.weight"):
                    # GPT-2 shrinks what enters the residual stream; starting it at zero leaves the plateau sooner.
                    p.data *= 0.0 if self.config.init_std is None else (2 * self.config.n_layer) ** -0.5
        return self

    def tokens(self, xs: Tensor, ys: Tensor) -> Tensor:
        """xs (B, T, d) and ys (B, T) -> (B, n_tokens, token_width)."""
        B, T, d = xs.shape
        xs = xs / self.config.input_scale
        if self.config.tokens == "pair":
            previous = torch.cat([ys[:, :-1, None], xs[:, :-1]], dim=2)  # (B, T-1, 1+d)
            return torch.cat([xs, F.pad(previous, (0, 0, 1, 0))], dim=2)  # (B, T, 2d+1)
        return torch.stack([xs, F.pad(ys[..., None], (0, d - 1))], dim=2).view(B, 2 * T, d)

    def embed(self, xs: Tensor, ys: Tensor) -> Tensor:
        tokens = self.tokens(xs, ys)
        return self.read_in(tokens) + self.wpe.weight[: tokens.shape[1]]  # (B, n_tokens, C)

    def predictions(self, x: Tensor) -> Tensor:
        """Residual stream (B, n_tokens, C) -> (B, T): read-out at the positions of the x_i."""
        yhat = self.read_out(self.ln_f(x)).squeeze(-1)
        return yhat if self.config.tokens == "pair" else yhat[:, ::2]

    def forward(self, xs: Tensor, ys: Tensor) -> Tensor:
        self.check(xs, ys)
        x = self.embed(xs, ys)
        for block in self.h:
            x = block(x)
        return self.predictions(x)

    @torch.no_grad()
    def inspect(self, xs: Tensor, ys: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Hidden states and attention maps: n_layer + 1 tensors (B, n_tokens, C) and n_layer (B, nh, T', T')."""
        self.check(xs, ys)
        x = self.embed(xs, ys)
        hidden, maps = [x], []
        for block in self.h:
            maps.append(block.attn.attention(block.ln_1(x)))
            x = block(x)
            hidden.append(x)
        return hidden, maps

    def check(self, xs: Tensor, ys: Tensor) -> None:
        """Raise InputError unless the prompts fit the model; the sentence says both sizes."""
        c = self.config
        if xs.ndim != 3 or xs.shape[:2] != ys.shape:
            raise InputError(f"xs must be (B, T, d) and ys (B, T), got {tuple(xs.shape)} and {tuple(ys.shape)}.")
        if xs.shape[2] != c.dim:
            raise InputError(f"this model reads inputs with d={c.dim} coordinates, the prompts have d={xs.shape[2]}.")
        if xs.shape[1] > c.n_points:
            raise InputError(f"this model reads at most {c.n_points} points, the prompts have {xs.shape[1]}.")
