"""Where the repository lives. The address is written once, in ``[project.urls]`` of pyproject.toml."""

from __future__ import annotations

import os
import tomllib
from importlib import metadata
from pathlib import Path

from icl_lab.errors import InputError

PLACEHOLDER = "https://github.com/icl-measured/icl-measured"
BRANCH = "main"
PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent  # the clone, when the package runs from one


def repository_url(root: Path = ROOT) -> str:
    """The address of the repository, without a closing slash.

    A clone's own pyproject.toml is asked first, then the installed package's metadata (which pip made from it).
    Raises InputError when neither names one.
    """
    pyproject = root / "pyproject.toml"
    if pyproject.is_file():
        project = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("project", {})
        address = project.get("urls", {}).get("Repository")
        if project.get("name") == "icl-lab" and address:
            return address.rstrip("/")
    try:
        lines = metadata.metadata("icl-lab").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        lines = []
    for line in lines:
        label, _, address = line.partition(", ")
        if label == "Repository":
            return address.rstrip("/")
    raise InputError("The repository's address is missing: write it as Repository in [project.urls] of pyproject.toml.")


def colab_url(notebook: str, root: Path = ROOT) -> str:
    """The link that opens ``notebook`` (a path inside the repository) in Colab."""
    owner_and_name = repository_url(root).removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{owner_and_name}/blob/{BRANCH}/{notebook}"


def raw_url(path: str, root: Path = ROOT) -> str:
    """Where a file of the repository can be downloaded as it is; ICL_LAB_RAW in the environment names a mirror.

    Raises InputError while the address is the placeholder: nothing can be downloaded from there.
    """
    mirror = os.environ.get("ICL_LAB_RAW")
    if mirror:
        return f"{mirror.rstrip('/')}/{path}"
    url = repository_url(root)
    if url == PLACEHOLDER:
        raise InputError(f"{path} is not here, and the repository has no address yet to download it from.")
    return f"{url.replace('https://github.com', 'https://raw.githubusercontent.com')}/{BRANCH}/{path}"
