import re

import pytest

from icl_lab.errors import InputError
from icl_lab.language.lm import LM
from icl_lab.language.prompts import Demonstration, Prompt, Template, Verbalizer, check_length, n_tokens, shorten
from icl_lab.language.scoring import channel, direct

TEMPLATE = Template("review : {x} sentiment : {y}", "sentiment : {y} review : {x}", " . ", "\n")
SHOTS = tuple(Demonstration(f"the food was {word}", "positive") for word in ("good", "bad", "mixed", "not good"))
LABELS = ["positive", "very unpositive"]


def test_an_instruction_stands_in_front_of_both_orders_and_only_once():
    prompt = Prompt("no plot", SHOTS[:1], TEMPLATE, "Is it positive ?")
    assert prompt.input_first("bad") == (
        "Is it positive ?\nreview : the food was good sentiment : positive . review : no plot sentiment : ",
        "bad",
    )
    assert prompt.label_first("bad") == (
        "Is it positive ?\nsentiment : positive review : the food was good . sentiment : bad review : ",
        "no plot",
    )
    assert prompt.label_first_whole("bad")[1] == "bad review : no plot"
    assert Prompt("no plot", (), TEMPLATE).input_first("bad")[0] == "review : no plot sentiment : "


def test_a_verbalizer_writes_label_words_for_classes():
    verbalizer = Verbalizer({"glad": "great", "sad": "terrible"})
    assert verbalizer.labels == ("great", "terrible")
    assert verbalizer.demonstrations([("x", "sad"), ("{y}", "glad")]) == (
        Demonstration("x", "terrible"),
        Demonstration("{y}", "great"),
    )
    with pytest.raises(InputError, match=r"Unknown class 'glat'\. Did you mean 'glad'"):
        verbalizer.word("glat")
    with pytest.raises(InputError, match="the same word"):
        Verbalizer({"a": "x", "b": " x"})
    for words in ({"a": "x"}, {"a": "x", "b": " "}):
        with pytest.raises(InputError, match="a word for each of two or more classes"):
            Verbalizer(words)


def test_a_prompt_that_just_fits_loses_nothing_and_one_token_less_is_refused(lm):
    prompt = Prompt("no plot", SHOTS, TEMPLATE)
    longest = max(len(lm.encode("".join(prompt.input_first(label)))) for label in LABELS)
    assert n_tokens(lm, prompt, LABELS) == longest > len(lm.encode("".join(prompt.input_first(LABELS[0]))))
    room = LM(lm.model, lm.tokenizer, max_length=longest - 1)  # the last token is predicted, not read
    assert check_length(room, prompt, LABELS) == longest
    assert all(tokens.dropped == 0 for tokens in room.token_logprobs([prompt.input_first(label) for label in LABELS]))
    tight = LM(lm.model, lm.tokenizer, max_length=longest - 2)
    dropped = [t.dropped for t in tight.token_logprobs([prompt.input_first(label) for label in LABELS])]
    assert max(dropped) == 1
    message = f"its 4 demonstrations and a label has {longest} tokens, and this model can score at most {longest - 1}:"
    with pytest.raises(InputError, match=re.escape(message)):
        check_length(tight, prompt, LABELS)


def test_a_long_prompt_keeps_its_instruction_and_the_last_demonstrations(lm):
    prompt = Prompt("no plot", SHOTS, TEMPLATE, "no one likes it")
    shorter, dropped = shorten(lm, prompt, LABELS)  # this model reads 40 tokens
    assert 0 < dropped < 4
    assert (shorter.instruction, shorter.demonstrations) == ("no one likes it", SHOTS[dropped:])
    assert n_tokens(lm, shorter, LABELS) <= lm.max_length + 1
    one_more = Prompt("no plot", SHOTS[dropped - 1 :], TEMPLATE, "no one likes it")
    assert n_tokens(lm, one_more, LABELS) > lm.max_length + 1
    for score in (direct, channel):
        score(lm, shorter, LABELS)
    for short in (Prompt("no plot", (), TEMPLATE), shorter, Prompt("no", SHOTS[:1], TEMPLATE)):
        assert shorten(lm, short, LABELS) == (short, 0)  # what fits stays whole
    with pytest.raises(InputError, match="its 0 demonstrations and a label has"):
        shorten(lm, Prompt("undo " * 60, SHOTS, TEMPLATE), LABELS)


def test_a_template_without_its_slots_is_refused():
    with pytest.raises(InputError, match=re.escape("must hold {x} once, then {y} once at its end, got '{x} :'")):
        Template("{x} :")
