"""Two rivals of in-context learning on the same examples: few-shot fine-tuning, and a soft prompt.

Both are gradient descent on  - log p(answer | query)  without demonstrations, all examples in every step:

    fine-tuning    all weights are changed; a task is stored as a whole model
    soft prompt    a few vectors are put in front of the text and changed, the weights stay; a task is stored as the
                   vectors (prompt tuning, Lester et al. 2021, arXiv 2104.08691)

A prompt of words is a soft prompt whose vectors are the words' embeddings: tuning can start from it.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import torch

from icl_lab.errors import InputError, check_count, positive
from icl_lab.language.lm import LM
from icl_lab.language.prompts import Prompt

Example = tuple[Prompt, str]  # a query, and its answer


def as_examples(prompt: Prompt) -> list[Example]:
    """The prompt's demonstrations as training examples: each is a query of its own, with nothing in front."""
    return [(replace(prompt, query=shot.x, demonstrations=()), shot.y) for shot in prompt.demonstrations]


def fine_tune(lm: LM, examples: Sequence[Example], steps: int | Iterable[int] = 30, lr: float = 1e-3) -> dict[int, LM]:
    """Copies of the model after these numbers of Adam steps on all its weights: {steps: LM}; ``lm`` stays as it is.

    ``training`` of each copy holds ``steps``, ``lr``, ``loss`` (nats per token of an answer, before the last step),
    ``flops`` and ``cpu_seconds`` of the adaptation so far, and ``bytes``: what must be kept for the task.
    Nothing is drawn at random. Raises InputError for no examples, answers without tokens, and counts below 1.
    """
    model = copy.deepcopy(lm.model)
    ids, mask, targets = _batch(lm, examples)
    flops = 3 * forward_flops(lm, mask.sum(1).tolist())  # the backward pass multiplies twice as much
    parameters = list(model.parameters())
    stored = sum(p.numel() * p.element_size() for p in parameters)

    def loss() -> torch.Tensor:
        logits = model(input_ids=ids, attention_mask=mask).logits.float()  # (examples, tokens, vocabulary)
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def keep() -> LM:
        return LM(copy.deepcopy(model), lm.tokenizer, lm.add_bos, lm.max_length)

    return _descend(loss, parameters, steps, lr, flops, stored, keep)


def tune_soft_prompt(
    lm: LM, examples: Sequence[Example], vectors: torch.Tensor, steps: int | Iterable[int] = 30, lr: float = 1e-2
) -> dict[int, LM]:
    """Models that read tuned ``vectors`` (n, width) in front of every text, by number of steps; else as `fine_tune`.

    ``vectors`` is where tuning starts: `word_vectors` of a text, or rows drawn at random. The models score; they do
    not generate. Raises InputError also for vectors of another width and for no room to read them.
    """
    start = SoftPrompt(lm, vectors.detach().clone())
    vectors = torch.nn.Parameter(start.vectors.clone())
    front = SoftPrompt(lm, vectors)
    ids, mask, targets = _batch(lm, examples)
    lengths = [n + len(vectors) for n in mask.sum(1).tolist()]
    # Weights get no gradient, so the backward pass multiplies by them once; in attention it does all there is.
    flops = 2 * forward_flops(lm, lengths) + attention_flops(lm, lengths)
    frozen = [p.requires_grad for p in lm.model.parameters()]
    lm.model.requires_grad_(False)

    def loss() -> torch.Tensor:
        logits = front(input_ids=ids, attention_mask=mask).logits.float()
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    try:
        stored = vectors.numel() * vectors.element_size()
        return _descend(loss, [vectors], steps, lr, flops, stored, lambda: with_soft_prompt(lm, vectors))
    finally:
        for parameter, needs in zip(lm.model.parameters(), frozen, strict=True):
            parameter.requires_grad_(needs)


def with_soft_prompt(lm: LM, vectors: torch.Tensor) -> LM:
    """The model with these vectors (n, width) in front of every text, after the beginning-of-text token."""
    front = SoftPrompt(lm, vectors.detach().clone())
    return LM(front, lm.tokenizer, lm.add_bos, lm.max_length - len(vectors))


def word_vectors(lm: LM, text: str) -> torch.Tensor:
    """The embeddings of a text's tokens, (tokens, width): the text as a soft prompt."""
    ids = torch.tensor(lm.encode(text), device=lm.model.device)
    if not len(ids):
        raise InputError(f"The text {text!r} has no tokens to make vectors of.")
    return lm.model.get_input_embeddings()(ids).detach().clone()


class SoftPrompt(torch.nn.Module):
    """A causal model that reads vectors in front of its text. Its logits are those of the text's tokens alone."""

    def __init__(self, lm: LM, vectors: torch.Tensor) -> None:
        super().__init__()
        width = lm.model.get_input_embeddings().embedding_dim
        if vectors.ndim != 2 or vectors.shape[1] != width or not len(vectors):
            raise InputError(f"A soft prompt needs vectors of shape (n, {width}), got {tuple(vectors.shape)}.")
        if len(vectors) >= lm.max_length:
            raise InputError(f"{len(vectors)} vectors leave no room: the model reads {lm.max_length} tokens at once.")
        self.vectors = vectors if isinstance(vectors, torch.nn.Parameter) else torch.nn.Parameter(vectors)
        self.inner, self.config, self.first = [lm.model], lm.model.config, int(lm.add_bos)  # in a list: not our weights

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **other):
        """``logits`` (batch, tokens, vocabulary) of the tokens (batch, tokens). InputError for anything but scoring."""
        if any(value is not None and value is not False for value in other.values()):
            raise InputError("A model with a soft prompt scores answers; it does not generate.")
        model, n, at = self.inner[0], len(self.vectors), self.first
        words = model.get_input_embeddings()(input_ids)  # (batch, tokens, width)
        vectors = self.vectors.expand(len(words), -1, -1)
        seen = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        seen = torch.cat([seen.new_ones(len(seen), n), seen], dim=1)
        out = model(inputs_embeds=torch.cat([words[:, :at], vectors, words[:, at:]], dim=1), attention_mask=seen)
        out.logits = out.logits[:, n:]  # behind <s> stands the last vector: it predicts the text's first word
        return out


def attention_flops(lm: LM, lengths: Iterable[int]) -> int:
    """Floating-point operations of the two products inside attention, for texts of these lengths (nothing skipped)."""
    config = lm.model.config
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    width = config.num_attention_heads * size
    return sum(4 * config.num_hidden_layers * width * n * n for n in lengths)


def forward_flops(lm: LM, lengths: Iterable[int]) -> int:
    """Floating-point operations of one forward pass over texts of these lengths (tokens, padding left out).

    Products of matrices alone, two operations for each multiply-and-add: 2 n per entry of a matrix that is applied to
    n tokens, and attention. The output layer counts for every token, as the models compute it. To look a word up in
    the embedding costs nothing.
    """
    lengths = list(lengths)
    tables = {id(m.weight) for m in lm.model.modules() if isinstance(m, torch.nn.Embedding)}
    matrices = [p for p in lm.model.parameters() if p.ndim == 2 and id(p) not in tables]
    output = lm.model.get_output_embeddings().weight
    entries = sum(p.numel() for p in matrices) + (output.numel() if id(output) in tables else 0)
    return 2 * entries * sum(lengths) + attention_flops(lm, lengths)


def _batch(lm: LM, examples: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """ids, mask and targets, each (examples, tokens); targets are -100 where nothing of an answer is predicted."""
    if not len(examples):
        raise InputError("Tuning needs at least one example.")
    rows = []
    for prompt, answer in examples:
        head, tail = lm.encode_pair(*prompt.input_first(answer))
        head = [lm.prefix, *head] if lm.add_bos or not head else head
        if not tail:
            raise InputError(f"The answer {answer!r} has no tokens, so there is nothing to learn.")
        rows.append((head + tail, len(tail)))
    longest = max(len(row) for row, _ in rows) - 1
    ids, mask = torch.zeros(2, len(rows), longest, dtype=torch.long)
    targets = torch.full_like(ids, -100)
    for i, (row, n) in enumerate(rows):
        read = len(row) - 1
        ids[i, :read], mask[i, :read] = torch.tensor(row[:-1]), 1
        targets[i, read - n : read] = torch.tensor(row[-n:])
    device = next(lm.model.parameters()).device
    return ids.to(device), mask.to(device), targets.to(device)


def _descend(
    loss: Callable[[], torch.Tensor],
    parameters: list[torch.nn.Parameter],
    steps: int | Iterable[int],
    lr: float,
    flops: int,
    stored: int,
    keep: Callable[[], LM],
) -> dict[int, LM]:
    """Adam on ``loss``; what ``keep`` gives after each number of steps asked for, with the cost so far."""
    wanted = sorted({steps} if isinstance(steps, int) else set(steps))
    for number in wanted or [0]:
        check_count("steps", number)
    positive("lr", lr)
    optimizer = torch.optim.Adam(parameters, lr=lr)
    kept, seconds = {}, 0.0
    for step in range(1, wanted[-1] + 1):
        started = time.process_time()
        value = loss()
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        seconds += time.process_time() - started
        if step in wanted:
            kept[step] = keep()
            kept[step].training = {
                "steps": step,
                "lr": lr,
                "loss": value.item(),
                "flops": step * flops,
                "cpu_seconds": seconds,
                "bytes": stored,
            }
    return kept
