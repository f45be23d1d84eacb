"""A language model seen as what it is for a score: log-probabilities of tokens given the tokens before them.

The words are those of the Language Model Evaluation Harness (``loglikelihood``, ``loglikelihood_rolling``), and so
are the rules: see `LM.encode_pair` for the two places where they say more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from icl_lab.errors import InputError, positive

LOGITS_AT_ONCE = 2**26  # numbers in one batch of logits (256 MB in float32)
ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class TokenScores:
    """Log-probabilities of one text's tokens, each given all tokens before it.

    ``ids``: the tokens, the first of which has nothing before it and no score. ``logprobs``: (len(ids) - 1,) float64,
    in nats. ``greedy``: (len(ids) - 1,) bool, was this token the most probable one. ``n_scored``: how many tokens at
    the end belong to the continuation. ``dropped``: tokens cut off on the left because the model cannot hold them.
    """

    ids: tuple[int, ...]
    logprobs: np.ndarray
    greedy: np.ndarray
    n_scored: int
    dropped: int = 0

    @property
    def continuation(self) -> np.ndarray:
        """Log-probabilities of the continuation's tokens alone, shape (n_scored,)."""
        return self.logprobs[len(self.logprobs) - self.n_scored :]

    @property
    def is_greedy(self) -> bool:
        """Would greedy decoding have written exactly this continuation?"""
        return bool(self.greedy[len(self.greedy) - self.n_scored :].all())


class LM:
    """A causal language model of ``transformers`` with its tokenizer.

    ``history`` and ``training`` tell how it was trained, where `train_lm` made it.
    ``add_bos``: put the beginning-of-text token in front of every context. None: do as the model's own tokenizer
    does (Llama's does, GPT-2's does not). ``max_length``: tokens the model can read at once; None: its config's.
    """

    def __init__(self, model, tokenizer, add_bos: bool | None = None, max_length: int | None = None) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.history: list[tuple[int, float]] = []
        self.training: dict = {}
        self.max_length = _context_limit(model.config) if max_length is None else max_length
        positive("max_length", self.max_length)
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        self.prefix = bos if bos is not None else eos
        first = tokenizer("a").input_ids[:1]
        self.add_bos = (bos is not None and first == [bos]) if add_bos is None else add_bos
        if self.add_bos and self.prefix is None:
            raise InputError("add_bos needs a tokenizer with a beginning-of-text or end-of-text token.")

    def encode(self, text: str) -> list[int]:
        """The text's tokens, without special ones."""
        return self.tokenizer.encode(text, add_special_tokens=False)

    def encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """Tokens of the context and of the continuation.

        As in the harness, spaces at the end of the context count as the beginning of the continuation (byte-level
        tokenizers join a space to the word after it), and the two are cut out of the tokens of the whole text.
        If a token spans the boundary (context "un", continuation "do"), that cut would score the wrong characters
        or none; then the two parts are encoded on their own.
        """
        spaces = len(context) - len(context.rstrip())
        if spaces:
            context, continuation = context[:-spaces], context[-spaces:] + continuation
        head, whole = self.encode(context), self.encode(context + continuation)
        if whole[: len(head)] == head and len(whole) > len(head):
            return head, whole[len(head) :]
        return head, self.encode(continuation)

    def token_logprobs(self, pairs: Sequence[tuple[str, str]]) -> list[TokenScores]:
        """Score every token of context + continuation, for each (context, continuation).

        An empty context is replaced by the beginning-of-text token (or the end-of-text token where a model has only
        that). A text that is too long loses tokens of its context on the left; ``dropped`` says how many.
        Raises InputError for a continuation without tokens or longer than the model can hold.
        """
        rows = []
        for context, continuation in pairs:
            head, tail = self.encode_pair(context, continuation)
            if not tail:
                raise InputError(f"The continuation {continuation!r} has no tokens, so there is nothing to score.")
            if len(tail) > self.max_length:
                raise InputError(f"The continuation has {len(tail)} tokens, the model reads at most {self.max_length}.")
            if self.add_bos or not head:
                head = [self._prefix(), *head]
            ids = (head + tail)[-(self.max_length + 1) :]
            rows.append((ids, len(tail), len(head) + len(tail) - len(ids)))
        scored = self._run([ids for ids, _, _ in rows])
        return [
            TokenScores(tuple(ids), logprobs, greedy, n, dropped)
            for (ids, n, dropped), (logprobs, greedy) in zip(rows, scored, strict=True)
        ]

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
        """(log p(continuation | context) in nats, is it the greedy continuation) for each pair."""
        return [(float(s.continuation.sum()), s.is_greedy) for s in self.token_logprobs(pairs)]

    def loglikelihood_rolling(self, texts: Sequence[str]) -> list[float]:
        """log p(text) in nats, every token scored once, however long the text.

        Windows do not overlap, except that the last is moved left until it is full, as in the harness.
        """
        rows, owners = [], []
        for number, text in enumerate(texts):
            ids, limit = [self._prefix(), *self.encode(text)], self.max_length
            if len(ids) == 1:
                raise InputError(f"The text {text!r} has no tokens, so there is nothing to score.")
            for start in range(1, len(ids), limit):
                end = min(start + limit, len(ids))
                rows.append(ids[max(0, end - limit - 1) : end])
                owners.append((number, end - start))
        totals = [0.0] * len(texts)
        for (number, n), (logprobs, _) in zip(owners, self._run(rows), strict=True):
            totals[number] += float(logprobs[-n:].sum())
        return totals

    def _prefix(self) -> int:
        if self.prefix is None:
            raise InputError("This tokenizer has no beginning-of-text or end-of-text token; give a context.")
        return self.prefix

    @torch.inference_mode()
    def _run(self, rows: list[list[int]]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Log-probabilities and greedy flags of tokens 1.. of each row, in batches of similar length.

        Rows are padded on the right and the padding is masked; in a causal model it comes after everything that is
        read, so no number changes.
        """
        out: list = [None] * len(rows)
        device = next(self.model.parameters()).device
        todo = sorted(range(len(rows)), key=lambda i: len(rows[i]), reverse=True)
        while todo:
            width = len(rows[todo[0]]) - 1
            size = min(ROWS_AT_ONCE, max(1, LOGITS_AT_ONCE // (width * self.model.config.vocab_size)))
            batch, todo = todo[:size], todo[size:]
            ids = torch.zeros(len(batch), width + 1, dtype=torch.long)
            mask = torch.zeros(len(batch), width, dtype=torch.long)
            for row, i in enumerate(batch):
                ids[row, : len(rows[i])] = torch.tensor(rows[i])
                mask[row, : len(rows[i]) - 1] = 1
            ids, mask = ids.to(device), mask.to(device)
            logits = self.model(input_ids=ids[:, :-1], attention_mask=mask).logits.float()  # (b, width, vocab)
            targets = ids[:, 1:]
            logprobs = logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0].double().cpu().numpy()
            greedy = (logits.argmax(-1) == targets).cpu().numpy()
            for row, i in enumerate(batch):
                n = len(rows[i]) - 1
                out[i] = (logprobs[row, :n], greedy[row, :n])
        return out


def _context_limit(config) -> int:
    """Tokens a model reads at once, by the names that configs use."""
    for name in ("n_positions", "max_position_embeddings", "n_ctx"):
        if getattr(config, name, None):
            return int(getattr(config, name))
    raise InputError("The model's config does not say how long a text it reads; give max_length.")
