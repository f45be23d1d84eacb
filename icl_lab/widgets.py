"""Sliders over a pure ``view(**parameters) -> Figure``; nothing here computes.

The views of the chapters are in ``views/``, one file each, and can be called and tested without a notebook. Only what
ipywidgets 7.7 (Colab) and 8 have in common is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from icl_lab.errors import InputError
from icl_lab.figures import to_png

STATIC = (
    "*In Jupyter or Colab this cell shows sliders. The page that you read has no kernel; the figure beside it says the "
    "same for chosen values.*"
)


def explore(view: Callable[..., Figure], labels: Mapping[str, str] | None = None, **choices: Sequence[Any]) -> Any:
    """Show one slider per parameter of ``view`` and the figure that it draws; returns the widget.

    ``choices``: for each parameter the values it can take, the first of them at the start; ``labels``: what stands
    beside a slider, the parameter's name otherwise. While the book is built, and where ipywidgets is missing, a
    sentence is shown in its place. Raises InputError without a parameter, and for one that has fewer than two values.
    """
    if not choices:
        raise InputError("explore needs at least one parameter with its values, got none.")
    for name, values in choices.items():
        if len(values) < 2:
            raise InputError(f"explore: the slider '{name}' needs at least two values, got {list(values)}.")
    from IPython.display import Image, Markdown, display

    if "ICL_LAB_RECORD" in os.environ:  # set where the book runs a chapter
        display(Markdown(STATIC))
        return None
    try:
        import ipywidgets
    except ImportError:
        display(Markdown(STATIC))
        return None
    sliders = {
        name: ipywidgets.SelectionSlider(
            options=[(str(value), value) for value in values],
            description=(labels or {}).get(name, name.replace("_", " ")),
            continuous_update=False,
            style={"description_width": "initial"},
        )
        for name, values in choices.items()
    }

    def draw(**parameters: Any) -> None:
        display(Image(to_png(view(**parameters)), width=640))

    output = ipywidgets.interactive_output(draw, sliders)
    box = ipywidgets.VBox([*sliders.values(), output])
    display(box)
    return box
