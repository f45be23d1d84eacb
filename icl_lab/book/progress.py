"""What the reader of a build sees: one moving line on a terminal, one line per event in a log."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from typing import TextIO


class Progress:
    """Prints each chapter as it starts and ends; on a terminal also a last line that moves. Safe across threads."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stdout
        self.live = self.out.isatty()
        self.began = time.monotonic()
        self.running: dict[str, tuple[int, int]] = {}
        self.lock = threading.RLock()
        self.drawn = False

    def line(self, text: str) -> None:
        """Print a line that stays."""
        with self.lock:
            self._wipe()
            print(text, file=self.out, flush=True)
            self._draw()

    def start(self, name: str, cells: int) -> None:
        with self.lock:
            self.running[name] = (0, cells)
            self.line(f"  {name}: {cells} cells ..." if not self.live else f"  {name}: started")

    def cell(self, name: str, index: int) -> None:
        """Chapter ``name`` has reached cell ``index``."""
        with self.lock:
            self.running[name] = (index, self.running[name][1])
            self._wipe()
            self._draw()

    def end(self, name: str, text: str) -> None:
        with self.lock:
            self.running.pop(name, None)
            self.line(f"  {name}: {text}")

    def _wipe(self) -> None:
        if self.drawn:
            self.out.write("\r\x1b[2K")
            self.drawn = False

    def _draw(self) -> None:
        if not (self.live and self.running):
            return
        parts = [f"{name[:24]} {index}/{cells}" for name, (index, cells) in self.running.items()]
        text = f"  {time.monotonic() - self.began:4.0f} s | " + " | ".join(parts)
        self.out.write(text[: shutil.get_terminal_size().columns - 1])  # a wrapped line could not be wiped
        self.out.flush()
        self.drawn = True
