import numpy as np
import pytest

from icl_lab.errors import InputError
from icl_lab.figures import STYLES, subplots
from icl_lab.language.evaluation import Accuracy, accuracy, difference
from icl_lab.language.plots import plot_accuracy, plot_bins, plot_shares


def test_accuracies_stand_at_their_setting_with_their_interval():
    fig, ax = subplots()
    rows = {"direct": [Accuracy(0.5, 0.4, 0.7), Accuracy(0.6, 0.5, 0.65)], "exact Bayes": [Accuracy(0.8, 0.8, 0.8)] * 2}
    artists = plot_accuracy(ax, ["4:4", "8:0"], rows)
    line, _, (bars,) = artists["direct"]
    np.testing.assert_allclose(line.get_ydata(), [0.5, 0.6])
    np.testing.assert_allclose([segment[:, 1] for segment in bars.get_segments()], [[0.4, 0.7], [0.5, 0.65]])
    assert line.get_color() == STYLES["direct"].color
    np.testing.assert_allclose(artists["exact Bayes"][0].get_xdata(), [0, 1])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["4:4", "8:0"]
    fig.canvas.draw()
    with pytest.raises(InputError, match="'direct' has 2 accuracies for 3 settings"):
        plot_accuracy(ax, ["a", "b", "c"], rows)


def test_bins_are_means_at_each_value():
    _, ax = subplots()
    x, y = np.array([1.0, 1.0, 3.0]), np.array([2.0, 4.0, 5.0])
    line = plot_bins(ax, x, {"direct": y})["direct"][0]
    np.testing.assert_allclose(line.get_ydata(), [3, 5])


def test_shares_stand_end_to_end():
    fig, ax = subplots()
    rows = {"a": {"right": 0.5, "wrong": 0.3, "none": 0.2}, "b": {"right": 0.1, "wrong": 0.0, "none": 0.9}}
    bars = plot_shares(ax, rows)
    for number, shares in enumerate(rows.values()):
        left = 0.0
        for name, share in shares.items():
            bar = bars[name][number]
            assert (bar.get_x(), bar.get_width()) == (pytest.approx(left), pytest.approx(share))
            left += share
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    fig.canvas.draw()
    with pytest.raises(InputError, match=r"The row 'c' has the shares \['wrong'\], expected \['right'"):
        plot_shares(ax, {**rows, "c": {"wrong": 1.0}})


def test_a_paired_difference_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(500):
        u = rng.random(200)
        a, b = u < 0.8, rng.random(200) * 0.5 + u * 0.5 < 0.6  # correlated
        # P(0.5 v + 0.5 u < 0.6) = 1 - 0.8^2 / 2 (the sum of two uniforms): 0.68
        d = difference(a, b)
        covered += d.low <= 0.8 - 0.68 <= d.high
    assert 0.86 < covered / 500 < 0.96
    same = difference(np.ones(20), np.ones(20))
    assert same.mean == 0
    assert same.low < 0 < same.high
    assert accuracy(np.ones(20)).low < 1
    with pytest.raises(InputError, match="two arrays of one length, got 3 and 2"):
        difference([1, 0, 1], [1, 0])
