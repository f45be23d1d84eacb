"""From an executed notebook to a page, and checks of the pages that were built."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from binascii import a2b_base64
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from icl_lab.claims import MIME

IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/svg+xml": "svg"}


def prepare(text: str, note: str | None = None) -> str:
    """The notebook (JSON) as the page needs it: injected cell hidden, progress bars as a terminal would leave them.

    ``note`` is Markdown that is put below the first heading. Papermill's own times are taken out. Of claims only the
    table stays (MyST-NB would warn of the JSON beside it), and its cell gets the tag ``claims`` for the style sheet.
    """
    notebook = json.loads(text)
    notebook["metadata"].pop("papermill", None)
    for cell in notebook["cells"]:
        cell["metadata"].pop("papermill", None)
        tags = cell["metadata"].get("tags", [])
        if "injected-parameters" in tags:
            cell["metadata"]["tags"] = [*tags, "remove-cell"]
        cell.get("outputs", [])[:] = _tidy(cell.get("outputs", []))
        tables = [output["data"] for output in cell.get("outputs", []) if MIME in output.get("data", {})]
        for data in tables:
            del data[MIME]
        if tables:
            cell["metadata"]["tags"] = [*cell["metadata"].get("tags", []), "claims"]
    if note:
        place = next((i for i, cell in enumerate(notebook["cells"]) if _is_title(cell)), -1)
        named = {"id": "icl-note"} if notebook.get("nbformat_minor", 0) >= 5 else {}
        notebook["cells"].insert(place + 1, {"cell_type": "markdown", "metadata": {}, "source": note, **named})
    return json.dumps(notebook)


def _is_title(cell: dict) -> bool:
    return cell["cell_type"] == "markdown" and text_of(cell["source"]).lstrip().startswith("# ")


def _tidy(outputs: list[dict]) -> list[dict]:
    """Join pieces of one stream, and apply carriage returns: of a progress bar only the last state stays."""
    tidy: list[dict] = []
    for output in outputs:
        if output["output_type"] == "stream" and tidy and tidy[-1].get("name") == output["name"]:
            tidy[-1]["text"] = text_of(tidy[-1]["text"]) + text_of(output["text"])
        else:
            tidy.append(output)
    for output in tidy:
        if output["output_type"] == "stream":
            output["text"] = re.sub(r"[^\n]*\r(?!\n|$)", "", text_of(output["text"])).replace("\r", "")
    return tidy


def text_of(pieces: str | list[str]) -> str:
    """The text of a cell or an output, which notebooks keep whole or in lines."""
    return pieces if isinstance(pieces, str) else "".join(pieces)


def alternatives(text: str) -> tuple[dict[str, str], list[str]]:
    """The alt texts in an executed notebook, by the name of the image file on the page; a sentence per figure without.

    MyST-NB names an image file by the SHA-256 of its bytes: a cell may show several figures, each with its own text.
    """
    found, problems = {}, []
    for index, cell in enumerate(json.loads(text)["cells"]):
        for output in cell.get("outputs", []):
            images = [kind for kind in IMAGES if kind in output.get("data", {})]
            for kind in images:
                alt = output.get("metadata", {}).get(kind, {}).get("alt", "").strip()
                if alt:
                    found[_image_name(kind, text_of(output["data"][kind]))] = alt
                else:
                    problems.append(f"cell {index} shows a figure without an alt text; use show(fig, alt)")
    return found, problems


def _image_name(kind: str, data: str) -> str:
    raw = os.linesep.join(data.splitlines()).encode() if kind == "image/svg+xml" else a2b_base64(data)
    return hashlib.sha256(raw).hexdigest()


class _Page(HTMLParser):
    """Collects what a page points to, the names it offers, and its images."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: set[str] = set()
        self.images: list[dict] = []
        self.feed(text)

    def handle_starttag(self, tag: str, pairs: list[tuple[str, str | None]]) -> None:
        attributes = dict(pairs)
        self.names.update(filter(None, (attributes.get("id"), attributes.get("name"))))
        self.links.extend(value for key in ("href", "src") if (value := attributes.get(key)))
        if tag == "img":
            self.images.append(attributes)


def broken(html: Path) -> list[str]:
    """Sentences about the built book: internal links that lead nowhere, and figures without a real alt text."""
    sources = sorted(path for path in html.rglob("*.html") if "_static" not in path.parts)
    parsed = {path: _Page(path.read_text(encoding="utf-8")) for path in sources}
    found = []
    for path, page in parsed.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or not (parts.path or parts.fragment):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                found.append(f"{path.relative_to(html)} points to {link}, which does not exist.")
            elif parts.fragment and target in parsed and unquote(parts.fragment) not in parsed[target].names:
                found.append(f"{path.relative_to(html)} points to {link}, but that page has no such place.")
        for image in page.images:
            alt = image.get("alt") or ""
            if "/_images/" in "/" + (image.get("src") or "") and (len(alt) < 10 or "_images/" in alt):
                found.append(f"{path.relative_to(html)} shows {image.get('src')} without an alt text.")
    return found


def main(arguments: list[str]) -> int:
    """Check a built book (default ``_build/html``). Returns the exit status."""
    html = Path(arguments[0] if arguments else "_build/html").resolve()
    if not (html / "index.html").is_file():
        print(f"There is no built book in {html}.")
        return 1
    found = broken(html)
    print("\n".join(found) if found else "Every internal link leads somewhere and every figure is described.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
