"""The report card: every way in which a class can be wrong gets its own sentence; a sound one gets its page."""

import re
import sys
import textwrap
from pathlib import Path

import pytest

from icl_lab import checkpoints, cli, report_card
from icl_lab.errors import InputError
from icl_lab.evaluation import icl_curve
from icl_lab.functions import DenseLinear
from icl_lab.predictors import LeastSquares

HEAD = """
from dataclasses import dataclass

import torch

from icl_lab.functions import FunctionClass, Prompts


@dataclass(frozen=True)
class Mine(FunctionClass):
    dim: int = 2

    @property
    def second_moment(self):
        return 2.0

    def draw_task(self, streams, n_prompts, stage):
        return {"w": streams.task.normal(n_prompts, self.dim)}

    def values(self, task, xs):
        return (xs @ task["w"].unsqueeze(-1)).squeeze(-1)
"""


@pytest.fixture
def write(tmp_path):
    """``write(more)`` -> target of a file with the class above and more in it."""

    def to_file(more: str = "", head: str = HEAD) -> str:
        path = tmp_path / "mine.py"
        path.write_text(head + more)
        return f"{path}:Mine"

    return to_file


def test_a_sound_class_gets_its_page(write, tmp_path):
    """The curves on the page are those that evaluation measures on the same law."""
    out = report_card.write(write(), tmp_path / "deep" / "card.html", n_prompts=32)
    text = out.read_text()
    assert "<h1>Report card: Mine</h1>" in text
    assert "data:image/png;base64,iVBOR" in text
    expected = icl_curve(LeastSquares(), DenseLinear(2, scale="raw"), 32, 5)
    assert f"<td>{expected.at(1):.3f}</td>" in text
    assert all(name in text for name in ("least squares", "Lasso", "ridge", "nearest", "averaging"))
    assert all(name in text for name in checkpoints.list())  # none of them reads two dimensions: left out, with why
    assert "reads 20 dimensions, the class has 2" in text


def test_models_of_the_right_dimension_are_measured(write):
    target = write("\nmine = Mine(dim=5)\nMine.second_moment = 5.0\n").replace(":Mine", ":mine")
    report = report_card.measure(target, 16)
    assert "transformer, tiny/dense_d5" in report.curves
    assert len(report.curves["transformer, tiny/dense_d5"].k) == 11


def test_an_instance_and_a_picture(write, tmp_path):
    target = write("\nmine = Mine(dim=3)\nMine.second_moment = property(lambda self: float(self.dim))\n")
    out = report_card.write(target.replace(":Mine", ":mine"), tmp_path / "card.png", n_prompts=16)
    assert out.read_bytes().startswith(b"\x89PNG")


def test_noise_is_part_of_the_outputs_and_not_of_the_law(write):
    target = write("\nnoisy = Mine(noise=1.5)\n").replace(":Mine", ":noisy")
    assert report_card.measure(target, 16).measured_second_moment == pytest.approx(2.0, abs=0.5)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("    def values(self, task, xs): return xs\n", "draws ys of shape (512, 12, 2), expected (512, 12)"),
        ("    def values(self, task, xs): return xs[..., 0] / 0\n", "draws ys that are not finite, in 512 of 512"),
        ("    def values(self, task, xs): return 0 * xs[..., 0] + 3\n", "zero variance: every y is 3"),
        ("    def values(self, task, xs): return [1.0]\n", "whose ys is a tensor of floats"),
        ("    def values(self, task, xs): return 2 * xs[..., 0]\n", "second_moment says E y^2 = 2 (noise included)"),
        ("    def values(self, task, xs): raise KeyError('w')\n", "sample failed (KeyError: 'w')"),
        ("    def draw_inputs(self, s, n, t): return torch.ones(n, t, 2)\n", "the same x at every point"),
        (
            "    def draw_inputs(self, s, n, t): return s.inputs.normal(1, t, 2).expand(n, t, 2)\n",
            "prompts with the same inputs in one batch",
        ),
        (
            "    def draw_inputs(self, s, n, t): return torch.linspace(-3, 3, n * t * 2).view(n, t, 2)\n",
            "ignores its seed: seeds 1 and 2 give the same inputs",
        ),
        (
            "    def draw_task(self, s, n, stage): return {'w': torch.linspace(-3, 3, 2 * n).view(n, 2)}\n"
            "    def draw_inputs(self, s, n, t): return torch.randn(n, t, 2)\n",
            "draws other prompts from the same seed",
        ),
        (
            "    def values(self, task, xs): return xs @ task['w'][0]\n    second_moment = 3.08\n",
            "prompts that are not independent: means over 32 prompts vary",
        ),
    ],
)
def test_what_is_wrong_is_said(write, more, words):
    with pytest.raises(InputError) as error:
        report_card.measure(write(more), 4)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("mine", "'mine' names no class"),
        ("nowhere.py:Mine", "There is no file nowhere.py"),
        ("no_such_module:Mine", "cannot be imported (ModuleNotFoundError"),
        ("icl_lab.functions.linear:DenseLinea", "Did you mean 'DenseLinear'"),
        ("icl_lab.functions.linear:check_scale", "cannot be made without arguments"),
        ("math:pi", "pi has no sample"),
    ],
)
def test_targets_that_are_none(target, words):
    with pytest.raises(InputError) as error:
        report_card.measure(target, 4)
    assert words in str(error.value)


def test_the_command(monkeypatch, capsys, tmp_path, write):
    for out, words in (("card.pdf", "ending in .html or .png"), ("/proc/none/card.png", "Cannot write")):
        argv = ["icl-lab", "report-card", write(), "--out", str(tmp_path / out), "--n-prompts", "4"]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as error:
            cli.main()
        assert error.value.code == 2
        assert words in capsys.readouterr().err


def test_the_example_of_the_readme_is_sound(tmp_path):
    """At most 15 lines of code, and they pass every check."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (block,) = re.findall(r"```python\n((?:(?!```).)*class Quadratic.*?)```", readme, re.DOTALL)
    path = tmp_path / "quadratic.py"
    path.write_text(textwrap.dedent(block))
    assert len([line for line in block.splitlines() if line.strip()]) <= 15
    fc = report_card.load(f"{path}:Quadratic")
    assert report_card.check(fc, "Quadratic") == pytest.approx(1.0, abs=0.15)
