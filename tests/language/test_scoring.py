"""The scores against a plain loop over ``transformers`` logits: one text, one token at a time, no batch, no padding."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from icl_lab.errors import InputError
from icl_lab.language.evaluation import cost
from icl_lab.language.lm import LM
from icl_lab.language.prompts import Demonstration, Prompt, Template
from icl_lab.language.scoring import channel, direct, perplexity

TEMPLATE = Template("review : {x}\nsentiment : {y}", "sentiment : {y}\nreview : {x}", "\n\n")
SHORT = Prompt("it is mixed", (), TEMPLATE)
SHOTS = (Demonstration("the food was good", "positive"), Demonstration("undo it", "negative"))
LONG = Prompt("no one likes it", SHOTS, TEMPLATE)
LABELS = ["positive", "unpositive mixed", "bad"]  # one, several and two or three tokens


def loop(lm, text, start, limit=40):
    """Log-probabilities of the tokens of ``text`` from character ``start`` on, and all of them, one by one."""
    enc = lm.tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    ids = enc.input_ids
    n_scored = sum(end > start for _, end in enc.offset_mapping)
    if n_scored == len(ids):
        ids = [lm.tokenizer.eos_token_id, *ids]  # nothing before it: GPT-2's convention
    ids = ids[-(limit + 1) :]
    every = []
    for t in range(1, len(ids)):
        with torch.no_grad():
            logits = lm.model(torch.tensor([ids[:t]])).logits[0, -1]
        every.append(torch.log_softmax(logits.double(), -1)[ids[t]].item())
    return every[len(every) - n_scored :], every


def text_of(shots, last):
    return "".join(shot + "\n\n" for shot in shots) + last


def texts(prompt, label, label_first):
    """(text, character where the continuation starts), written by hand. The space before it belongs to it."""
    if label_first:
        shots = [f"sentiment : {d.y}\nreview : {d.x}" for d in prompt.demonstrations]
        text = text_of(shots, f"sentiment : {label}\nreview : {prompt.query}")
        return text, len(text) - len(prompt.query) - 1
    shots = [f"review : {d.x}\nsentiment : {d.y}" for d in prompt.demonstrations]
    text = text_of(shots, f"review : {prompt.query}\nsentiment : {label}")
    return text, len(text) - len(label) - 1


def test_labels_have_different_numbers_of_tokens(lm):
    counts = [len(lm.encode(" " + label)) for label in LABELS]
    assert counts[0] == 1
    assert len(set(counts)) == 3


@pytest.mark.parametrize("prompt", [SHORT, LONG])
def test_direct_and_channel_equal_the_loop(lm, prompt):
    # LONG exceeds 40 tokens: its context is cut on the left.
    expected = [sum(loop(lm, *texts(prompt, label, False))[0]) for label in LABELS]
    np.testing.assert_allclose(direct(lm, prompt, LABELS), expected, atol=1e-5)
    expected = [np.mean(loop(lm, *texts(prompt, label, False))[0]) for label in LABELS]
    np.testing.assert_allclose(direct(lm, prompt, LABELS, per="token"), expected, atol=1e-5)
    expected = [sum(loop(lm, *texts(prompt, label, True))[0]) for label in LABELS]
    np.testing.assert_allclose(channel(lm, prompt, LABELS), expected, atol=1e-5)


def test_lengths_are_those_of_the_harness(lm):
    """acc_norm divides by the characters of the choice, acc_bytes by its bytes, neither counts the space before it."""
    labels = ["bad", "unpositive mixed", "naïve", " film"]  # the last brings a space of its own
    template = Template("{x} :{y}", "{y} :{x}", " .")
    total = direct(lm, Prompt("no plot", (), template), labels)
    for unit, lengths in (
        ("character", [3, 16, 5, 4]),
        ("byte", [3, 16, 6, 4]),
        ("token", [len(lm.encode(label)) for label in labels]),
    ):
        np.testing.assert_allclose(direct(lm, Prompt("no plot", (), template), labels, per=unit), total / lengths)
    with pytest.raises(InputError, match=r"Unknown unit of length 'characters'\. Did you mean 'character'"):
        direct(lm, SHORT, LABELS, per="characters")


def test_candidates_that_differ_in_their_last_token_cost_one_pass(lm):
    prompt = Prompt("good food", SHOTS[:1], Template("{x} :{y}", "{y} :{x}", " ."))
    labels = [" positive", " negative", " the"]
    n = len(lm.encode(prompt.input_first("")[0]))
    before = lm.spent
    together = direct(lm, prompt, labels)
    assert (lm.spent.passes - before.passes, lm.spent.tokens - before.tokens) == (1, n)
    alone = [direct(lm, prompt, [label])[0] for label in labels]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    case = SimpleNamespace(prompt=prompt, labels=labels, answer=0)
    assert cost(direct, lm, [case] * 4) == (1 / 4, n / 4)  # and what is asked twice is read once
    passes, tokens = cost(channel, lm, [case])
    assert passes == 3
    channel_texts = ["".join(prompt.label_first(label)) for label in labels]
    assert tokens == sum(len(lm.encode(text)) - 1 for text in channel_texts)  # the last is only predicted


@pytest.mark.parametrize("label_first", [False, True])
def test_perplexity_equals_the_loop(lm, label_first):
    expected = [np.mean(loop(lm, *texts(SHORT, label, label_first))[1]) for label in LABELS]
    np.testing.assert_allclose(perplexity(lm, SHORT, LABELS, label_first=label_first), expected, atol=1e-5)


def test_a_long_prompt_that_fits_equals_the_loop(lm):
    roomy = LM(lm.model, lm.tokenizer)
    assert roomy.max_length == 120  # the config's
    for score, label_first, part in ((direct, False, 0), (channel, True, 0), (perplexity, False, 1)):
        reduce = np.mean if part else np.sum
        expected = [reduce(loop(roomy, *texts(LONG, label, label_first), limit=120)[part]) for label in LABELS]
        np.testing.assert_allclose(score(roomy, LONG, LABELS), expected, atol=1e-5)


def test_many_prompts_at_once_are_the_prompts_one_by_one(lm):
    prompts = [SHORT, LONG, Prompt("film", SHOTS[:1], TEMPLATE)]
    for score in (direct, channel, partial(direct, per="token")):
        together = score(lm, prompts, LABELS)
        assert together.shape == (3, 3)
        alone = [score(lm, prompt, LABELS) for prompt in prompts]
        np.testing.assert_allclose(together, alone, atol=1e-6)
        np.testing.assert_allclose(score(lm, prompts, [LABELS, LABELS[::-1], LABELS])[1], alone[1][::-1], atol=1e-6)


def test_one_token_labels_in_the_last_place_rank_alike_by_direct_and_perplexity(lm):
    labels = [" positive", " negative", " the", " review", " is"]
    template = Template("{x} :{y}", "{y} :{x}", " .")
    assert {len(lm.encode(label)) for label in labels} == {1}
    for words in ("good food", "no plot", "it was mixed", "bad things , undo"):
        prompt = Prompt(words, (Demonstration("the food was good", " positive"),), template)
        d, p = direct(lm, prompt, labels), perplexity(lm, prompt, labels)
        assert (np.argsort(d) == np.argsort(p)).all()
        n = len(lm.encode(prompt.input_first(" positive")[0])) + 1
        np.testing.assert_allclose((p - p[0]) * (n - 1), d - d[0], atol=1e-5)  # all but the first token are scored


def test_labels_of_several_tokens_need_not_rank_alike(lm):
    prompts = [Prompt(w, (), TEMPLATE) for w in ("good", "bad food", "mixed", "undo it", "film", "plot", "no one")]
    d, p = direct(lm, prompts, LABELS), perplexity(lm, prompts, LABELS)
    assert (d.argmax(1) != p.argmax(1)).any()


def test_label_first_perplexity_is_the_joint_of_label_and_query(lm):
    """log p(y, x | C) = log p(y | C) + log p(" :" | C, y) + log p(x | C, y), each from a text of its own."""
    labels = [" positive", " negative", " the"]
    prompt = Prompt(" good food", (Demonstration(" plot", " positive"),), Template("{x} :{y}", "{y} :{x}", " ."))
    prior = [ll for ll, _ in lm.loglikelihood([(" positive : plot .", label) for label in labels])]
    colon = [ll for ll, _ in lm.loglikelihood([(f" positive : plot .{label}", " :") for label in labels])]
    joint = np.array(prior) + colon + channel(lm, prompt, labels)
    n = len(lm.encode(" positive : plot . positive : good food")) - 1  # the first token is not scored
    scores = perplexity(lm, prompt, labels, label_first=True)
    np.testing.assert_allclose((scores - scores[0]) * n, joint - joint[0], atol=1e-4)


@pytest.mark.parametrize("score", [direct, perplexity, channel])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "at least one label"),
        ("positive", "must be a list with at least one label, got 'positive'"),
        (["bad", "bad"], "are the same label"),
        (["bad", ""], "The label '' tokenizes to nothing"),
    ],
)
def test_bad_candidates_are_refused_in_one_sentence(lm, score, labels, message):
    with pytest.raises(InputError, match=message):
        score(lm, SHORT, labels)


def test_other_bad_input(lm):
    with pytest.raises(InputError, match="no prompt"):
        direct(lm, [], [])
    with pytest.raises(InputError, match="The 2 prompts need 2 lists"):
        direct(lm, [SHORT, LONG], [["bad"]])
    with pytest.raises(InputError, match="perplexity needs all of it"):
        perplexity(lm, LONG, LABELS)
    with pytest.raises(InputError, match=r"channel pattern must hold {y} once, then {x}"):
        Template(channel="{x} : {y}")
    with pytest.raises(InputError, match="direct pattern must hold"):
        Template(direct="{x} : {y} .")
