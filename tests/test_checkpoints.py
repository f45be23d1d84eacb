"""Checkpoints: out and in again in every storage, verified, found in the right order, downloaded when missing."""

import functools
import http.server
import json
import threading
from dataclasses import asdict

import pytest
import torch

from icl_lab import checkpoints, shipping
from icl_lab.checkpoints import CARD, WEIGHTS, decode, encode
from icl_lab.errors import InputError
from icl_lab.files import sha256
from icl_lab.functions import DenseLinear
from icl_lab.transformer import Config, Transformer


@pytest.fixture
def model():
    config = Config(dim=3, n_points=6, n_layer=1, n_embd=16, n_head=2)
    model = Transformer(config).init_weights(0)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    return model


@pytest.fixture
def save(model):
    """``save(folder, storage, **changes of the card)``"""

    def write(folder, storage="float32", **changes):
        card = {"name": "tiny/test", "recipe": {"name": "test"}, "model": asdict(model.config)} | changes
        return checkpoints.save(folder, model.state_dict(), card, storage)

    return write


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """No clone, an empty cache, no index and no address: a machine that knows nothing."""
    monkeypatch.setattr(checkpoints, "CLONE", tmp_path / "clone")
    monkeypatch.setattr(checkpoints, "index", dict)
    monkeypatch.setenv("ICL_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ICL_LAB_RAW", raising=False)
    return tmp_path


# ---------------------------------------------------------------- storage


def test_float32_comes_back_bit_for_bit(tmp_path, model, save):
    loaded = checkpoints.load(save(tmp_path / "c"))
    assert all(torch.equal(w, model.state_dict()[name]) for name, w in loaded.model.state_dict().items())
    prompts = DenseLinear(3).sample(300, 6, 0)  # more than one batch of the predictor
    with torch.no_grad():
        expected = model(prompts.xs, prompts.ys)
    torch.testing.assert_close(loaded(prompts.xs, prompts.ys), expected, atol=1e-6, rtol=1e-6)
    assert not loaded(prompts.xs, prompts.ys).requires_grad
    assert loaded.name == "transformer, tiny/test"
    assert not loaded.model.training


def test_float16_rounds_to_eleven_bits(tmp_path, model, save):
    loaded = checkpoints.load(save(tmp_path / "c", "float16")).model.state_dict()
    for name, w in model.state_dict().items():
        torch.testing.assert_close(loaded[name], w, rtol=2**-11, atol=1e-7)
    assert not torch.equal(loaded["read_in.weight"], model.state_dict()["read_in.weight"])


def test_int8_errs_by_half_a_step_of_its_own_channel(model):
    weights = model.state_dict()
    weights["read_in.weight"][3] *= 100  # a large channel must not coarsen the others
    weights["read_in.weight"][4] = 0.0
    stored = encode(weights, "int8")
    back = decode(stored)
    assert set(back) == set(weights)
    for name, w in weights.items():
        if w.ndim == 1:
            assert torch.equal(back[name], w)
            continue
        assert stored[name].dtype == torch.int8
        step = w.abs().amax(dim=1, keepdim=True) / 127
        assert ((back[name] - w).abs() <= 0.5001 * step + 1e-12).all()
    sizes = {s: sum(t.numel() * t.element_size() for t in encode(weights, s).values()) for s in ("float32", "int8")}
    assert sizes["int8"] < 0.4 * sizes["float32"]


def test_the_card_says_what_is_stored(tmp_path, save):
    folder = save(tmp_path / "c", "int8", extra=1)
    card = json.loads((folder / CARD).read_text())
    assert card["storage"] == "int8"
    assert card["extra"] == 1
    assert card["sha256"] == sha256((folder / WEIGHTS).read_bytes())
    assert sorted(p.name for p in folder.iterdir()) == [CARD, WEIGHTS]


def test_unknown_storage(model):
    with pytest.raises(InputError, match=r"Unknown storage 'int4'\. Did you mean 'int8'"):
        encode(model.state_dict(), "int4")


# ---------------------------------------------------------------- damage


def test_truncated_swapped_and_missing_weights(tmp_path, model, save):
    folder = save(tmp_path / "c")
    data = (folder / WEIGHTS).read_bytes()
    other = save(tmp_path / "other", "float16")
    for bad in (data[:-100], b"", (other / WEIGHTS).read_bytes()):
        (folder / WEIGHTS).write_bytes(bad)
        with pytest.raises(InputError, match=rf"\({len(bad)} bytes\) is not the file its card names"):
            checkpoints.load(folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(InputError, match=r"Cannot read .*No such file"):
        checkpoints.load(folder)


def test_weights_that_are_no_safetensors(tmp_path, save):
    folder = save(tmp_path / "c")
    (folder / WEIGHTS).write_bytes(b"not weights")
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(card | {"sha256": sha256(b"not weights")}))
    with pytest.raises(InputError, match="is not a safetensors file"):
        checkpoints.load(folder)


def test_a_card_that_does_not_fit(tmp_path, model, save):
    shape = asdict(model.config)
    for wrong in (shape | {"n_layer": 2}, shape | {"dim": 4}, shape | {"depth": 3}):
        with pytest.raises(InputError, match="does not fit its weights"):
            checkpoints.load(save(tmp_path / "c", model=wrong))


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"name": "x"}', "\x00"])
def test_a_card_that_is_none(tmp_path, save, text):
    folder = save(tmp_path / "c")
    (folder / CARD).write_text(text)
    with pytest.raises(InputError, match="is not the card of a checkpoint"):
        checkpoints.load(folder)


def test_a_folder_without_a_card(tmp_path, save):
    folder = save(tmp_path / "c")
    (folder / CARD).unlink()
    with pytest.raises(InputError, match=r"There is no card\.json in"):
        checkpoints.load(folder)


def test_prompts_of_another_dimension(tmp_path, save):
    prompts = DenseLinear(20).sample(2, 6, 0)
    with pytest.raises(InputError, match=r"d=3 coordinates.*d=20"):
        checkpoints.load(save(tmp_path / "c"))(prompts.xs, prompts.ys)


# ---------------------------------------------------------------- names


def test_the_clone_goes_before_the_cache(elsewhere, save):
    save(elsewhere / "cache" / "tiny" / "both", name="from the cache")
    save(elsewhere / "cache" / "tiny" / "cached", name="from the cache")
    save(elsewhere / "clone" / "tiny" / "both", name="from the clone")
    assert checkpoints.list() == ["tiny/both", "tiny/cached"]
    assert checkpoints.load("tiny/both").card["name"] == "from the clone"
    assert checkpoints.load("tiny/cached").card["name"] == "from the cache"


def test_an_unknown_name_suggests_the_nearest(elsewhere, save):
    save(elsewhere / "clone" / "tiny" / "dense_d5")
    with pytest.raises(InputError, match=r"Unknown checkpoint 'tiny/dense_d6'\. Did you mean 'tiny/dense_d5'"):
        checkpoints.load("tiny/dense_d6")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def published(elsewhere, save, monkeypatch):
    """One checkpoint on a server on the loopback, and in the package's index; returns the server's folder."""
    folder = save(elsewhere / "site" / "checkpoints" / "tiny" / "far")
    found = {"tiny/far": {p.name: sha256(p.read_bytes()) for p in folder.iterdir()}}
    monkeypatch.setattr(checkpoints, "index", lambda: found)
    handler = functools.partial(Quiet, directory=str(elsewhere / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("ICL_LAB_RAW", f"http://127.0.0.1:{server.server_port}")
        yield folder
        server.shutdown()
        thread.join()


def test_what_is_missing_is_downloaded_once(elsewhere, published, monkeypatch):
    assert checkpoints.list() == ["tiny/far"]
    first = checkpoints.load("tiny/far")
    cached = elsewhere / "cache" / "tiny" / "far"
    assert (cached / WEIGHTS).read_bytes() == (published / WEIGHTS).read_bytes()
    monkeypatch.setenv("ICL_LAB_RAW", "http://127.0.0.1:9")  # nobody answers there, and nobody is asked
    again = checkpoints.load("tiny/far")
    assert again.card == first.card
    (cached / WEIGHTS).unlink()  # an interrupted download
    with pytest.raises(
        InputError, match=r"tiny/far is not here and could not be downloaded from http://127\.0\.0\.1:9/"
    ):
        checkpoints.load("tiny/far")


def test_a_stale_cache_is_renewed(elsewhere, published):
    checkpoints.load("tiny/far")
    cached = elsewhere / "cache" / "tiny" / "far" / WEIGHTS
    cached.write_bytes(b"of an earlier version")
    checkpoints.load("tiny/far")
    assert cached.read_bytes() == (published / WEIGHTS).read_bytes()


def test_a_download_with_the_wrong_hash_is_refused(elsewhere, published):
    (published / WEIGHTS).write_bytes(b"something else")
    with pytest.raises(InputError, match="could not be downloaded"):
        checkpoints.load("tiny/far")
    assert not (elsewhere / "cache" / "tiny" / "far" / WEIGHTS).exists()


def test_a_name_without_a_size_takes_the_largest(elsewhere, save, caplog):
    for size in ("tiny", "standard", "small"):
        save(elsewhere / "clone" / size / "test", name=f"{size}/test")
    save(elsewhere / "clone" / "tiny" / "rest", name="tiny/rest")
    with caplog.at_level("INFO", logger="icl_lab"):
        assert checkpoints.load("test").name == "transformer, standard/test"
    assert "test: the largest there is, standard/test" in caplog.text
    assert checkpoints.load("rest").card["name"] == "tiny/rest"
    assert checkpoints.load("tiny/test").card["name"] == "tiny/test"
    with pytest.raises(InputError, match=r"[Uu]nknown checkpoint 'tset'.*test"):
        checkpoints.load("tset")


# ---------------------------------------------------------------- what is shipped


def test_the_page_of_models_is_made_from_the_cards():
    if not checkpoints.CLONE.is_dir():
        pytest.skip("no clone")
    assert (checkpoints.CLONE / "README.md").read_text() == shipping.readme()
    for name, card in shipping.cards().items():
        same = [other for other in shipping.cards().values() if shipping.family(other) == shipping.family(card)]
        assert card["trainings"] == len(same), name


def test_the_index_is_the_folder():
    if not checkpoints.CLONE.is_dir():
        pytest.skip("no clone")
    assert checkpoints.index() == shipping.make_index()


@pytest.mark.parametrize("name", [name for name in checkpoints.index() if not name.startswith("language/")])
def test_shipped_checkpoints_load_and_their_cards_hold(name):
    """A short curve on 256 of the card's prompts lies near what the card reports."""
    from icl_lab.evaluation import icl_curve
    from icl_lab.functions import Mixture
    from icl_lab.recipes import get

    predictor = checkpoints.load(name)
    card = predictor.card
    assert card["name"] == name
    recipe = get(card["recipe"]["name"])
    law = recipe.function_class
    parts, shares = (law.components, law.weights) if isinstance(law, Mixture) else ((law,), (1.0,))
    classes = {type(c).__name__: c for c in parts}
    for label, curve in card["curves"].items():
        measured = icl_curve(predictor, classes[label], 256, card["model"]["n_points"])
        reported = torch.tensor(curve["mean"])
        low, high = (torch.from_numpy(edge).float() for edge in (measured.low, measured.high))
        slack = (1.5 * (high - low)).clamp(min=0.15)  # the card's prompts are others; some laws have heavy tails
        assert (low <= reported + slack).all()
        assert (high >= reported - slack).all()
    if all(curve["optimum"] is not None for curve in card["curves"].values()):
        weights = torch.tensor([share * c.second_moment for share, c in zip(shares, parts, strict=True)])

        def over_the_law(key):  # a mixture's optimum is one for the mixture, not for each class alone
            curves = torch.tensor([card["curves"][label][key] for label in classes])
            return weights @ curves / weights.sum()

        assert (over_the_law("optimum") < over_the_law("mean") + 0.02).all()
