"""Draws the README's learning curve from the shipped weights: ``python -m benchmarks.readme_figure [name]``."""

from __future__ import annotations

import sys
from pathlib import Path

from icl_lab import checkpoints
from icl_lab.evaluation import icl_curve
from icl_lab.figures import plot_curves, subplots, to_png
from icl_lab.functions import DenseLinear
from icl_lab.predictors import LeastSquares

OUT = Path(__file__).resolve().parents[1] / "chapters" / "images" / "learning_curve.png"


def main(name: str = "small/dense") -> None:
    transformer = checkpoints.load(name)
    n_points = transformer.model.config.n_points
    fc = DenseLinear(transformer.model.config.dim)
    fig, ax = subplots()
    plot_curves(
        ax,
        {
            "least squares": icl_curve(LeastSquares(), fc, n_points=n_points),
            transformer.name: icl_curve(transformer, fc, n_points=n_points),
        },
    )
    OUT.write_bytes(to_png(fig))
    print(OUT)


if __name__ == "__main__":
    main(*sys.argv[1:])
