"""An environment with Colab's versions, and a notebook that runs there as it would in Colab.

The package and the notebook come from a snapshot of the working tree. The kernel belongs to an environment that holds
what ``constraints.txt`` lists and not the package; papermill drives it from the book's environment.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path

import nbformat
from packaging.requirements import Requirement

from icl_lab.address import ROOT
from icl_lab.book.worker import REPORT

LIST = Path(__file__).with_name("constraints.txt")
BORROWED = ("torch", "torchgen", "functorch")  # packages of the book's own torch, where Colab's cannot be had


def pins(python: str) -> dict[str, str]:
    """Colab's version of each package for one Python such as ``3.13``."""
    lines = [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    found = {}
    for requirement in map(Requirement, lines):
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            found[requirement.name] = str(requirement.specifier).removeprefix("==")
    return found


def needed() -> list[str]:
    """What the package asks for when a chapter runs, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(text).name for text in (*project["dependencies"], *project["optional-dependencies"]["text"])]


def find_python(version: str) -> str | None:
    """An interpreter of this version: named in ICL_LAB_PYTHON_3_12 and the like, on the path, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [
        os.environ.get(f"ICL_LAB_PYTHON_{version.replace('.', '_')}"),
        sys.executable,
        shutil.which(f"python{version}"),
        *map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python"))),
    ]
    question = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        asked = subprocess.run([candidate, "-c", question], capture_output=True, text=True)
        if asked.returncode == 0 and asked.stdout.strip() == version:
            return candidate
    return None


@dataclass(frozen=True)
class Runtime:
    """A virtual environment with Colab's versions."""

    folder: Path
    version: str
    has_torch: bool

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    def pip(self, *arguments: str) -> str:
        arguments = (*arguments, "--no-compile") if arguments[0] == "install" else arguments  # half the time
        command = [self.python, "-m", "pip", "--disable-pip-version-check", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def freeze(self) -> list[str]:
        return self.pip("freeze", "--all").splitlines()


def make(python: str, version: str) -> Runtime:
    """The environment for one Python; kept under ``.book`` until the list changes."""
    shelf = ROOT / ".book" / "colab"
    folder = shelf / f"{version}-{hashlib.sha256(LIST.read_bytes()).hexdigest()[:12]}"
    has_torch = version == f"{sys.version_info[0]}.{sys.version_info[1]}"
    runtime = Runtime(folder, version, has_torch)
    if (folder / "made").exists():
        runtime.pip("uninstall", "--yes", "--quiet", "icl-lab")
        return runtime
    for old in shelf.glob(f"{version}-*"):
        shutil.rmtree(old, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    there = pins(version)
    wanted = [name for name in needed() if name != "torch"] + ["ipykernel", "ipython", "setuptools", "pip"]
    runtime.pip("install", "--quiet", *(f"{name}=={there[name]}" for name in wanted), "-c", str(LIST))
    site = Path(subprocess.run([runtime.python, "-c", "import site; print(site.getsitepackages()[0])"],
                               check=True, capture_output=True, text=True).stdout.strip())  # fmt: skip
    if has_torch:
        borrow_torch(runtime, site)
    else:
        stand_in(site, there["torch"])
    (folder / "made").touch()
    return runtime


def borrow_torch(runtime: Runtime, site: Path) -> None:
    """Link the book's torch into the environment, and install what it needs."""
    own = metadata.distribution("torch")
    place = Path(str(own.locate_file("")))
    for name in (*BORROWED, own._path.name):
        if (place / name).exists():
            (site / name).symlink_to(place / name)
    needs = [Requirement(text) for text in own.requires or []]
    wanted = [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    runtime.pip("install", "--quiet", *(name for name in wanted if name != "setuptools" and "nvidia" not in name))


def stand_in(site: Path, version: str) -> None:
    """Metadata of a torch that is not there: pip believes in it, and importing it fails."""
    info = site / f"torch-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
    (info / "INSTALLER").write_text("stand-in\n")
    (info / "RECORD").write_text("")


def snapshot(folder: Path) -> Path:
    """Commit the working tree as it is now to a new repository in ``folder``."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listing.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "--quiet"], ["add", "--all", "--force"], [*who, "commit", "--quiet", "-m", "Snapshot"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder as the repository's files are served, for downloads of checkpoints. Yields the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def run(runtime: Runtime, notebook: nbformat.NotebookNode, snapshot: Path, folder: Path, parameters: dict) -> dict:
    """Run a notebook alone in an empty folder, with a kernel of ``runtime``. Returns the worker's last report.

    The package comes from ``snapshot`` by git, checkpoints from there by HTTP.
    """
    with serve(snapshot) as mirror:
        return _run(runtime, notebook, f"git+file://{snapshot}", mirror, folder, parameters)


def _run(
    runtime: Runtime, notebook: nbformat.NotebookNode, source: str, mirror: str, folder: Path, parameters: dict
) -> dict:
    kernel = folder / "jupyter" / "kernels" / "colab"
    kernel.mkdir(parents=True)
    argv = [runtime.python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Colab", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    (folder / "home").mkdir()
    work = folder / "content"
    work.mkdir()
    nbformat.write(notebook, work / "chapter.ipynb")
    job = {
        "source": str(work / "chapter.ipynb"),
        "output": str(folder / "executed.ipynb"),
        "parameters": parameters,
        "cwd": str(work),
        "kernel": "colab",
    }
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "LANG", "LC_"))}
    clean = {
        **kept,
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "home"),
        "JUPYTER_PATH": str(folder / "jupyter"),
        "ICL_LAB_SOURCE": source,
        "ICL_LAB_RAW": mirror,
        "OMP_NUM_THREADS": "1",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "icl_lab.book.worker"],
        input=json.dumps(job), cwd=folder, env=clean, capture_output=True, text=True, timeout=1200,
    )  # fmt: skip
    lines = [line for line in ended.stdout.splitlines() if line.startswith(REPORT)]
    reports = [json.loads(line.removeprefix(REPORT)) for line in lines]
    assert reports, ended.stderr
    return {**reports[-1], "log": ended.stderr}
