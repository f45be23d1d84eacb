"""Rules that every chapter keeps, so that it reads well in Jupyter, in Colab, on GitHub and in the book.

``python -m icl_lab.book.notebooks`` checks the chapters; ``--sync`` first rewrites cell 0 and removes outputs.

What a chapter declares about itself stands in its notebook metadata::

    "icl_lab": {"fast": {"n_prompts": 64}, "timeout": 600}

``fast`` holds the small values that the fast profile injects after the ``parameters`` cell; ``timeout`` is the
longest time, in seconds, that the whole chapter may take when the book is built; ``"run": false`` shows the notebook
without running it (exercises, which are not solved yet).
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat.v4.rwbase import rejoin_lines

from icl_lab.address import ROOT, repository_url
from icl_lab.errors import InputError

CELL_0 = """\
# In Colab: install the course's package and nothing else (Colab's own packages stay). Elsewhere: do nothing.
import importlib.util
import os
import subprocess
import sys

source = os.environ.get("ICL_LAB_SOURCE", "git+{address}")
in_colab = "google.colab" in sys.modules or "ICL_LAB_SOURCE" in os.environ
if in_colab and importlib.util.find_spec("icl_lab") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", source], check=True)
    importlib.invalidate_caches()"""

# What MyST understands and nobody else does: it would show as raw text in Colab, in Jupyter and on GitHub.
MYST_ONLY = {
    "a role such as {cite}`...`": re.compile(r"(?<!`)\{[a-zA-Z][\w:+-]*\}`[^`\s]"),
    "a ::: directive": re.compile(r"^\s*:{3,}\s*\{?\w", re.MULTILINE),
    "a ```{directive}": re.compile(r"^\s*(`{3,}|~{3,})\s*\{", re.MULTILINE),
    "a (target)= line": re.compile(r"^\([\w:.-]+\)=\s*$", re.MULTILINE),
    "a % comment": re.compile(r"^%\s", re.MULTILINE),
}


def cell_0(root: Path = ROOT) -> str:
    """The first cell of every chapter, made from the repository's one address."""
    return CELL_0.format(address=repository_url(root))


def read(path: Path) -> nbformat.NotebookNode:
    """Read a notebook. Raises InputError with one sentence when the file is no notebook."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} cannot be read as a notebook: {error}.") from None
    return parse(text, path.name)


def parse(text: str, name: str) -> nbformat.NotebookNode:
    """The notebook in ``text``; ``name`` is for the message of the InputError that bad text raises."""
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise InputError(f"{name} is not a notebook: it is not valid JSON ({error}).") from None
    if not isinstance(raw, dict) or raw.get("nbformat") != 4 or not isinstance(raw.get("cells"), list):
        raise InputError(f"{name} is not a notebook of format 4: expected a JSON object with nbformat 4 and cells.")
    try:
        for number, cell in enumerate(raw["cells"]):
            if raw.get("nbformat_minor", 0) >= 5:
                cell.setdefault("id", f"cell-{number}")
        notebook = rejoin_lines(nbformat.from_dict(raw))
        nbformat.validate(notebook)
    except (nbformat.ValidationError, AttributeError, KeyError) as error:
        what = str(getattr(error, "message", error)).splitlines()[0]
        raise InputError(f"{name} is not a valid notebook: {what}.") from None
    return notebook


def settings(notebook: nbformat.NotebookNode) -> dict:
    """What the chapter declares in its metadata under ``icl_lab``."""
    return dict(notebook.metadata.get("icl_lab", {}))


def parameters(notebook: nbformat.NotebookNode) -> set[str]:
    """Names that the ``parameters`` cell assigns."""
    names = set()
    for cell in notebook.cells:
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", []):
            for statement in _tree(cell.source).body:
                targets = statement.targets if isinstance(statement, ast.Assign) else []
                targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
                names.update(target.id for target in targets if isinstance(target, ast.Name))
    return names


def fast_values(notebook: nbformat.NotebookNode, name: str) -> dict:
    """The small values of the fast profile. Raises InputError for one that is no parameter of the chapter."""
    fast = dict(settings(notebook).get("fast", {}))
    known = parameters(notebook)
    for key in fast:
        if key not in known:
            listing = ", ".join(sorted(known)) or "none"
            raise InputError(
                f"{name}: the fast profile sets '{key}', which its parameters cell does not assign "
                f"(it assigns: {listing})."
            )
    return fast


def problems(path: Path, root: Path = ROOT) -> Iterator[str]:
    """Every rule that the chapter breaks, as one sentence each; none for a good chapter."""
    try:
        notebook = read(path)
    except InputError as error:
        yield str(error)
        return
    name = path.name
    if not notebook.cells or notebook.cells[0].source != cell_0(root):
        yield f"{name}: cell 0 is not the common one; run python -m icl_lab.book.notebooks --sync."
    elif "remove-cell" not in notebook.cells[0].metadata.get("tags", []):
        yield f"{name}: cell 0 lacks the tag remove-cell."
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1 or tagged[0].cell_type != "code":
        yield f"{name}: expected exactly one code cell with the tag parameters, found {len(tagged)}."
    else:
        try:
            fast_values(notebook, name)
        except InputError as error:
            yield str(error)
    if "fast" not in settings(notebook):
        yield f"{name}: its metadata lacks icl_lab.fast, the small values of the fast profile ({{}} if it needs none)."
    for index, cell in enumerate(notebook.cells):
        check = _code_problems if cell.cell_type == "code" else _markdown_problems
        for problem in check(cell):
            yield f"{name}, cell {index}: {problem}"


def _markdown_problems(cell: nbformat.NotebookNode) -> Iterator[str]:
    prose = re.sub(r"^(`{3,})[^{\n]*\n.*?^\1", "", cell.source, flags=re.DOTALL | re.MULTILINE)
    for what, pattern in MYST_ONLY.items():
        if pattern.search(prose):
            yield f"{what} shows as raw text outside the book; write plain Markdown."


def _code_problems(cell: nbformat.NotebookNode) -> Iterator[str]:
    if cell.outputs or cell.execution_count is not None:
        yield "it holds outputs; run python -m icl_lab.book.notebooks --sync."
    if re.search(r"tqdm\.(notebook|auto|autonotebook)|tqdm_notebook", cell.source):
        yield "use plain tqdm: the notebook kind hangs or draws nothing without a browser."
    if re.search(r"^\s*(!|%%?(bash|sh|script|system|sx)\b)", cell.source, re.MULTILINE):
        yield "it runs a shell command; the book cannot know what that command reads. Call the package instead."
    try:
        tree = _tree(cell.source)
    except SyntaxError as error:
        yield f"its code does not parse: {error.msg} (line {error.lineno})."
        return
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if _called(call) in {"show", "figures.show"} and len(call.args) + len(call.keywords) < 2:
            yield "show(fig, alt) needs an alt text that says what is seen."
        if _called(call) == "plt.show":
            yield "plt.show() leaves a figure without an alt text; use icl_lab.figures.show(fig, alt)."


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func) if isinstance(call.func, ast.Name | ast.Attribute) else ""


def _tree(source: str) -> ast.Module:
    """Parse a cell; a line of IPython magic counts as ``pass``."""
    return ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE))


def sync(path: Path, root: Path = ROOT) -> bool:
    """Give a chapter the common cell 0 and remove its outputs. Returns whether the file changed."""
    notebook = read(path)
    first = notebook.cells[0] if notebook.cells else None
    if first is None or "setup" not in first.metadata.get("tags", []):
        notebook.cells.insert(0, nbformat.v4.new_code_cell(id="setup"))
    notebook.cells[0].source = cell_0(root)
    notebook.cells[0].metadata["tags"] = ["setup", "remove-cell"]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    text = nbformat.writes(notebook) + "\n"
    if text == path.read_text(encoding="utf-8"):
        return False
    path.write_text(text, encoding="utf-8")
    return True


def chapters(root: Path = ROOT) -> list[Path]:
    """The notebooks of the course, in order."""
    return sorted((root / "chapters").glob("*.ipynb"))


def main(arguments: list[str]) -> int:
    """Check (and with ``--sync`` mend) the notebooks that are named, or all chapters. Returns the exit status."""
    paths = [Path(argument) for argument in arguments if argument != "--sync"] or chapters()
    found = []
    for path in paths:
        if "--sync" in arguments:
            sync(path)
        found.extend(problems(path))
    print("\n".join(found) if found else f"{len(paths)} notebooks keep the rules.")
    return 1 if found else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except InputError as problem:
        sys.exit(str(problem))
