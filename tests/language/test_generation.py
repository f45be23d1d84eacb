"""Greedy writing against ``transformers``' own ``generate``, one text at a time."""

import numpy as np
import pytest
import torch

from icl_lab.errors import InputError
from icl_lab.language.generation import exact_match, free_answers
from icl_lab.language.models import tiny_lm
from icl_lab.language.prompts import Demonstration, Prompt
from icl_lab.language.worlds import NoisyEvidence

CONTEXTS = ["the food was", "a negative review", "undo", "no one likes", "it is mixed , it is", "", "the plot", "film"]


def reference(lm, context, n, **options):
    """transformers' own greedy generation of n tokens, as text."""
    ids = lm.encode(context) if context and not lm.add_bos else [lm.prefix, *lm.encode(context)]
    ids = torch.tensor([ids])
    with torch.no_grad():
        out = lm.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=n,
            pad_token_id=lm.tokenizer.eos_token_id,
            eos_token_id=lm.tokenizer.eos_token_id,
            **options,
        )
    return lm.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True, clean_up_tokenization_spaces=False)


def test_batched_writing_equals_generate(lm):
    written = lm.generate_until(CONTEXTS, max_gen_toks=12)
    assert written == [reference(lm, context, 12) for context in CONTEXTS]
    assert len(set(written)) > 4
    assert lm.generate_until(CONTEXTS[:1], max_gen_toks=1) == [reference(lm, CONTEXTS[0], 1)]


def test_writing_ends_before_the_first_stop_string(lm):
    (whole,) = lm.generate_until(["the food was"], max_gen_toks=12)
    first, second = whole[3:5], whole[6:8]
    expected = whole[: min(whole.index(first), whole.index(second))]
    before = lm.spent
    assert lm.generate_until(["the food was"], [second, first], 12) == [expected]
    assert lm.spent.passes - before.passes < 12  # it stopped
    assert lm.generate_until(["the food was"], "no such string", 12) == [whole]


def test_the_end_of_text_token_ends_an_answer():
    """A model made to write one word for ever, or to end at once."""
    lm = tiny_lm(NoisyEvidence())

    def always(token):
        with torch.no_grad():
            for parameter in lm.model.parameters():
                parameter.zero_()
            lm.model.model.embed_tokens.weight[:, 0] = 1.0  # after the last norm, coordinate 0 is what is read
            lm.model.model.embed_tokens.weight[token, 0] = 2.0
            lm.model.model.norm.weight[:] = 1.0

    always(lm.encode("sport")[0])
    assert lm.generate_until(["rain :"], ".", 3) == ["sport sport sport"]
    assert lm.generate_until(["rain :"], ["rt", "po"], 3) == ["s"]  # two stops within one token: the first counts
    always(lm.tokenizer.eos_token_id)
    before = lm.spent
    assert lm.generate_until(["rain :", "rain snow :"], ".", 3) == ["", ""]
    assert lm.spent.passes - before.passes == 2


def test_a_context_that_leaves_no_room_is_cut_on_the_left(lm):
    long = "the food was not good and the plot is undoing itself " * 6
    ids = lm.encode(long)[-(40 - 5) :]
    with torch.no_grad():
        out = lm.model.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, 35), do_sample=False, max_new_tokens=5, pad_token_id=0
        )
    expected = lm.tokenizer.decode(out[0, 35:], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert lm.generate_until([long], max_gen_toks=5) == [expected]


def test_cost_of_writing_is_the_prompt_once_and_a_pass_for_each_further_token():
    lm = tiny_lm(NoisyEvidence(), seed=2)
    assert len(lm.generate_until(["rain snow :"], (), 4)[0].split()) <= 4
    assert lm.spent == (4, 4 + 3)  # <s> rain snow : , and three of the four tokens written


def test_free_answers_stop_at_the_separator():
    lm = tiny_lm(NoisyEvidence(), seed=2)
    prompt = Prompt("rain goal", [Demonstration("snow wind", "weather")])
    (whole,) = lm.generate_until(["snow wind : weather . rain goal :"], (), 8)
    assert free_answers(lm, [prompt], 8, until=()) == [whole]
    assert free_answers(lm, [prompt], 8) == [whole.split(".")[0]]
    stop = whole.split()[2]
    assert free_answers(lm, [prompt], 8, until=stop) == [whole[: whole.index(stop)]]


def test_exact_match_is_word_for_word():
    answers = [" sea life", "sea  life\n", "sea", "Sea life", "sea life .", ""]
    np.testing.assert_array_equal(exact_match(answers, ["sea life"] * 6), [True, True, False, False, False, False])
    with pytest.raises(InputError, match="got 2 answers and 1 targets"):
        exact_match(["a", "b"], ["a"])


def test_bad_input(lm):
    with pytest.raises(InputError, match="takes a list of contexts"):
        lm.generate_until("the food")
    with pytest.raises(InputError, match="stop strings that are not empty"):
        lm.generate_until(["the food"], ["", "."])
    with pytest.raises(InputError, match="max_gen_toks must be below the 40 tokens"):
        lm.generate_until(["the food"], max_gen_toks=40)
    with pytest.raises(InputError, match="max_gen_toks must be greater than 0"):
        lm.generate_until(["the food"], max_gen_toks=0)


def test_a_model_whose_output_is_not_a_number_is_refused():
    tiny = tiny_lm(NoisyEvidence())
    with torch.no_grad():
        tiny.model.lm_head.weight[7] = float("nan")
    for call in (lambda: tiny.generate_until(["rain :"]), lambda: tiny.loglikelihood([("rain :", "sport")])):
        with pytest.raises(InputError, match="is not a number"):
            call()
