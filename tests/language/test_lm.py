import numpy as np
import pytest
import torch

from icl_lab.errors import InputError
from icl_lab.language.lm import LM
from icl_lab.language.models import tiny_lm
from icl_lab.language.worlds import NoisyEvidence

TEXT = "a negative review : the plot is undoing itself , undo undo undo sentiment : positive no one likes it"


def logprob(lm, ids, t):
    """log p(token t | the tokens before it), one call for one number."""
    with torch.no_grad():
        logits = lm.model(torch.tensor([ids[:t]])).logits[0, -1]
    return torch.log_softmax(logits.double(), -1)[ids[t]].item()


def test_padding_and_order_change_no_number(lm):
    words = TEXT.split()
    pairs = [(" ".join(words[:n]), " " + " ".join(words[n : n + m])) for n in range(1, 9) for m in (1, 2, 5)]
    together = [s.logprobs for s in lm.token_logprobs(pairs)]
    alone = [lm.token_logprobs([pair])[0].logprobs for pair in pairs]
    assert len({len(x) for x in alone}) > 5
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)
    for (value, greedy), tokens in zip(lm.loglikelihood(pairs), alone, strict=True):
        assert value < 0
        assert isinstance(greedy, bool)
        assert len(tokens)


def test_a_context_that_is_too_long_is_cut_on_the_left_and_the_number_is_told(lm):
    context, answer = TEXT + TEXT, " positive"
    ids = lm.encode(context + answer)
    (scores,) = lm.token_logprobs([(context, answer)])
    assert scores.dropped == len(ids) - 41 > 0  # 40 tokens are read, the last one predicted
    assert list(scores.ids) == ids[-41:]
    assert scores.continuation[0] == pytest.approx(logprob(lm, ids[-41:], 40), abs=1e-5)
    with pytest.raises(InputError, match=r"The continuation has .* tokens, the model reads at most 40"):
        lm.loglikelihood([("a", TEXT + TEXT)])


def test_an_empty_context_is_the_end_of_text_token_as_in_the_harness(lm):
    ids = [lm.tokenizer.eos_token_id, *lm.encode("the food")]
    expected = sum(logprob(lm, ids, t) for t in range(1, len(ids)))
    assert lm.loglikelihood([("", "the food")])[0][0] == pytest.approx(expected, abs=1e-5)


def test_a_space_belongs_to_the_word_after_it_and_a_merge_across_the_boundary_is_cut(lm):
    assert lm.encode_pair("the food was ", "positive") == lm.encode_pair("the food was", " positive")
    head, tail = lm.encode_pair("the food was ", "positive")
    assert head + tail == lm.encode("the food was positive")
    assert tail == lm.encode(" positive")
    # "undo" is one token: there is no way to read "un" and then "do" in it.
    assert len(lm.encode(" undo")) == 1
    head, tail = lm.encode_pair(" un", "do")
    assert (head, tail) == (lm.encode(" un"), lm.encode("do"))
    assert lm.tokenizer.decode(tail) == "do"


def test_chain_rule_over_cut_points(lm):
    """log p(ab | c) = log p(a | c) + log p(b | ca): no token is lost or counted twice at the boundary."""
    whole, first, second = lm.loglikelihood(
        [("the food", " was very positive"), ("the food", " was"), ("the food was", " very positive")]
    )
    assert whole[0] == pytest.approx(first[0] + second[0], abs=1e-5)


def test_rolling_scores_every_token_once_however_long_the_text(lm):
    short, long = "the food was very positive", TEXT * 4
    prefix = lm.tokenizer.eos_token_id
    expected = []
    for text in (short, long):
        ids, total = lm.encode(text), 0.0
        for t in range(len(ids)):
            start = t - t % 40  # windows of 40 predicted tokens
            end = min(start + 40, len(ids))
            window = [prefix, *ids][max(0, end - 40) : end + 1]  # filled to the left where the text has run out
            total += logprob(lm, window, t + 1 - max(0, end - 40))
        expected.append(total)
    assert len(lm.encode(long)) > 80
    np.testing.assert_allclose(lm.loglikelihood_rolling([short, long]), expected, atol=1e-4)
    with pytest.raises(InputError, match="has no tokens"):
        lm.loglikelihood_rolling([""])


def test_greedy_is_true_for_what_the_model_would_write():
    tiny = tiny_lm(NoisyEvidence(), seed=3)
    context = "food : soup rain goal honey . food"
    scores = {word: tiny.loglikelihood([(context, word)])[0] for word in NoisyEvidence().vocabulary()}
    winners = [word for word, (_, greedy) in scores.items() if greedy]
    assert winners in ([], [max(scores, key=lambda w: scores[w][0])])  # [] if a special token wins
    total = sum(np.exp(ll) for ll, _ in scores.values())
    assert 0.5 < total < 1  # the rest is on the special tokens


def test_the_tokenizer_decides_about_the_beginning_of_text_token(lm):
    assert lm.add_bos is False  # GPT-2's kind adds none
    tiny = tiny_lm(NoisyEvidence())
    assert tiny.add_bos is True
    (scores,) = tiny.token_logprobs([("food :", "soup")])
    assert tiny.tokenizer.convert_ids_to_tokens(list(scores.ids)) == ["<s>", "food", ":", "soup"]
    forced = LM(lm.model, lm.tokenizer, add_bos=True)
    (scores,) = forced.token_logprobs([("the food", " was")])
    assert scores.ids[0] == lm.tokenizer.bos_token_id


def test_what_cannot_be_scored_is_refused(lm):
    with pytest.raises(InputError, match="The continuation '' has no tokens"):
        lm.loglikelihood([("the food", "")])
    with pytest.raises(InputError, match="max_length must be greater than 0"):
        LM(lm.model, lm.tokenizer, max_length=0)


@pytest.fixture
def bare():
    """A model whose tokenizer has words and an unknown token, and no other: none for padding, beginning or end."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tiny = tiny_lm(NoisyEvidence(), seed=1)
    words = Tokenizer(models.WordLevel(tiny.tokenizer.get_vocab(), unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tiny.model, PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")


def test_without_special_tokens_a_context_is_needed_and_padding_is_not(bare):
    model, tokenizer = bare
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (None, None, None)
    lm = LM(model, tokenizer)
    pairs = [("food :", "soup"), ("food : soup rain goal . food :", "honey rain")]
    together = [score for score, _ in lm.loglikelihood(pairs)]
    for pair, score in zip(pairs, together, strict=True):
        ids, start = tokenizer(" ".join(pair)).input_ids, len(tokenizer(pair[0]).input_ids)
        assert score == pytest.approx(sum(logprob(lm, ids, t) for t in range(start, len(ids))), abs=1e-4)
    with pytest.raises(InputError, match="no beginning-of-text or end-of-text token; give a context"):
        lm.loglikelihood([("", "soup")])
    with pytest.raises(InputError, match="no beginning-of-text or end-of-text token; give a context"):
        lm.loglikelihood_rolling(["soup rain"])
    with pytest.raises(InputError, match="add_bos needs a tokenizer with a beginning-of-text or end-of-text token"):
        LM(model, tokenizer, add_bos=True)


def test_a_config_without_a_length_is_refused_and_so_are_weights_that_are_no_numbers(bare):
    model, tokenizer = bare
    lm = LM(model, tokenizer)
    with torch.no_grad():
        model.lm_head.weight[5] = float("nan")
    with pytest.raises(InputError, match=r"output is not a number \(NaN\)"):
        lm.loglikelihood([("food", "rain")])
    model.config.max_position_embeddings = 0  # as in models without positions
    with pytest.raises(InputError, match="does not say how long a text it reads; give max_length"):
        LM(model, tokenizer)
    assert LM(model, tokenizer, max_length=7).max_length == 7
