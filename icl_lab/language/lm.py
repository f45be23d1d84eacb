"""A language model seen as what it is for a score: log-probabilities of tokens given the tokens before them.

The words are those of the Language Model Evaluation Harness (``loglikelihood``, ``loglikelihood_rolling``,
``generate_until``), and so are the rules: see `LM.encode_pairs` for the two places where they say more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from icl_lab.errors import InputError, check_count, positive

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


class Cost(NamedTuple):
    """What a model was made to do: ``passes`` of one text (or one more token of it), and ``tokens`` read in them."""

    passes: int = 0
    tokens: int = 0


class LM:
    """A causal language model of ``transformers`` with its tokenizer.

    ``history`` and ``training`` tell how it was trained, where `train_lm` made it. ``spent``: the `Cost` of all calls
    so far, padding not counted.
    ``add_bos``: put the beginning-of-text token in front of every context. None: do as the model's own tokenizer
    does (Llama's does, GPT-2's does not). ``max_length``: tokens the model can read at once; None: its config's.
    """

    def __init__(self, model, tokenizer, add_bos: bool | None = None, max_length: int | None = None) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.history: list[tuple[int, float]] = []
        self.training: dict = {}
        self.spent = Cost()
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

    def encode_all(self, texts: Iterable[str]) -> dict[str, list[int]]:
        """The tokens of each text, without special ones: many texts at once take a fraction of the time."""
        different = list(dict.fromkeys(texts))
        if not different:
            return {}
        return dict(zip(different, self.tokenizer(different, add_special_tokens=False).input_ids, strict=True))

    def encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """Tokens of the context and of the continuation; see `encode_pairs`."""
        return self.encode_pairs([(context, continuation)])[0]

    def encode_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[list[int], list[int]]]:
        """Tokens of the context and of the continuation, for each pair.

        As in the harness, spaces at the end of the context count as the beginning of the continuation (byte-level
        tokenizers join a space to the word after it), and the two are cut out of the tokens of the whole text.
        If a token spans the boundary (context "un", continuation "do"), that cut would score the wrong characters
        or none; then the two parts are encoded on their own.
        """
        moved = []
        for context, continuation in pairs:
            kept = context.rstrip()
            moved.append((kept, context[len(kept) :] + continuation))
        ids = self.encode_all(text for context, rest in moved for text in (context, context + rest))
        cut = []
        for context, rest in moved:
            head, whole = ids[context], ids[context + rest]
            fits = whole[: len(head)] == head and len(whole) > len(head)
            cut.append((head, whole[len(head) :] if fits else self.encode(rest)))
        return cut

    def token_logprobs(self, pairs: Sequence[tuple[str, str]]) -> list[TokenScores]:
        """Score every token of context + continuation, for each (context, continuation).

        An empty context is replaced by the beginning-of-text token (or the end-of-text token where a model has only
        that). A text that is too long loses tokens of its context on the left; ``dropped`` says how many.
        Raises InputError for a continuation without tokens or longer than the model can hold.
        """
        rows = []
        for (_, continuation), (head, tail) in zip(pairs, self.encode_pairs(pairs), strict=True):
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

    def generate_until(
        self, contexts: Sequence[str], until: str | Sequence[str] = (), max_gen_toks: int = 32
    ) -> list[str]:
        """What the model writes after each context when it always takes the most probable next token (greedy).

        Writing ends before the first of the strings ``until`` (itself left out), at the end-of-text token, or after
        ``max_gen_toks`` tokens. As in the harness, a context that leaves no room for so many is cut on the left, and
        spaces at its end stay where they are: byte-level models write better after a context without them.
        Raises InputError for a single string, an empty stop string, and more tokens than the model can hold.
        """
        check_count("max_gen_toks", max_gen_toks)
        until = (until,) if isinstance(until, str) else tuple(until)
        if isinstance(contexts, str) or "" in until:
            raise InputError("generate_until takes a list of contexts, and stop strings that are not empty.")
        room = self.max_length - max_gen_toks
        if room < 1:
            raise InputError(f"max_gen_toks must be below the {self.max_length} tokens that the model reads at once.")
        groups: dict[int, list[int]] = {}  # contexts of one length run together and need no padding
        rows = []
        for number, context in enumerate(contexts):
            ids = self.encode(context)
            rows.append(([self._prefix(), *ids] if self.add_bos or not ids else ids)[-room:])
            groups.setdefault(len(rows[-1]), []).append(number)
        out = [""] * len(rows)
        for length, members in groups.items():
            size = self._rows_at_once(length)
            for batch in (members[i : i + size] for i in range(0, len(members), size)):
                for i, text in zip(batch, self._write([rows[i] for i in batch], until, max_gen_toks), strict=True):
                    out[i] = text
        return out

    @torch.inference_mode()
    def _write(self, rows: list[list[int]], until: tuple[str, ...], limit: int) -> list[str]:
        """Greedy continuations of contexts of one length; keys and values of what was read are kept."""
        ids, past = torch.tensor(rows, device=self._device()), None  # (rows, length), then (rows, 1)
        written: list[list[int]] = [[] for _ in rows]
        texts, unfinished = [""] * len(rows), set(range(len(rows)))
        for _ in range(limit):
            out = self.model(input_ids=ids, past_key_values=past, use_cache=True)
            self._count(ids.shape[1] for _ in unfinished)
            past, logits = out.past_key_values, _numbers(out.logits[:, -1].float())
            ids = logits.argmax(-1, keepdim=True)
            for row in sorted(unfinished):
                token = int(ids[row])
                if token != self.tokenizer.eos_token_id:
                    written[row].append(token)
                    texts[row] = self.tokenizer.decode(
                        written[row], skip_special_tokens=True, clean_up_tokenization_spaces=False
                    )
                stops = [texts[row].index(stop) for stop in until if stop in texts[row]]
                if stops or token == self.tokenizer.eos_token_id:
                    texts[row] = texts[row][: min(stops, default=None)]
                    unfinished.remove(row)
            if not unfinished:
                break
        return texts

    def _prefix(self) -> int:
        if self.prefix is None:
            raise InputError("This tokenizer has no beginning-of-text or end-of-text token; give a context.")
        return self.prefix

    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _rows_at_once(self, width: int) -> int:
        return min(ROWS_AT_ONCE, max(1, LOGITS_AT_ONCE // (width * self.model.config.vocab_size)))

    def _count(self, lengths: Iterable[int]) -> None:
        """Add a pass for each length, and the length to the tokens."""
        lengths = list(lengths)
        self.spent = Cost(self.spent.passes + len(lengths), self.spent.tokens + sum(lengths))

    @torch.inference_mode()
    def _run(self, rows: list[list[int]]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Log-probabilities and greedy flags of tokens 1.. of each row, in batches of similar length.

        The last token of a row is only predicted, so rows that differ in nothing else are read once: candidates of
        one token cost one pass together. Texts are padded on the right and the padding is masked; in a causal model
        it comes after everything that is read, so no number changes.
        """
        readers: dict[tuple[int, ...], list[int]] = {}
        for number, ids in enumerate(rows):
            readers.setdefault(tuple(ids[:-1]), []).append(number)
        todo = sorted(readers, key=len, reverse=True)
        out: list = [None] * len(rows)
        device = self._device()
        while todo:
            width = len(todo[0])
            size = self._rows_at_once(width)
            batch, todo = todo[:size], todo[size:]
            self._count(map(len, batch))
            ids, mask = _padded(batch, width), _padded([[1] * len(read) for read in batch], width)
            logits = self.model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits.float()
            members = [number for read in batch for number in readers[read]]
            owner = torch.tensor([row for row, read in enumerate(batch) for _ in readers[read]], device=device)
            targets = _padded([rows[number][1:] for number in members], width).to(device)  # (members, width)
            steps = torch.arange(width, device=device)
            logprobs = logits.log_softmax(-1)[owner[:, None], steps, targets].double().cpu().numpy()
            greedy = (logits.argmax(-1)[owner] == targets).cpu().numpy()
            for row, number in enumerate(members):
                n = len(rows[number]) - 1
                out[number] = (_numbers(logprobs[row, :n]), greedy[row, :n])
        return out


def _padded(rows: Sequence[Sequence[int]], width: int) -> torch.Tensor:
    """Rows of whole numbers, filled with zeros on the right: (len(rows), width)."""
    out = torch.zeros(len(rows), width, dtype=torch.long)
    for row, ids in enumerate(rows):
        out[row, : len(ids)] = torch.tensor(ids)
    return out


def _numbers(values):
    """The values, if they are numbers: a model with damaged weights must not be scored in silence."""
    if bool((values != values).any()):  # NaN alone differs from itself, in torch as in numpy
        raise InputError("The model's output is not a number (NaN): its weights are damaged or its precision too low.")
    return values


def _context_limit(config) -> int:
    """Tokens a model reads at once, by the names that configs use."""
    for name in ("n_positions", "max_position_embeddings", "n_ctx"):
        if getattr(config, name, None):
            return int(getattr(config, name))
    raise InputError("The model's config does not say how long a text it reads; give max_length.")
