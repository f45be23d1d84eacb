"""Scores of candidate answers: three conditional probabilities read off one language model.

C is the demonstrations, x the query, y a candidate label, w_1 .. w_N the tokens of a text, and every term is a
log-probability that the model gives to a token after the tokens before it:

    direct       log p(y | C, x)     = sum over the tokens of y of log p(w_t | w_<t)       text: C, x, y
    perplexity   - log PPL(C, x, y)  = 1/N * sum over all N tokens of log p(w_t | w_<t)    text: C, x, y (or C, y, x)
    channel      log p(x | C, y)     = sum over the tokens of x of log p(w_t | w_<t)       text: C, y, x

Higher is better, the answer is the argmax. Names: Min et al. 2022 (direct and channel, arXiv 2108.04106).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from icl_lab.errors import InputError
from icl_lab.language.lm import LM, TokenScores
from icl_lab.language.prompts import Prompt


def sum_of_answer(tokens: TokenScores) -> float:
    """log p(continuation | context): the sum over the continuation's tokens."""
    return float(tokens.continuation.sum())


def mean_of_answer(tokens: TokenScores) -> float:
    """The same divided by the number of the continuation's tokens (the harness's idea of ``acc_norm``)."""
    return float(tokens.continuation.mean())


def mean_of_text(tokens: TokenScores) -> float:
    """Minus the log-perplexity of the whole text: the mean over all its tokens that have something before them."""
    if tokens.dropped:
        raise InputError(
            f"The text is {tokens.dropped} tokens longer than the model can read, and perplexity needs all of it: "
            "use fewer demonstrations."
        )
    return float(tokens.logprobs.mean())


def direct(lm: LM, prompt, labels, per_token: bool = False) -> np.ndarray:
    """log p(y | C, x) for each candidate label y, in nats.

        direct(y) = sum_t log p(y_t | C, x, y_<t)

    One prompt and a list of labels give (len(labels),). A list of prompts gives (len(prompts), len(labels)), with one
    list of labels for all or an equally long list for each. ``per_token`` divides by the number of the label's tokens.
    Raises InputError for an empty or duplicated candidate list, and for a label that tokenizes to nothing.
    """
    return _score(lm, prompt, labels, Prompt.input_first, mean_of_answer if per_token else sum_of_answer)


def perplexity(lm: LM, prompt, labels, label_first: bool = False) -> np.ndarray:
    """Minus the log-perplexity of the whole text C, x, y for each candidate label y, in nats per token.

        perplexity(y) = 1/N * sum_t log p(w_t | w_<t),   w = all N tokens of C, x, y

    ``label_first``: the text is C, y, x, so that apart from the factor 1/N and a constant the score is the joint
    log p(y, x | C). Otherwise as `direct`. With one-token labels in the last place it ranks as `direct` does: C and x
    add the same sum to every candidate, and N is the same.
    """
    request = Prompt.label_first_whole if label_first else Prompt.input_first
    return _score(lm, prompt, labels, request, mean_of_text)


def channel(lm: LM, prompt, labels) -> np.ndarray:
    """log p(x | C, y) for each candidate label y, in nats: how well the label explains the query.

        channel(y) = sum_t log p(x_t | C, y, x_<t)

    The demonstrations are written label first. Nothing is divided by a length: every candidate scores the same x.
    Otherwise as `direct`. Source: Min et al. 2022, arXiv 2108.04106.
    """
    return _score(lm, prompt, labels, Prompt.label_first, sum_of_answer)


def _score(
    lm: LM,
    prompt: Prompt | Sequence[Prompt],
    labels: Sequence[str] | Sequence[Sequence[str]],
    request: Callable[[Prompt, str], tuple[str, str]],
    reduce: Callable[[TokenScores], float],
) -> np.ndarray:
    """Ask the model once for all texts, then reduce each text's token log-probabilities to a score."""
    alone = isinstance(prompt, Prompt)
    prompts = [prompt] if alone else list(prompt)
    if not prompts:
        raise InputError("There is no prompt to score.")
    if alone or not len(labels) or isinstance(labels[0], str):  # one list for all
        labels = [labels] * len(prompts)
    if len(prompts) != len(labels) or len({len(candidates) for candidates in labels}) != 1:
        n = len(prompts)
        raise InputError(f"The {n} prompts need {n} lists of candidate labels of one length.")
    pairs = []
    for one, candidates in zip(prompts, labels, strict=True):
        _check(lm, candidates)
        pairs += [request(one, label) for label in candidates]
    scores = np.array([reduce(tokens) for tokens in lm.token_logprobs(pairs)]).reshape(len(prompts), -1)
    return scores[0] if alone else scores


def _check(lm: LM, candidates: Sequence[str]) -> None:
    """Candidates must be a list of different labels, each with tokens of its own."""
    if isinstance(candidates, str) or not len(candidates):
        raise InputError(f"The candidates must be a list with at least one label, got {candidates!r}.")
    seen: dict[tuple[int, ...], str] = {}
    for label in candidates:
        ids = tuple(lm.encode(label))
        if not ids:
            raise InputError(f"The label {label!r} tokenizes to nothing; a candidate needs at least one token.")
        if lm.tokenizer.unk_token_id in ids and lm.tokenizer.unk_token_id is not None:
            raise InputError(f"The label {label!r} holds a word that this model's vocabulary does not have.")
        if ids in seen:
            raise InputError(f"The candidates {seen[ids]!r} and {label!r} are the same label for this model.")
        seen[ids] = label
