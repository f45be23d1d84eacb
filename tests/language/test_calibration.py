"""Calibration and PMI against numbers worked out by hand from single log-likelihoods."""

from functools import partial

import numpy as np
import pytest
import torch

from icl_lab.errors import InputError
from icl_lab.language.calibration import (
    contextual_calibration,
    domain_context_calibration,
    log_shares,
    pmi,
    random_inputs,
)
from icl_lab.language.models import tiny_lm
from icl_lab.language.prompts import Demonstration, Prompt, Template
from icl_lab.language.scoring import direct
from icl_lab.language.worlds import NoisyEvidence

TEMPLATE = Template("{x} : {y}", "{y} : {x}", " . ")
SHOTS = (Demonstration("the food", "positive"), Demonstration("undo it", "bad"))
PROMPT = Prompt("no one likes it", SHOTS, TEMPLATE)
LABELS = ["positive", "unpositive mixed", "bad"]
SHOTS_TEXT = "the food : positive . undo it : bad ."


def share(lm, context, labels=LABELS):
    """p(label | context) as a share of the candidates', one call for each, in plain numpy."""
    p = np.array([np.exp(lm.loglikelihood([(context, " " + label)])[0][0]) for label in labels])
    return p / p.sum()


def test_contextual_calibration_is_the_diagonal_matrix_of_the_paper(lm):
    p = share(lm, f"{SHOTS_TEXT} no one likes it :")
    contexts = [f"{SHOTS_TEXT} {x} :" for x in ("N/A", "", "[MASK]")]
    p_cf = np.mean([share(lm, context) for context in contexts], axis=0)
    w = np.linalg.inv(np.diag(p_cf))
    np.testing.assert_allclose(np.exp(contextual_calibration(lm, PROMPT, LABELS)), w @ p, rtol=1e-4)
    # The mean of the probabilities, not of their logarithms.
    geometric = np.exp(np.mean([np.log(share(lm, context)) for context in contexts], axis=0))
    assert not np.allclose(p / geometric, w @ p, rtol=1e-2)


def test_domain_context_calibration_uses_random_words_of_the_corpus(lm):
    corpus = ["good film", "no plot at all", "undo the food"]
    inputs = random_inputs(corpus, 4, seed=5)
    assert all(len(text.split()) == 3 for text in inputs)  # 9 words in 3 texts
    p_cf = np.mean([share(lm, f"{SHOTS_TEXT} {x} :") for x in inputs], axis=0)
    expected = share(lm, f"{SHOTS_TEXT} no one likes it :") / p_cf
    scores = domain_context_calibration(lm, PROMPT, LABELS, corpus=corpus, n_inputs=4, seed=5)
    np.testing.assert_allclose(np.exp(scores), expected, rtol=1e-4)


def test_random_inputs_are_the_corpus_in_its_own_proportions():
    corpus = ["rain rain rain sun", "rain wind"]
    texts = random_inputs(corpus, 4000, seed=1)
    words = " ".join(texts).split()
    shares = [words.count(word) / len(words) for word in ("rain", "sun", "wind")]
    np.testing.assert_allclose(shares, [4 / 6, 1 / 6, 1 / 6], atol=0.013)  # 3 standard errors
    assert random_inputs(corpus, 3, seed=1) == random_inputs(corpus, 3, seed=1) != random_inputs(corpus, 3, seed=2)


def test_pmi_is_the_harness_metric(lm):
    """acc_mutual_info takes log p(label | context) - log p(label | ""), with the space that stands before a label."""
    for label, score in zip(LABELS, pmi(lm, PROMPT, LABELS), strict=True):
        ids = [lm.tokenizer.eos_token_id, *lm.encode(" " + label)]
        with torch.no_grad():
            logp = torch.log_softmax(lm.model(torch.tensor([ids])).logits[0].double(), -1)
        alone = sum(logp[t, ids[t + 1]].item() for t in range(len(ids) - 1))
        given = lm.loglikelihood([(f"{SHOTS_TEXT} no one likes it :", " " + label)])[0][0]
        assert score == pytest.approx(given - alone, abs=1e-4)


def test_pmi_given_the_demonstrations(lm):
    before = "positive : the food . bad : undo it ."
    prior = [lm.loglikelihood([(before, " " + label)])[0][0] for label in LABELS]
    expected = direct(lm, PROMPT, LABELS) - prior
    np.testing.assert_allclose(pmi(lm, PROMPT, LABELS, given_demonstrations=True), expected, atol=1e-4)


def test_a_uniform_model_is_left_without_a_preference():
    """Every token equally likely: direct prefers the short label, PMI and calibration no label at all."""
    lm = tiny_lm(NoisyEvidence())
    with torch.no_grad():
        for parameter in lm.model.parameters():
            parameter.zero_()
    shots = [Demonstration("rain goal", "sport")] * 3
    prompt, labels = Prompt("rain rain song", shots), ["sport", "outer space"]
    v = len(lm.tokenizer)
    np.testing.assert_allclose(direct(lm, prompt, labels), [-np.log(v), -2 * np.log(v)], rtol=1e-5)
    for score in (pmi, partial(pmi, given_demonstrations=True), contextual_calibration):
        scores = score(lm, prompt, labels)
        assert scores[0] == pytest.approx(scores[1], abs=1e-5)


@pytest.mark.parametrize(
    "score",
    [
        pmi,
        partial(pmi, given_demonstrations=True),
        contextual_calibration,
        partial(domain_context_calibration, corpus=["a film", "the plot"], n_inputs=3),
    ],
)
def test_many_prompts_at_once_are_the_prompts_one_by_one(lm, score):
    prompts = [PROMPT, Prompt("film", SHOTS[:1], TEMPLATE), Prompt("a mixed plot", (), TEMPLATE)]
    lists = [LABELS, LABELS[::-1], LABELS]
    together = score(lm, prompts, lists)
    assert together.shape == (3, 3)
    alone = [score(lm, prompt, labels) for prompt, labels in zip(prompts, lists, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert not np.allclose(together[0], together[1][::-1])  # another prompt is another number


def test_shares_sum_to_one_and_do_not_overflow():
    scores = np.array([[-1200.0, -1201.0], [0.0, np.log(3)]])
    np.testing.assert_allclose(np.exp(log_shares(scores)), [[0.731059, 0.268941], [0.25, 0.75]], atol=1e-6)


def test_bad_input(lm):
    with pytest.raises(InputError, match="must be a list with at least one text, got 'N/A'"):
        contextual_calibration(lm, PROMPT, LABELS, "N/A")
    with pytest.raises(InputError, match="no words to draw from"):
        domain_context_calibration(lm, PROMPT, LABELS, corpus=["", " "])
    with pytest.raises(InputError, match="must be a list of texts"):
        random_inputs("one text")
    with pytest.raises(InputError, match="are the same label"):
        pmi(lm, PROMPT, ["bad", "bad"])
