"""The kernel that a chapter runs in: IPython's, plus a record of what the chapter read.

The record (JSON, at the path in ``ICL_LAB_RECORD``) lists the package files that were imported and the other files and
folders that were opened. From it the build knows when a page has become stale. It is rewritten after every cell.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


class Recorder:
    """Notes every file that is opened for reading, and every folder that is listed, if a chapter can depend on it.

    That is: what lies beside the package (a clone: checkpoints and data), and the cache of downloaded checkpoints (a
    folder named for the package, or ICL_LAB_CACHE). Python's own files and the chapter's scratch folder are left out.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.files: set[str] = set()
        self.folders: set[str] = set()
        cache = os.environ.get("ICL_LAB_CACHE")
        self.roots = tuple(os.path.abspath(root) + os.sep for root in (PACKAGE.parent, cache) if root)
        places = (sys.prefix, sys.base_prefix, os.getcwd())
        self.skip = tuple({name + os.sep for place in places for name in (place, os.path.realpath(place))})

    def audit(self, event: str, args: tuple) -> None:
        """A hook for sys.addaudithook; called at every event, so it leaves early."""
        if event == "open":
            path, mode, flags = args
            if isinstance(path, int) or (isinstance(mode, str) and not mode.startswith("r")):
                return
            if mode is None and isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR):
                return
            self._note(self.files, path)
        elif event in ("os.listdir", "os.scandir") and not isinstance(args[0], int):
            self._note(self.folders, args[0] or ".")

    def _note(self, kind: set[str], path: str | bytes | os.PathLike) -> None:
        name = os.path.abspath(os.fsdecode(path))
        inside = name.startswith(self.roots) or "icl_lab" in name or "icl-lab" in name
        code = name.endswith((".py", ".pyc", ".so")) or ".egg-info" in name or "__pycache__" in name
        code = code or os.path.exists(os.path.join(name, "__init__.py"))  # Python lists a package to find its modules
        if inside and not code and not name.startswith(self.skip):
            kind.add(name)

    def modules(self) -> list[str]:
        """Files of the package that are imported by now; the machinery of the book is no part of a chapter."""
        found = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
        inside = [str(Path(name).resolve()) for name in found if name and name.startswith(str(PACKAGE) + os.sep)]
        return sorted(name for name in inside if not name.startswith(str(PACKAGE / "book") + os.sep))

    def write(self, *_: object) -> None:
        """Write the record; called after each cell."""
        record = {"modules": self.modules(), "files": sorted(self.files), "folders": sorted(self.folders)}
        partial = self.target.with_suffix(".partial")
        partial.write_text(json.dumps(record), encoding="utf-8")
        partial.replace(self.target)


def main() -> None:
    """Start the recorder, then IPython's kernel (its connection file is in sys.argv)."""
    target = os.environ.get("ICL_LAB_RECORD")
    recorder = Recorder(Path(target)) if target else None
    if recorder:
        sys.addaudithook(recorder.audit)
        atexit.register(recorder.write)
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance()
    app.initialize()
    if recorder:
        app.shell.events.register("post_run_cell", recorder.write)
    app.start()


if __name__ == "__main__":
    main()
