"""Scores of candidate answers: three conditional probabilities read off one language model.

C is the demonstrations, x the query, y a candidate label, w_1 .. w_N the tokens of a text, and every term is a
log-probability that the model gives to a token after the tokens before it:

    direct       log p(y | C, x)     = sum over the tokens of y of log p(w_t | w_<t)       text: C, x, y
    perplexity   - log PPL(C, x, y)  = 1/N * sum over all N tokens of log p(w_t | w_<t)    text: C, x, y (or C, y, x)
    channel      log p(x | C, y)     = sum over the tokens of x of log p(w_t | w_<t)       text: C, y, x

Higher is better, the answer is the argmax. Names: Min et al. 2022 (direct and channel, arXiv 2108.04106).
Scores with a prior taken out are in ``calibration``, answers that are written instead of chosen in ``generation``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from icl_lab.errors import InputError, unknown
from icl_lab.language.lm import LM, TokenScores
from icl_lab.language.prompts import Prompt

# What a score makes of one text's token log-probabilities, given the label that the text was made with.
Reduce = Callable[[TokenScores, str], float]


def sum_of_answer(tokens: TokenScores, label: str = "") -> float:
    """log p(continuation | context): the sum over the continuation's tokens."""
    return float(tokens.continuation.sum())


# By what `direct` can divide the sum. The harness's ``acc`` takes the sum itself, its ``acc_norm`` divides by the
# label's characters and its ``acc_bytes`` by its bytes in UTF-8; the space before the label is not counted.
# GPT-3's multiple-choice tests (Brown et al. 2020) divided by tokens.
LENGTHS: dict[str, Callable[[TokenScores, str], int]] = {
    "token": lambda tokens, label: tokens.n_scored,
    "character": lambda tokens, label: len(label.strip()),
    "byte": lambda tokens, label: len(label.strip().encode()),
}


def _per(unit: str | None) -> Reduce:
    """The sum over the answer, divided by the label's length in this unit."""
    if unit is None:
        return sum_of_answer
    if unit not in LENGTHS:
        raise unknown("unit of length", unit, LENGTHS)
    return lambda tokens, label: sum_of_answer(tokens) / LENGTHS[unit](tokens, label)


def mean_of_text(tokens: TokenScores, label: str = "") -> float:
    """Minus the log-perplexity of the whole text: the mean over all its tokens that have something before them."""
    if tokens.dropped:
        raise InputError(
            f"The text is {tokens.dropped} tokens longer than the model can read, and perplexity needs all of it: "
            "use fewer demonstrations."
        )
    return float(tokens.logprobs.mean())


def direct(lm: LM, prompt, labels, per: str | None = None) -> np.ndarray:
    """log p(y | C, x) for each candidate label y, in nats.

        direct(y) = sum_t log p(y_t | C, x, y_<t)

    One prompt and a list of labels give (len(labels),). A list of prompts gives (len(prompts), len(labels)), with one
    list of labels for all or an equally long list for each. ``per``: divide by the label's length in "token",
    "character" (the harness's ``acc_norm``) or "byte" (its ``acc_bytes``); None: the plain sum (its ``acc``).
    Raises InputError for an empty or duplicated candidate list, a label that tokenizes to nothing, another ``per``.
    """
    return score_texts(lm, prompt, labels, Prompt.input_first, _per(per))


def perplexity(lm: LM, prompt, labels, label_first: bool = False) -> np.ndarray:
    """Minus the log-perplexity of the whole text C, x, y for each candidate label y, in nats per token.

        perplexity(y) = 1/N * sum_t log p(w_t | w_<t),   w = all N tokens of C, x, y

    ``label_first``: the text is C, y, x, so that apart from the factor 1/N and a constant the score is the joint
    log p(y, x | C). Otherwise as `direct`. With one-token labels in the last place it ranks as `direct` does: C and x
    add the same sum to every candidate, and N is the same.
    """
    request = Prompt.label_first_whole if label_first else Prompt.input_first
    return score_texts(lm, prompt, labels, request, mean_of_text)


def channel(lm: LM, prompt, labels) -> np.ndarray:
    """log p(x | C, y) for each candidate label y, in nats: how well the label explains the query.

        channel(y) = sum_t log p(x_t | C, y, x_<t)

    The demonstrations are written label first. Nothing is divided by a length: every candidate scores the same x.
    Otherwise as `direct`. Source: Min et al. 2022, arXiv 2108.04106.
    """
    return score_texts(lm, prompt, labels, Prompt.label_first, sum_of_answer)


def score_texts(
    lm: LM,
    prompt: Prompt | Sequence[Prompt],
    labels: Sequence[str] | Sequence[Sequence[str]],
    request: Callable[[Prompt, str], tuple[str, str]],
    reduce: Reduce,
) -> np.ndarray:
    """Ask the model once for all texts, then reduce each text's token log-probabilities to a score.

    ``request``: (prompt, label) -> (context, continuation). Every score is one choice of it and of ``reduce``.
    """
    prompts, lists = listed(prompt, labels)
    pairs, owners = [], []
    for candidates in dict.fromkeys(c if isinstance(c, str) else tuple(c) for c in lists):
        _check(lm, candidates)
    for one, candidates in zip(prompts, lists, strict=True):
        pairs += [request(one, label) for label in candidates]
        owners += candidates
    tokens = lm.token_logprobs(pairs)
    scores = [reduce(of_text, label) for of_text, label in zip(tokens, owners, strict=True)]
    scores = np.array(scores).reshape(len(prompts), -1)
    return scores[0] if isinstance(prompt, Prompt) else scores


def listed(
    prompt: Prompt | Sequence[Prompt], labels: Sequence[str] | Sequence[Sequence[str]]
) -> tuple[list[Prompt], list[Sequence[str]]]:
    """Prompts and a list of candidates for each, from one prompt or many and one list of candidates or many."""
    alone = isinstance(prompt, Prompt)
    prompts = [prompt] if alone else list(prompt)
    if not prompts:
        raise InputError("There is no prompt to score.")
    if alone or not len(labels) or isinstance(labels[0], str):  # one list for all
        labels = [labels] * len(prompts)
    if len(prompts) != len(labels) or len({len(candidates) for candidates in labels}) != 1:
        n = len(prompts)
        raise InputError(f"The {n} prompts need {n} lists of candidate labels of one length.")
    return prompts, list(labels)


def _check(lm: LM, candidates: Sequence[str]) -> None:
    """Candidates must be a list of different labels, each with tokens of its own."""
    if isinstance(candidates, str) or not len(candidates):
        raise InputError(f"The candidates must be a list with at least one label, got {candidates!r}.")
    seen: dict[tuple[int, ...], str] = {}
    encoded = lm.encode_all(candidates)
    for label in candidates:
        ids = tuple(encoded[label])
        if not ids:
            raise InputError(f"The label {label!r} tokenizes to nothing; a candidate needs at least one token.")
        if lm.tokenizer.unk_token_id in ids and lm.tokenizer.unk_token_id is not None:
            raise InputError(f"The label {label!r} holds a word that this model's vocabulary does not have.")
        if ids in seen:
            raise InputError(f"The candidates {seen[ids]!r} and {label!r} are the same label for this model.")
        seen[ids] = label
