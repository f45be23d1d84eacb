import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from icl_lab import address, checkpoints
from icl_lab.errors import InputError
from icl_lab.language import store
from icl_lab.language.evaluation import accuracy, correct
from icl_lab.language.models import _tensors, load_lm, tiny_lm, train_lm, word_tokenizer
from icl_lab.language.scoring import channel, direct, perplexity
from icl_lab.language.worlds import WORLDS, Mapping, NoisyEvidence
from icl_lab.language.worlds.mapping import LABELS

WORLD = NoisyEvidence()
PAIRS = [("soup rain goal honey :", "food"), ("", "food : soup")]


@pytest.fixture(scope="module")
def trained():
    return train_lm(WORLD, steps=30, progress=False)


@pytest.fixture(scope="module")
def shipped():
    return load_lm("noisy_evidence")


def test_training_learns_and_is_a_function_of_its_seed(trained):
    losses = [loss for _, loss in trained.history]
    assert losses[0] > 4
    assert losses[-1] < 3.4
    before = torch.get_rng_state()
    same, other = (train_lm(WORLD, steps=3, seed=s, progress=False) for s in (0, 1))
    again = train_lm(WORLD, steps=3, seed=0, progress=False)
    assert torch.equal(before, torch.get_rng_state())
    state = dict(same.model.state_dict().items())
    assert all(torch.equal(value, state[name]) for name, value in again.model.state_dict().items())
    assert not all(torch.equal(value, state[name]) for name, value in other.model.state_dict().items())


def test_the_tokenizer_has_one_token_per_word_and_begins_every_text():
    tokenizer = word_tokenizer(WORLD.vocabulary())
    ids = tokenizer(WORLD.document(0, 0)).input_ids
    assert len(ids) == len(WORLD.document(0, 0).split()) + 1
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.unk_token_id not in ids


def test_what_is_learned_is_the_next_token_and_nothing_after_the_end():
    tokenizer = word_tokenizer(WORLD.vocabulary())
    ids, targets = _tensors(tokenizer, ["food : soup .", "food ."], limit=10)
    words = [["<s>", "food", ":", "soup"], ["<s>", "food", "."]]
    assert tokenizer.convert_ids_to_tokens(ids[0].tolist()) == words[0]
    assert tokenizer.convert_ids_to_tokens(ids[1].tolist())[:3] == words[1]
    assert tokenizer.convert_ids_to_tokens(targets[0].tolist()) == ["food", ":", "soup", "."]
    assert tokenizer.convert_ids_to_tokens(targets[1, :2].tolist()) == ["food", "."]
    assert targets[1, 2:].tolist() == [-100, -100]


def test_a_saved_model_scores_as_before_and_its_card_tells_how_it_was_made(trained, tmp_path):
    card = store.save_lm(trained, tmp_path / "m", {"x": 1})
    back = load_lm(str(tmp_path / "m"))
    assert back.add_bos
    for (a, _), (b, _) in zip(trained.loglikelihood(PAIRS), back.loglikelihood(PAIRS), strict=True):
        assert a == pytest.approx(b, abs=1e-6)
    assert store.read_card(tmp_path / "m") == json.loads(json.dumps(card))
    world = dict(card["training"]["world"])
    assert WORLDS[world.pop("name")](**world) == WORLD
    assert card["training"]["steps"] == 30
    assert card["measured"] == {"x": 1}


def test_damaged_and_incomplete_folders_are_refused_in_one_sentence(trained, tmp_path):
    good = tmp_path / "good"
    store.save_lm(trained, good)
    bad = shutil.copytree(good, tmp_path / "bad")
    weights = bad / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(InputError, match="damaged or was replaced"):
        load_lm(bad)
    weights.unlink()
    with pytest.raises(InputError, match=r"has a card but no model\.safetensors"):
        load_lm(bad)
    (bad / "card.json").write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        load_lm(bad)
    (bad / "card.json").write_text("{}")
    with pytest.raises(InputError, match="has no sha256"):
        load_lm(bad)
    (bad / "card.json").unlink()
    with pytest.raises(InputError, match="No language model could be read from the folder"):
        load_lm(bad)
    (bad / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json is missing"):
        load_lm(bad)


def test_unknown_names_suggest_the_nearest(monkeypatch):
    with pytest.raises(InputError, match="Did you mean 'noisy_evidence'"):
        load_lm("nosy_evidence")
    with pytest.raises(InputError, match="Did you mean 'gpt2'"):
        load_lm("gtp2")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=re.escape("pip install 'icl-lab[text]'")):
        load_lm("noisy_evidence")


def test_a_course_model_that_is_not_here_is_downloaded_or_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr(checkpoints, "CLONE", tmp_path)
    monkeypatch.setattr(store, "SHIPPED", tmp_path)
    monkeypatch.setenv("ICL_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(address, "repository_url", lambda root=None: address.PLACEHOLDER)
    monkeypatch.delenv("ICL_LAB_RAW", raising=False)
    with pytest.raises(InputError, match="has no address yet to download it from"):
        load_lm("noisy_evidence")
    assert "noisy_evidence" in store.shipped()


def test_every_course_model_is_shipped_and_can_be_made_again():
    from icl_lab.language.make import MODELS, make

    assert sorted(MODELS) == store.shipped()
    with pytest.raises(InputError, match="Did you mean 'noisy_evidence'"):
        make("noisy_evidenc")


def test_a_hub_model_that_cannot_be_fetched_is_one_sentence(monkeypatch):
    import transformers

    def offline(*args, **kwargs):
        raise OSError("We couldn't connect.\nMore lines.")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", offline)
    with pytest.raises(InputError) as error:
        load_lm("someone/some-model")
    assert str(error.value).startswith("No language model could be fetched from the Hugging Face hub as 'someone/")
    assert "\n" not in str(error.value)


def test_sizes_and_counts_that_do_not_fit(trained):
    with pytest.raises(InputError, match=r"multiple of 2 \* heads = 6, got 64"):
        tiny_lm(WORLD, heads=3)
    with pytest.raises(InputError, match="steps must be greater than 0, got 0"):
        train_lm(WORLD, steps=0)
    with pytest.raises(InputError, match=r"A document of this world has .* tokens, the model reads at most 128"):
        train_lm(NoisyEvidence(sentences=40), steps=1, progress=False)
    with pytest.raises(InputError, match="a word that this model's vocabulary does not have"):
        direct(trained, WORLD.cases(1)[0].prompt, ["food", "cooking"])


def test_the_shipped_model_is_the_one_on_its_card_and_small(shipped):
    card = store.read_card("noisy_evidence")
    assert card["parameters"] == sum(p.numel() for p in shipped.model.parameters())
    files = list((store.SHIPPED / "noisy_evidence").iterdir())
    assert sum(path.stat().st_size for path in files) < 2_000_000
    assert "noisy_evidence" in store.shipped()


def test_channel_beats_direct_by_forty_points_on_the_minority_class(shipped):
    cases = WORLD.cases(400, (8, 0), seed=5)  # 200 of them belong to the minority
    minority = {score.__name__: correct(score, shipped, cases)[1::2].mean() for score in (direct, channel)}
    assert minority["channel"] > minority["direct"] + 0.4
    assert minority["channel"] > WORLD.optimal_accuracy()[1] - 0.1


def test_with_balanced_demonstrations_every_score_is_near_the_optimum(shipped):
    cases = WORLD.cases(400, (4, 4), seed=6)
    for score in (direct, perplexity, channel):
        assert correct(score, shipped, cases).mean() > sum(WORLD.optimal_accuracy()) / 2 - 0.06


def test_the_channel_score_is_the_exact_evidence(shipped):
    """The model never saw the likelihood ratio; its channel score must follow it, case by case."""
    cases = WORLD.cases(200, (4, 4), seed=7)
    scores = channel(shipped, [c.prompt for c in cases], [c.labels for c in cases])
    exact = [WORLD.log_evidence(c.prompt.query, c.labels) for c in cases]
    assert np.corrcoef(scores[:, 0] - scores[:, 1], exact)[0, 1] > 0.97


def test_accuracy_has_wilson_intervals():
    # Wilson 1927 at 90 %: 1 of 10 right gives [.0247, .3272] with z = 1.6449 (by hand).
    z, n, p = 1.6448536, 10, 0.1
    roots = np.roots([1 + z * z / n, -(2 * p + z * z / n), p * p])  # the p0 with |p - p0| = z sqrt(p0 (1 - p0) / n)
    mean, low, high = accuracy([True] + [False] * 9)
    assert mean == pytest.approx(0.1)
    np.testing.assert_allclose(sorted(roots), [low, high], atol=1e-6)
    assert accuracy([True] * 5).high == 1.0
    with pytest.raises(InputError, match="at least one answer"):
        accuracy([])


def test_importing_the_language_lab_loads_no_transformers():
    code = (
        "import sys, icl_lab, icl_lab.language, icl_lab.language.scoring, icl_lab.language.models\n"
        "import icl_lab.language.worlds, icl_lab.language.evaluation\n"
        "assert not {'transformers', 'tokenizers', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_labels_count_where_that_is_asked_for():
    """The loss that is reported is the mean over the label words alone, computed here from the model's log-probs."""
    world = Mapping(labels=8, items=8)
    lm = tiny_lm(world, seed=4)
    logprobs = []
    for text in world.batch(4, 0, 16):
        words = text.split()
        (scores,) = lm.token_logprobs([(" ".join(words[:-1]), words[-1])])
        logprobs += [value for word, value in zip(words, scores.logprobs, strict=True) if word in LABELS]
    trained = train_lm(world, steps=1, seed=4, lm=lm, labels_only=True, progress=False)
    assert trained.history[0][1] == pytest.approx(-np.mean(logprobs), abs=1e-4)
    assert trained.training["labels_only"] is True
    with pytest.raises(InputError, match="The world NoisyEvidence does not say which words are answers"):
        train_lm(WORLD, steps=1, labels_only=True, progress=False)


def test_muon_turns_the_blocks_and_learns_and_an_unknown_optimizer_is_refused():
    lm = tiny_lm(WORLD, seed=0)
    before = {name: p.detach().clone() for name, p in lm.model.named_parameters()}
    lm = train_lm(WORLD, steps=1, lr=0.01, lm=lm, optimizer="muon", progress=False)
    for name, p in lm.model.named_parameters():
        if ".layers." in name and p.ndim == 2:  # most singular directions move alike: 0.2 sqrt(longest side) * lr
            values = torch.linalg.svdvals((p - before[name]).detach())
            expected = 0.2 * max(p.shape) ** 0.5 * 0.01
            assert values.median() == pytest.approx(expected, rel=0.35), name  # AdamW's: three times as much
            assert values.max() < 1.5 * expected, name
    assert train_lm(WORLD, steps=30, optimizer="muon", progress=False).history[-1][1] < 3.4
    with pytest.raises(InputError, match=r"Unknown optimizer 'moun'\. Did you mean 'muon'"):
        train_lm(WORLD, steps=1, optimizer="moun")


def test_half_precision_is_for_the_file_and_the_model_computes_in_float32(trained, tmp_path):
    store.save_lm(trained, tmp_path / "half", half=True)
    back = load_lm(tmp_path / "half")
    assert {p.dtype for p in back.model.parameters()} == {torch.float32}
    assert {p.dtype for p in trained.model.parameters()} == {torch.float32}
    weights = (tmp_path / "half" / "model.safetensors").stat().st_size
    assert weights < 2.2 * sum(p.numel() for p in trained.model.parameters())
    store.save_lm(trained, tmp_path / "full")
    for (a, _), (b, _) in zip(load_lm(tmp_path / "full").loglikelihood(PAIRS), back.loglikelihood(PAIRS), strict=True):
        assert a == pytest.approx(b, abs=0.02)


def test_a_matching_model_has_biases_in_its_attention_and_two_matrices_for_words():
    plain, matching = tiny_lm(WORLD), tiny_lm(WORLD, matching=True)
    for lm, expected in ((plain, False), (matching, True)):
        assert any(name.endswith("q_proj.bias") for name, _ in lm.model.named_parameters()) == expected
        same = lm.model.get_input_embeddings().weight is lm.model.get_output_embeddings().weight
        assert same != expected
