"""Language models on disk: a folder as ``save_pretrained`` writes it, and a card that says what it is."""

from __future__ import annotations

import hashlib
import json
import platform
from contextlib import contextmanager
from pathlib import Path

from icl_lab import checkpoints
from icl_lab.errors import InputError

SHIPPED = checkpoints.CLONE / "language"
WEIGHTS = "model.safetensors"


def need_transformers():
    """The package transformers, imported now; InputError with the install line if it is missing."""
    try:
        import transformers
    except ImportError:
        raise InputError("Language models need the package transformers: pip install 'icl-lab[text]'.") from None
    return transformers


@contextmanager
def quiet():
    """No progress bars of transformers inside: a tiny model is read and written in a blink."""
    logging = need_transformers().utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def shipped() -> list[str]:
    """Short names of the course's language models: in the clone, or to be downloaded."""
    here = {card.parent.name for card in SHIPPED.glob("*/card.json")}
    return sorted(here | {name.split("/")[1] for name in checkpoints.index() if name.startswith("language/")})


def folder_of(name: str | Path) -> Path:
    """The folder of a shipped model by its short name (downloaded if need be); any other name is a folder already."""
    return checkpoints.fetch(f"language/{name}") if str(name) in shipped() else Path(name)


def save_lm(lm, folder: str | Path, measured: dict | None = None, half: bool = False) -> dict:
    """Write model, tokenizer and card.json into a folder; the card is returned.

    ``measured``: accuracies to put on the card. The card also holds how the model was trained (``lm.training``),
    its size, the versions it was made with and the sha256 of its weights. ``half``: write the weights as float16.
    """
    import torch

    transformers = need_transformers()
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder '{folder}' cannot be written: {error.strerror}.") from error
    with quiet():
        model = lm.model.half() if half else lm.model
        model.save_pretrained(folder)
        model.float()
        lm.tokenizer.save_pretrained(folder)
    card = {
        "training": lm.training,
        "parameters": sum(p.numel() for p in lm.model.parameters()),
        "measured": measured or {},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "sha256": sha256(folder / WEIGHTS),
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    return card


def read_card(folder: str | Path) -> dict:
    """The card of a shipped model (by its short name) or of a folder."""
    folder = folder_of(folder)
    path = folder / "card.json"
    try:
        card = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"The folder '{folder}' has no card.json.") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON: {error}.") from error
    if not isinstance(card, dict) or "sha256" not in card:
        raise InputError(f"{path} is not the card of a language model: it has no sha256.")
    return card


def verify(folder: Path) -> None:
    """Check that a folder holds a model and, where it has a card, that the weights are those of the card."""
    if not (folder / "config.json").is_file():
        raise InputError(f"The folder '{folder}' holds no model: config.json is missing.")
    if not (folder / "card.json").is_file():
        return  # a folder of somebody else's model has none
    card = read_card(folder)
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"The folder '{folder}' has a card but no {WEIGHTS}.")
    found = sha256(folder / WEIGHTS)
    if found != card["sha256"]:
        raise InputError(
            f"{folder / WEIGHTS} is not the file that its card describes (sha256 {found[:12]}..., expected "
            f"{card['sha256'][:12]}...): it is damaged or was replaced."
        )


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
