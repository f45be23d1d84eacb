"""Trained models on disk: ``weights.safetensors`` and a readable ``card.json``; save, load, verify, download.

``load("tiny/dense_d5")`` looks in the clone, then in the user's cache, then downloads into the cache. A folder works
as well as a name. Nothing but safetensors and JSON is ever read.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from icl_lab.errors import InputError, unknown
from icl_lab.files import sha256, writable_folder, write_atomic, write_json
from icl_lab.transformer import SIZES, Config, Transformer

log = logging.getLogger("icl_lab")

CLONE = Path(__file__).resolve().parents[1] / "checkpoints"
WEIGHTS, CARD = "weights.safetensors", "card.json"
STORAGES = ("float32", "float16", "int8")


@dataclass
class Pretrained:
    """A trained transformer as an in-context learner: ``(xs (B, T, d), ys (B, T)) -> (B, T)``, without gradients."""

    model: Transformer
    card: dict[str, Any]
    batch_size: int = 256

    @property
    def name(self) -> str:
        return f"transformer, {self.card['name']}"

    @torch.no_grad()
    def __call__(self, xs: Tensor, ys: Tensor) -> Tensor:
        self.model.check(xs, ys)
        device = self.model.read_in.weight.device
        pieces = [
            self.model(x.to(device).float(), y.to(device).float())
            for x, y in zip(xs.split(self.batch_size), ys.split(self.batch_size), strict=True)
        ]
        return torch.cat(pieces).to(xs.device)


# ---------------------------------------------------------------- storage


def encode(weights: dict[str, Tensor], storage: str) -> dict[str, Tensor]:
    """Weights as they are stored. int8: matrices get one scale per output channel (row), vectors stay float32."""
    if storage not in STORAGES:
        raise unknown("storage", storage, STORAGES)
    weights = {name: w.detach().cpu().float() for name, w in weights.items()}
    if storage == "float32":
        return weights
    if storage == "float16":
        return {name: w.half() for name, w in weights.items()}
    stored = {}
    for name, w in weights.items():
        if w.ndim < 2:
            stored[name] = w
            continue
        scale = (w.abs().amax(dim=1) / 127).clamp(min=1e-12)  # (rows,)
        stored[name] = torch.round(w / scale[:, None]).to(torch.int8)
        stored[f"{name}.scale"] = scale
    return stored


def decode(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """float32 weights from what encode stored."""
    weights = {}
    for name, w in stored.items():
        if name.endswith(".scale"):
            continue
        scale = stored.get(f"{name}.scale")
        weights[name] = w.float() if scale is None else w.float() * scale[:, None]
    return weights


def save(folder: str | os.PathLike, weights: dict[str, Tensor], card: dict[str, Any], storage: str = "float32") -> Path:
    """Write weights and card; the card gets the storage and the sha256 of the weights. Returns the folder."""
    folder = writable_folder(folder)
    data = save_tensors({name: w.contiguous() for name, w in encode(weights, storage).items()})
    card = {**card, "storage": storage, "sha256": sha256(data)}
    write_atomic(folder / WEIGHTS, data)
    write_json(folder / CARD, card)
    return folder


# ---------------------------------------------------------------- finding


def index() -> dict[str, dict[str, str]]:
    """The shipped checkpoints: name -> file -> sha256. Made by ``icl-lab ship``; part of the package."""
    return json.loads(resources.files("icl_lab").joinpath("shipped.json").read_text())


def cache() -> Path:
    """The user's cache: ICL_LAB_CACHE, or the usual place of the operating system."""
    if os.environ.get("ICL_LAB_CACHE"):
        return Path(os.environ["ICL_LAB_CACHE"])
    try:
        import pooch
    except ImportError:  # a bare machine that only trains; nothing is downloaded there
        return Path.home() / ".cache" / "icl_lab"
    return Path(pooch.os_cache("icl_lab"))


def _local() -> dict[str, Path]:
    """Checkpoints of transformers on this machine; the clone goes before the cache."""
    found: dict[str, Path] = {}
    for root in (CLONE, cache()):
        for card in sorted(root.glob(f"*/*/{CARD}")):
            name = f"{card.parts[-3]}/{card.parts[-2]}"
            if not name.startswith("language/"):
                found.setdefault(name, card.parent)
    return found


def list() -> list[str]:
    """Names that load() takes: what is here and what can be downloaded."""
    return sorted({*_local(), *(name for name in index() if not name.startswith("language/"))})


def largest(recipe: str) -> str:
    """``<size>/<recipe>`` of the largest size that there is. Raises InputError when there is none."""
    known = list()
    for size in reversed(SIZES):  # from the largest
        if f"{size}/{recipe}" in known:
            return f"{size}/{recipe}"
    raise unknown("checkpoint", recipe, {name.partition("/")[2] for name in known})


def fetch(name: str) -> Path:
    """The folder of a checkpoint: the clone's, or the cache's, where what is missing is downloaded and verified."""
    if (CLONE / name / CARD).is_file():
        return CLONE / name
    files = index().get(name)
    if files is None and (cache() / name / CARD).is_file():
        return cache() / name
    if files is None:
        raise unknown("checkpoint", name, {*list(), *index()})
    import pooch

    from icl_lab.address import raw_url

    folder = cache() / name
    for file, digest in files.items():
        url = raw_url(f"checkpoints/{name}/{file}")
        try:
            pooch.retrieve(url, known_hash=f"sha256:{digest}", fname=file, path=folder, progressbar=False)
        except Exception as error:  # pooch lets every kind of network error through
            raise InputError(
                f"Checkpoint {name} is not here and could not be downloaded from {url} ({error})."
            ) from error
    return folder


# ---------------------------------------------------------------- loading


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a folder. Raises InputError when it is missing or is not a card."""
    path = folder / CARD
    try:
        card = json.loads(path.read_text())
        card["recipe"], card["model"], card["sha256"], card["name"]
    except FileNotFoundError as error:
        raise InputError(f"There is no {CARD} in {folder}; a checkpoint is {WEIGHTS} and {CARD}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not the card of a checkpoint ({error!r}).") from error
    return card


def read_weights(folder: Path, card: dict[str, Any]) -> dict[str, Tensor]:
    """float32 weights whose file is the one that the card names. Raises InputError when it is not."""
    path = folder / WEIGHTS
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read {path} ({error.strerror}).") from error
    if sha256(data) != card["sha256"]:
        raise InputError(
            f"{path} ({len(data)} bytes) is not the file its card names: its sha256 is {sha256(data)[:12]}..., "
            f"expected {card['sha256'][:12]}...; it is truncated, damaged or of another training."
        )
    try:
        return decode(load_tensors(data))
    except SafetensorError as error:
        raise InputError(f"{path} is not a safetensors file ({error}).") from error


def load(name: str | os.PathLike, device: str = "cpu") -> Pretrained:
    """A trained transformer by name (``tiny/dense_d5``) or folder, as an in-context learner.

    A name without a size (``dense_sparse2``) takes the largest there is and says so in the log; the predictor's own
    name says which it is.
    Raises InputError for an unknown name (the nearest is suggested), a file of the wrong hash, and a card that does not
    fit its weights.
    """
    if "/" not in str(name) and not Path(name).is_dir():
        asked, name = name, largest(str(name))
        log.info("%s: the largest there is, %s", asked, name)
    folder = Path(name) if Path(name).is_dir() else fetch(str(name))
    card = read_card(folder)
    weights = read_weights(folder, card)
    try:
        model = Transformer(Config(**card["model"]))
        model.load_state_dict(weights)
    except (RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"The card in {folder} does not fit its weights ({reason}).") from error
    return Pretrained(model.to(device).eval(), card)
