"""A clone in miniature: the book's machinery, three toy modules, a toy checkpoint and two chapters. No torch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

REPOSITORY = Path(__file__).resolve().parents[2]
TOC = """\
format: jb-book
root: chapters/intro
parts:
  - caption: Part
    chapters:
      - file: chapters/01_one
      - file: chapters/02_two
"""
FIGURE = """\
import matplotlib.pyplot as plt
from IPython.display import display
for height in (1, 2):
    fig, ax = plt.subplots(figsize=(1, height))
    display(fig, metadata={"image/png": {"alt": f"An empty square of height {height}."}})
    plt.close(fig)"""
ONE = ["# One", "n = 12 # parameters", "print('first n =', n)", FIGURE]
TWO = [
    "# Two",
    "[The first chapter](01_one.ipynb)",
    "n = 5 # parameters",
    "from icl_lab import toy_outer\nprint('value', toy_outer.value())",
    "from icl_lab import checkpoints\nprint('card', checkpoints.card('tiny/a'))",
]


@dataclass
class Outcome:
    """How a build ended: exit status, everything it printed, which chapters it ran."""

    status: int
    text: str

    @property
    def ran(self) -> list[str]:
        return sorted(set(re.findall(r"^  (\w+): \d+ cells", self.text, re.MULTILINE)))


@dataclass
class Miniature:
    root: Path

    def write(self, path: str, text: str) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return target

    def chapter(self, name: str, cells: list[str], fast: dict | None = None, **settings: object) -> Path:
        """Write a chapter; a cell that begins with # or [ is Markdown, one that ends in # parameters is tagged."""
        from icl_lab.book import notebooks

        notebook = new_notebook(metadata={"kernelspec": {"name": "nowhere", "display_name": "-", "language": "python"}})
        notebook.metadata["icl_lab"] = {"fast": fast or {}, **settings}
        notebook.cells = [
            new_code_cell(notebooks.cell_0(self.root), metadata={"tags": ["setup", "remove-cell"]}, id="setup")
        ]
        for number, text in enumerate(cells):
            tags = {"tags": ["parameters"]} if text.endswith("# parameters") else {}
            new = new_markdown_cell if text[0] in "#[" else new_code_cell
            notebook.cells.append(new(text, metadata=tags, id=f"cell{number}"))
        return self.write(f"chapters/{name}.ipynb", nbformat.writes(notebook) + "\n")

    def python(self, code: str, **environment: str) -> Outcome:
        """Run Python with the miniature's own copy of the package."""
        ended = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(self.root), "NO_COLOR": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        return Outcome(ended.returncode, ended.stdout)

    def build(self, **options: object) -> Outcome:
        """The whole way: Jupyter Book, the extension, papermill."""
        return self.python(f"import sys; from icl_lab.book import build; sys.exit(build(**{options!r}))")

    def run(self, profile: str = "full") -> Outcome:
        """Only the part that runs stale chapters, without Sphinx."""
        return self.python(
            "import sys; from pathlib import Path; from icl_lab.book import runner\n"
            f"paths = sorted(Path('chapters').glob('*.ipynb'))\n"
            f"chapters = [runner.load(path, Path('.').resolve(), {profile!r}) for path in paths]\n"
            "failures = runner.run_all([c for c in chapters if c.why_stale()])\n"
            "print('\\n'.join(f.message for f in failures)); sys.exit(len(failures))"
        )

    def page(self, name: str) -> str:
        return (self.root / "_build/html/chapters" / f"{name}.html").read_text(encoding="utf-8")


def make(root: Path) -> Miniature:
    """A fresh miniature in ``root``."""
    mini = Miniature(root)
    package = [f"icl_lab/{name}.py" for name in ("__init__", "errors", "address", "claims")]
    for name in ("_config.yml", "pyproject.toml", *package):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, root / name)
    shutil.copytree(REPOSITORY / "icl_lab/book", root / "icl_lab/book", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("images", "_static"):
        shutil.copytree(REPOSITORY / "chapters" / folder, root / "chapters" / folder)
    mini.write("chapters/references.bib", "")
    mini.write("chapters/intro.md", "# A small book\n\nSee [the second](02_two.ipynb).\n")
    mini.write("_toc.yml", TOC)
    mini.write("icl_lab/toy/__init__.py", "")
    mini.write("icl_lab/toy/inner.py", "VALUE = 41\n")
    mini.write("icl_lab/toy_outer.py", "from icl_lab.toy import inner\n\n\ndef value():\n    return inner.VALUE + 1\n")
    mini.write(
        "icl_lab/checkpoints.py",
        "from pathlib import Path\n\n\ndef card(name):\n"
        "    return (Path(__file__).parents[1] / 'checkpoints' / name / 'card.json').read_text()\n",
    )
    mini.write("checkpoints/tiny/a/card.json", "{}")
    mini.write("checkpoints/tiny/a/weights.safetensors", "weights")
    mini.chapter("01_one", ONE, fast={"n": 3})
    mini.chapter("02_two", TWO)
    return mini
