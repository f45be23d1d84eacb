"""Direct scores with the label's own lean taken out: PMI, contextual and domain-context calibration.

A direct score holds a prior: some labels are likely before the query is read, because the demonstrations are full of
them or because the model likes the word. Each function here measures that prior in its own way and divides by it:

    pmi                         log p(y | C, x) - log p(y)         or  - log p(y | C)
    contextual_calibration      log p(y | C, x) - log p(y | C, x0)     x0 says nothing: "N/A", "", "[MASK]"
    domain_context_calibration  the same, x0 is random words of the domain

C is the demonstrations, x the query, y a candidate label. Higher is better, shapes are those of `direct`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from icl_lab.errors import InputError, check_count
from icl_lab.language.lm import LM
from icl_lab.language.prompts import Prompt
from icl_lab.language.scoring import direct, listed, score_texts, sum_of_answer

CONTENT_FREE = ("N/A", "", "[MASK]")  # Zhao et al. 2021


def pmi(lm: LM, prompt, labels, given_demonstrations: bool = False) -> np.ndarray:
    """Pointwise mutual information of label and query, in nats: the harness's ``acc_mutual_info``.

        pmi(y) = log p(y | C, x) - log p(y)          y after the beginning-of-text token alone

    ``given_demonstrations``: minus log p(y | C) instead, with the demonstrations written label first, so that a label
    is what comes next. For a model that knows its text exactly this is the channel score minus log p(x | C).
    Otherwise as `direct`. Raises InputError as `direct` does, and for a model without a beginning- or end-of-text
    token.
    """
    prior = _label_after_demonstrations if given_demonstrations else _label_alone
    return direct(lm, prompt, labels) - score_texts(lm, prompt, labels, prior, sum_of_answer)


def _label_alone(prompt: Prompt, label: str) -> tuple[str, str]:
    """The label as it stands in the prompt, with the space before it, and nothing else."""
    context, label = prompt.input_first(label)
    return "", context[len(context.rstrip()) :] + label


def _label_after_demonstrations(prompt: Prompt, label: str) -> tuple[str, str]:
    return prompt.label_first_whole("")[0], label


def contextual_calibration(lm: LM, prompt, labels, inputs: Sequence[str] = CONTENT_FREE) -> np.ndarray:
    """Log of W p with W = diag(p_cf)^-1: probabilities divided by those that follow a query that says nothing.

        p(y)    = p(y | C, x)  / sum over the candidates             the direct score as a share
        p_cf(y) = mean over the content-free inputs x0 of the same share after C, x0
        score   = log p(y) - log p_cf(y)

    The prior p_cf is measured for every prompt on its own demonstrations. Otherwise as `direct`; several tokens of a
    label count together. Source: Zhao et al. 2021, arXiv 2102.09690, which gives the inputs and b = 0.
    Raises InputError as `direct` does, and when there is no content-free input.
    """
    if isinstance(inputs, str) or not len(inputs):
        raise InputError(f"The content-free inputs must be a list with at least one text, got {inputs!r}.")
    prompts, lists = listed(prompt, labels)
    empty = [replace(one, query=x) for one in prompts for x in inputs]
    candidates = [several for several in lists for _ in inputs]
    log_cf = log_shares(direct(lm, empty, candidates)).reshape(len(prompts), len(inputs), -1)
    log_prior = np.logaddexp.reduce(log_cf, axis=1) - np.log(len(inputs))  # (prompts, labels)
    scores = log_shares(direct(lm, prompts, lists)) - log_prior
    return scores[0] if isinstance(prompt, Prompt) else scores


def domain_context_calibration(
    lm: LM, prompt, labels, corpus: Sequence[str], n_inputs: int = 10, seed: int = 0
) -> np.ndarray:
    """`contextual_calibration` with random words of the domain as the content-free inputs.

    ``corpus``: unlabeled inputs of the task; ``n_inputs`` texts are drawn from it by `random_inputs`, the same for
    every prompt. How many is our choice. Source of the idea: Fei et al. 2023, arXiv 2305.19148.
    """
    return contextual_calibration(lm, prompt, labels, random_inputs(corpus, n_inputs, seed))


def random_inputs(corpus: Sequence[str], n: int = 10, seed: int = 0) -> list[str]:
    """``n`` texts of random words of a corpus, each as long as the corpus's mean text (in words split at spaces).

    Words are drawn in proportion to how often they occur. Raises InputError for a corpus without words.
    """
    check_count("n", n)
    if isinstance(corpus, str):
        raise InputError("The corpus must be a list of texts, got one string.")
    words = [word for text in corpus for word in text.split()]
    if not words:
        raise InputError("The corpus has no words to draw from.")
    length = max(1, round(len(words) / len(corpus)))
    drawn = np.random.default_rng(seed).integers(len(words), size=(n, length))
    return [" ".join(words[i] for i in row) for row in drawn]


def log_shares(scores: np.ndarray) -> np.ndarray:
    """Scores as log-probabilities that sum to one over the candidates, the last axis (a log-softmax)."""
    return scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)
