"""The models that ship with the course do what their worlds were made for. Seeds that no card and no chapter uses."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from icl_lab.language import measure, store
from icl_lab.language.evaluation import correct
from icl_lab.language.generation import exact_match, free_answers
from icl_lab.language.make import MODELS
from icl_lab.language.models import load_lm
from icl_lab.language.reasoning import least_to_most, solve
from icl_lab.language.scoring import direct
from icl_lab.language.worlds import WORLDS

SEED = 77


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_card_says_how_its_model_is_made(name):
    card = store.read_card(name)
    making, training = MODELS[name], dict(card["training"])
    world = dict(training["world"])
    assert WORLDS[world.pop("name")](**world) == making.world
    for key, value in making.training.items():
        assert training[key] == value
    config = load_lm(name).model.config
    assert config.num_hidden_layers == making.size.get("layers", 2)
    assert config.hidden_size == making.size.get("width", 64)


def test_all_of_them_together_are_small():
    files = [path for name in MODELS for path in (store.SHIPPED / name).iterdir()]
    assert sum(path.stat().st_size for path in files) < 12_000_000


@pytest.mark.parametrize("name", ["recognition", "mapping", "drift", "reasoning", "expression"])
def test_a_batch_of_many_lengths_gives_the_numbers_of_one_text_at_a_time(name):
    """Padding changes nothing: in float64 the numbers are the same; what float32 leaves is rounding."""
    lm, world = load_lm(name), MODELS[name].world
    pairs = []
    for i in range(12):
        words = world.document(SEED, i).split()
        pairs.append((" ".join(words[: 3 + 2 * i]), " ".join(words[3 + 2 * i : 5 + 3 * i])))
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.float64, 1e-9)):
        lm.model.to(dtype)
        together = [tokens.logprobs for tokens in lm.token_logprobs(pairs)]
        assert len({len(one) for one in together}) == 12
        for pair, expected in zip(pairs, together, strict=True):
            np.testing.assert_allclose(lm.token_logprobs([pair])[0].logprobs, expected, rtol=0, atol=tolerance)


def test_expressions_need_one_demonstration_of_their_style_and_end_where_training_did():
    lm, world = load_lm("expression"), MODELS["expression"].world
    share = {}
    for terms, k in ((4, 0), (4, 1), (5, 1)):
        asked = world.calculations(90, terms, k, SEED)
        told = free_answers(lm, [one.prompt for one in asked], 2 * terms)
        share[terms, k] = exact_match(told, [one.wanted for one in asked]).mean()
    assert share[4, 0] == pytest.approx(1 / 3, abs=0.15)  # one of three styles is guessed
    assert share[4, 1] > 0.95
    assert share[5, 1] < 0.2


def test_recognition_needs_to_be_told_the_task_by_one_example_or_an_instruction():
    lm, world = load_lm("recognition"), MODELS["recognition"].world
    share = {
        name: correct(direct, lm, world.cases(100, k, SEED, instruction=told)).mean()
        for name, k, told in (("nothing", 0, False), ("one", 1, False), ("told", 0, True))
    }
    assert share["nothing"] < 0.2
    assert share["one"] > 0.93
    assert share["told"] > 0.93
    wrong = [turned(case, world) for case in world.cases(100, 4, SEED)]
    assert correct(direct, lm, wrong).mean() > 0.85  # the mapping is not read: all labels turned around


def turned(case, world):
    """The question with every demonstration's label replaced by the next one of its task."""
    words = next(words for words in world.verbalizers() if case.labels[case.answer] in words)
    after = dict(zip(words, words[1:] + words[:1], strict=True))
    shots = tuple(replace(d, y=after[d.y]) for d in case.prompt.demonstrations)
    return replace(case, prompt=replace(case.prompt, demonstrations=shots))


@pytest.mark.parametrize("held_out", [False, True])
def test_mapping_is_read_off_the_prompt_with_label_words_that_never_were_labels(held_out):
    lm, world = load_lm("mapping"), MODELS["mapping"].world

    def share(kinds, k, words, turn=False):
        cases = world.cases(60, kinds, k, words, SEED, held_out)
        if turn:  # the labels of all demonstrations change places, and so must the answer
            cases = [replace(case, prompt=swapped(case), answer=1 - case.answer) for case in cases]
        return correct(direct, lm, cases).mean()

    assert 0.3 < share(2, 0, 1) < 0.7
    assert min(share(2, 8, words) for words in (1, 2, 3, 4)) > 0.9
    assert min(share(4, 16, words) for words in (1, 4)) > 0.8
    assert share(2, 8, 1, turn=True) > 0.9


def swapped(case):
    """The prompt with its two labels changing places in every demonstration."""
    other = dict(zip(case.labels, case.labels[::-1], strict=True))
    return replace(case.prompt, demonstrations=tuple(replace(d, y=other[d.y]) for d in case.prompt.demonstrations))


def test_drift_depends_on_the_order_and_not_on_the_label_names():
    lm, world = load_lm("drift"), MODELS["drift"].world
    by_order = {o: correct(direct, lm, world.cases(150, o, SEED)).mean() for o in ((0, 0, 1, 1), (0, 1, 0, 1))}
    assert by_order[0, 0, 1, 1] > by_order[0, 1, 0, 1] + 0.05
    spread = measure.over_orders(lm, world, 40, SEED, 3)
    assert spread.shape == (24,)
    assert spread.std() > 0.03


def test_reasoning_in_steps_goes_further_than_at_once_and_least_to_most_furthest():
    lm, world = load_lm("reasoning"), MODELS["reasoning"].world

    def share(way, terms, style):
        sums = world.sums(60, terms, style, seed=SEED)
        return np.mean([answer == one.result for answer, one in zip(way(lm, sums), sums, strict=True)])

    assert share(solve, 2, "direct") > 0.9
    assert share(solve, 5, "steps") > share(solve, 5, "direct") + 0.3
    assert share(solve, 7, "steps") < 0.4
    assert share(least_to_most, 7, "direct") > 0.85
