"""The view of chapter 11: where a predictor stands between two others, and that each slider moves what is drawn."""

import numpy as np
import pytest

from icl_lab import checkpoints
from icl_lab.errors import InputError
from icl_lab.evaluation import EVALUATION_SEED
from icl_lab.functions import SparseLinear
from icl_lab.views import between


def distances(m, a, b):
    """Squared distances of m to a, of m to b, and of a to b."""
    return ((m - a) ** 2).mean(), ((m - b) ** 2).mean(), ((a - b) ** 2).mean()


@pytest.fixture
def pair():
    """Two predictors' answers on 4,000 prompts."""
    return np.random.default_rng(0).normal(size=(2, 4000))


def test_a_soft_average_lies_on_the_line(pair):
    a, b = pair
    along, off = between.place(*distances(0.7 * a + 0.3 * b, a, b))
    assert along == pytest.approx(0.3)
    assert off == pytest.approx(0, abs=1e-12)


def test_a_switch_by_prompt_lies_on_the_half_circle(pair):
    a, b = pair
    coin = np.random.default_rng(1).random(a.size) < 0.4
    along, off = between.place(*distances(np.where(coin, b, a), a, b))
    assert off == pytest.approx(along * (1 - along))
    assert along == pytest.approx(0.4, abs=0.03)


def test_place_is_the_projection_and_what_it_leaves(pair):
    a, b = pair
    m = a + np.random.default_rng(2).normal(size=a.size) + 0.2 * (b - a)
    along, off = between.place(*distances(m, a, b))
    slope, left, *_ = np.linalg.lstsq((b - a)[:, None], m - a, rcond=None)
    assert along == pytest.approx(slope[0])
    assert off == pytest.approx(left[0] / ((b - a) ** 2).sum())


def test_the_ends_are_the_two_themselves_and_arrays_keep_their_shape():
    along, off = between.place(np.array([0.0, 2.0]), np.array([2.0, 0.0]), np.array([2.0, 2.0]))
    np.testing.assert_allclose(along, [0, 1])
    np.testing.assert_allclose(off, [0, 0])


def test_two_that_agree_are_refused():
    with pytest.raises(InputError, match="no line between"):
        between.place(1.0, 1.0, 0.0)


def drawn(**parameters):
    """All the numbers that the view draws: lines and bars."""
    axes = between.view(**parameters).axes
    lines = [line.get_xydata().ravel() for ax in axes for line in ax.get_lines()]
    bars = [[patch.get_width()] for ax in axes for patch in ax.patches]
    return np.concatenate(lines + bars)


def test_every_slider_moves_the_drawn_data_and_a_second_call_does_not():
    start = drawn(nonzeros=5, k=10)
    for other in ({"nonzeros": 2}, {"k": 15}):
        assert not np.allclose(start, drawn(**({"nonzeros": 5, "k": 10} | other)))
    between.asked.cache_clear()
    np.testing.assert_array_equal(start, drawn(nonzeros=5, k=10))


def test_the_cloud_and_the_bars_are_the_models_answers():
    """Asked one by one, and the line through the points fitted by numpy."""
    prompts = SparseLinear(20, nonzeros=3).sample(between.N_PROMPTS, 11, EVALUATION_SEED)
    dense, sparse, mixture = (
        checkpoints.load(name)(prompts.xs, prompts.ys)[:, 10].double().numpy()
        for name in ("small/dense", "small/sparse2", "small/dense_sparse2")
    )
    cloud, bars = between.view(nonzeros=3, k=10).axes
    points = cloud.get_lines()[-1].get_xydata()
    np.testing.assert_allclose(points, np.stack([sparse - dense, mixture - dense], 1), atol=1e-5)
    fitted = cloud.get_lines()[2].get_xydata()
    slope, *_ = np.linalg.lstsq(points[:, :1], points[:, 1], rcond=None)
    np.testing.assert_allclose(fitted[:, 1], slope * fitted[:, 0], atol=1e-5)
    lengths = [bar.get_width() for bar in bars.patches]  # from below: least squares, dense, sparse
    expected = [((mixture - dense) ** 2).mean(), ((mixture - sparse) ** 2).mean()]
    np.testing.assert_allclose(lengths[1:], expected, rtol=1e-4)


def test_numbers_of_non_zeros_out_of_range_are_refused():
    with pytest.raises(InputError, match="from 1 to 20"):
        between.view(nonzeros=21)
