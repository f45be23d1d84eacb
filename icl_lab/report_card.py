"""A reader's own function class on one page: is it sound, and how do the shipped models and the learners do on it?

``icl-lab report-card my_class.py:MyClass`` imports the class (no arguments), checks what it draws and writes one page
of HTML, or a PNG of its figure alone. README shows a class of 15 lines.
"""

from __future__ import annotations

import base64
import html
import importlib
import importlib.util
import inspect
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from icl_lab import checkpoints
from icl_lab.errors import InputError, positive, unknown
from icl_lab.evaluation import Curve, icl_curve, label_of
from icl_lab.files import write_atomic
from icl_lab.functions import Prompts
from icl_lab.predictors import Averaging, Lasso, LeastSquares, NearestNeighbors, Ridge, bayes

log = logging.getLogger("icl_lab")

CHECKED = 512  # prompts behind the checks
POINTS = 12  # of each: enough to see a law, cheap for any class
FAR = 5.0  # standard errors that a moment may miss before we say so
BATCHES, BATCH = 32, 32  # of prompts, behind the check that they are independent
MOST_RATIO = 3.0  # 1 if they are, within .25; BATCH if a batch is about one function
SUFFIXES = (".html", ".png")


@dataclass(frozen=True)
class Report:
    """What was found: label, the class, the measured second moment, and a curve per learner that could read it."""

    label: str
    function_class: Any
    measured_second_moment: float
    curves: dict[str, Curve]
    left_out: dict[str, str]  # model -> why it could not read these prompts
    n_prompts: int


# ---------------------------------------------------------------- finding the class


def load(target: str) -> Any:
    """The class that MODULE:CLASS or FILE.py:CLASS names, made without arguments (an instance is taken as it is).

    Raises InputError for a target of another form, a module that cannot be imported, a name that is not in it, and a
    class that needs arguments.
    """
    where, colon, name = target.rpartition(":")
    if not (where and colon and name):
        raise InputError(f"'{target}' names no class; expected MODULE:CLASS or FILE.py:CLASS.")
    module = import_from(where)
    if not hasattr(module, name):
        public = [
            n for n, value in vars(module).items() if inspect.isclass(value) and value.__module__ == module.__name__
        ]
        raise unknown(f"class in {where}", name, public)
    found = getattr(module, name)
    if not callable(found) or (hasattr(found, "sample") and not inspect.isclass(found)):
        return found
    try:
        return found()
    except TypeError as error:
        raise InputError(
            f"{name} cannot be made without arguments ({error}); give its fields defaults, or name an instance."
        ) from error


def import_from(where: str) -> Any:
    """A module by its name or by the path of its file."""
    try:
        if not where.endswith(".py"):
            if os.getcwd() not in sys.path:
                sys.path.insert(0, os.getcwd())
            return importlib.import_module(where)
        path = Path(where)
        if not path.is_file():
            raise InputError(f"There is no file {where}.")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module  # dataclasses look their own module up
        spec.loader.exec_module(module)
        return module
    except InputError:
        raise
    except Exception as error:  # somebody else's code may fail in any way
        raise InputError(f"{where} cannot be imported ({type(error).__name__}: {error}).") from error


# ---------------------------------------------------------------- checks


def check(fc: Any, label: str) -> float:
    """Refuse what is not a function class, in one sentence; the measured E f(x)^2 if it is.

    Shapes, finite numbers, a variance, the second moment it claims, the seed, and that prompts are drawn apart.
    """
    for name in ("sample", "dim", "second_moment"):
        if not hasattr(fc, name):
            raise InputError(
                f"{label} has no {name}; a function class is a subclass of icl_lab.functions.FunctionClass."
            )
    prompts = draw(fc, label, seed=1)
    check_shapes(prompts, fc, label)
    xs, ys = prompts.xs.double(), prompts.ys.double()
    for name, values in (("xs", xs), ("ys", ys)):
        bad = int((~values.isfinite()).any(dim=tuple(range(1, values.ndim))).sum())
        if bad:
            raise InputError(f"{label} draws {name} that are not finite, in {bad} of {CHECKED} prompts.")
    if float(ys.var()) == 0:
        raise InputError(f"{label} has zero variance: every y is {float(ys[0, 0]):g}; there is nothing to learn.")
    if float((xs - xs[:, :1]).abs().max()) == 0:
        raise InputError(f"{label} draws the same x at every point of a prompt; points must differ.")
    check_seed_is_used(fc, prompts, label)
    check_prompts_are_apart(fc, prompts, label)
    return check_second_moment(fc, ys, label)


def draw(fc: Any, label: str, seed: int, n_prompts: int = CHECKED) -> Prompts:
    try:
        return fc.sample(n_prompts, POINTS, seed)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{label}.sample failed ({type(error).__name__}: {error}).") from error


def check_shapes(prompts: Any, fc: Any, label: str) -> None:
    for name, shape in (("xs", (CHECKED, POINTS, fc.dim)), ("ys", (CHECKED, POINTS))):
        got = getattr(prompts, name, None)
        if not isinstance(got, Tensor) or not got.is_floating_point():
            raise InputError(f"{label}.sample must return Prompts whose {name} is a tensor of floats, got {type(got)}.")
        if tuple(got.shape) != shape:
            raise InputError(
                f"{label} draws {name} of shape {tuple(got.shape)}, expected {shape} for {CHECKED} prompts of {POINTS} "
                f"points with dim={fc.dim}."
            )


def check_seed_is_used(fc: Any, prompts: Prompts, label: str) -> None:
    """The same seed must give the same prompts, another one others."""
    again, other = draw(fc, label, seed=1), draw(fc, label, seed=2)
    if not (torch.equal(again.xs, prompts.xs) and torch.equal(again.ys, prompts.ys)):
        raise InputError(f"{label} draws other prompts from the same seed; draw from the streams it is given.")
    if torch.equal(other.xs, prompts.xs) or torch.equal(other.ys, prompts.ys):
        what = "inputs" if torch.equal(other.xs, prompts.xs) else "outputs"
        raise InputError(f"{label} ignores its seed: seeds 1 and 2 give the same {what}.")


def check_prompts_are_apart(fc: Any, prompts: Prompts, label: str) -> None:
    """No two prompts share inputs, and batches differ no more than independent prompts make them differ.

    If prompts of a batch share anything, a function say, then the mean over a batch varies as that of few prompts.
    """
    if len(torch.unique(prompts.xs.flatten(1), dim=0)) < CHECKED:
        raise InputError(f"{label} draws prompts with the same inputs in one batch; prompts must be independent.")
    ys = torch.stack([draw(fc, label, seed, BATCH).ys.double() for seed in range(3, 3 + BATCHES)])  # (batches, B, T)
    for statistic in (ys.mean(2), (ys**2).mean(2).clamp(min=1e-12).log()):  # (batches, B): of every prompt
        expected = float(statistic.var(1).mean()) / BATCH
        ratio = float(statistic.mean(1).var()) / max(expected, 1e-30)
        if ratio > MOST_RATIO:
            raise InputError(
                f"{label} draws prompts that are not independent: means over {BATCH} prompts vary {ratio:.0f} times as "
                "much as those of independent prompts would."
            )


def check_second_moment(fc: Any, ys: Tensor, label: str) -> float:
    """E y^2 against what the class says (its noise added)."""
    per_prompt = (ys**2).mean(1)
    measured, error = float(per_prompt.mean()), float(per_prompt.std()) / CHECKED**0.5
    claimed = float(fc.second_moment) + float(getattr(fc, "noise", 0.0)) ** 2
    if abs(measured - claimed) > FAR * error + 0.01 * claimed:
        raise InputError(
            f"{label}.second_moment says E y^2 = {claimed:.3g} (noise included), {CHECKED} prompts have "
            f"{measured:.3g} +- {error:.2g}; errors are divided by it, so it must be right."
        )
    return measured - float(getattr(fc, "noise", 0.0)) ** 2


# ---------------------------------------------------------------- measuring


def learners(fc: Any) -> list[Any]:
    """The optimum if it is known, and the learners that read any prompt."""
    found = [LeastSquares(), Ridge(1.0), Lasso(0.01), NearestNeighbors(3), Averaging()]
    try:
        return [bayes(fc), *found]
    except InputError:
        return found


def measure(target: str, n_prompts: int = 256, n_points: int | None = None) -> Report:
    """Check the class, then draw a curve of every learner and of every shipped model that reads its dimension."""
    positive("n_prompts", n_prompts)
    fc = load(target)
    label = target.rpartition(":")[2]
    second_moment = check(fc, label)
    models, left_out = readers(fc)
    longest = n_points or max((m.model.config.n_points for m in models), default=2 * fc.dim + 1)
    readable = {id(m): m.model.config.n_points for m in models}  # a model reads prompts up to its own length
    curves: dict[str, Curve] = {}
    for predictor in [*learners(fc), *models]:
        points = min(longest, readable.get(id(predictor), longest))
        try:
            curves[label_of(predictor)] = icl_curve(predictor, fc, n_prompts, points)
        except InputError as error:
            left_out[label_of(predictor)] = str(error)
        log.info("%s done", label_of(predictor))
    return Report(label, fc, second_moment, curves, left_out, n_prompts)


def readers(fc: Any) -> tuple[list[Any], dict[str, str]]:
    """The shipped models that read inputs of this dimension, and why the others do not."""
    models, left_out = [], {}
    for name in checkpoints.list():
        try:
            model = checkpoints.load(name)
        except InputError as error:
            left_out[name] = str(error)
            continue
        if model.model.config.dim == fc.dim:
            models.append(model)
        else:
            left_out[name] = f"reads {model.model.config.dim} dimensions, the class has {fc.dim}"
    return models, left_out


# ---------------------------------------------------------------- the page


def figure(report: Report) -> Any:
    """All curves in one figure."""
    from icl_lab.figures import legend_above, plot_curves, subplots

    fig, ax = subplots(height=4.5)
    plot_curves(ax, report.curves)
    legend_above(ax, columns=2)
    ax.set_ylim(-0.05, 1.6)
    return fig


def page(report: Report) -> str:
    """One self-contained page of HTML: figure, table, what was checked and what was left out."""
    from icl_lab.figures import to_png

    picture = base64.b64encode(to_png(figure(report))).decode()
    last = {name: len(curve.k) - 1 for name, curve in report.curves.items()}
    ks = sorted({0, 1, 2, *np.linspace(0, max(last.values()), 6).round().astype(int).tolist()})
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td>"
        + "".join(f"<td>{curve.mean[k]:.3f}</td>" if k <= last[name] else "<td></td>" for k in ks)
        + "</tr>"
        for name, curve in report.curves.items()
    )
    head = "".join(f"<th>k={k}</th>" for k in ks)
    left = "".join(f"<li>{html.escape(f'{name}: {why}')}</li>" for name, why in report.left_out.items())
    title = html.escape(f"Report card: {report.label}")
    law = html.escape(repr(report.function_class))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}img{{max-width:100%}}
div{{overflow-x:auto}}table{{border-collapse:collapse}}td,th{{padding:.2rem .7rem;text-align:right;
border-bottom:1px solid #ccc}}td:first-child,th:first-child{{text-align:left}}code{{overflow-wrap:anywhere}}</style>
</head><body><h1>{title}</h1>
<p><code>{law}</code></p>
<p>Errors are squared errors over E f(x)<sup>2</sup>, from {report.n_prompts} prompts; bands are 90 % intervals over
prompts. Predicting zero scores 1. E f(x)<sup>2</sup> is {report.measured_second_moment:.3g} as measured,
{float(report.function_class.second_moment):.3g} as the class says.</p>
<img alt="Learning curves of {len(report.curves)} learners on {html.escape(report.label)}; the table has the numbers."
 src="data:image/png;base64,{picture}">
<div><table><tr><th>Learner</th>{head}</tr>{rows}</table></div>
<p>Checked on {CHECKED} prompts of {POINTS} points: shapes, finite numbers, variance, second moment, the seed, and that
prompts are independent.</p>
{f"<p>Left out:</p><ul>{left}</ul>" if left else ""}
</body></html>
"""


def write(target: str, out: str | os.PathLike = "report-card.html", n_prompts: int = 256) -> Path:
    """Measure and write the page (.html) or its figure alone (.png). Raises InputError for another suffix."""
    path = Path(out)
    if path.suffix not in SUFFIXES:
        raise InputError(f"A report card is a file ending in {' or '.join(SUFFIXES)}, got {path}.")
    report = measure(target, n_prompts)
    if path.suffix == ".png":
        from icl_lab.figures import to_png

        data = to_png(figure(report))
    else:
        data = page(report).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    except OSError as error:
        raise InputError(f"Cannot write {path} ({error.strerror}).") from error
    return path
