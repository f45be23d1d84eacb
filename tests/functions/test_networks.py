"""Two-layer networks against torch.nn's, and their moments."""

import pytest
import torch
from scipy import stats
from torch import nn

from icl_lab.errors import InputError
from icl_lab.functions import Stage, TwoLayerReLU


def test_values_are_those_of_a_module():
    p = TwoLayerReLU(dim=6, hidden=11, scale="raw").sample(20, 9, 4)
    for b in range(20):
        net = nn.Sequential(nn.Linear(6, 11, bias=False), nn.ReLU(), nn.Linear(11, 1, bias=False)).double()
        state = {"0.weight": p.task["w"][b].double(), "2.weight": p.task["a"][b].double()[None]}
        net.load_state_dict(state)
        with torch.no_grad():
            torch.testing.assert_close(net(p.xs[b].double())[:, 0].float(), p.ys[b], atol=1e-4, rtol=1e-4)


def test_weights_follow_gargs_law():
    task = TwoLayerReLU(dim=5, scale="raw").sample(1000, 1, 7).task
    assert task["w"].shape == (1000, 100, 5)
    assert stats.kstest(task["w"].flatten()[:200_000].double().numpy(), "norm").pvalue > 1e-3
    assert stats.kstest(task["a"].flatten().double().numpy(), stats.norm(scale=0.02**0.5).cdf).pvalue > 1e-3
    weights = torch.stack([task["a"][:, 0], task["a"][:, 1], task["w"][:, 0, 0], task["w"][:, 1, 0]])
    assert (torch.corrcoef(weights) - torch.eye(4)).abs().max() < 0.13  # 4 standard errors


def test_unit_scale_is_raw_scale_divided_by_the_root_of_dim():
    raw, unit = (TwoLayerReLU(dim=9, scale=scale).sample(50, 8, 2) for scale in ("raw", "unit"))
    torch.testing.assert_close(raw.ys / 3, unit.ys)
    assert TwoLayerReLU(dim=9, scale="raw").second_moment == 9


def test_functions_are_homogeneous_and_not_linear():
    fc = TwoLayerReLU(dim=4)
    p = fc.sample(200, 5, 3)
    torch.testing.assert_close(fc.values(p.task, 3 * p.xs), 3 * p.ys, atol=1e-4, rtol=1e-4)
    even = p.ys + fc.values(p.task, -p.xs)  # zero for linear functions; here half of the power
    assert 0.3 < float((even / 2).square().mean() / p.ys.square().mean()) < 0.7


def test_a_curriculum_hides_coordinates():
    p = TwoLayerReLU(dim=6).sample(2000, 3, 2, stage=Stage(dims=torch.tensor(3)))
    assert (p.xs[..., 3:] == 0).all()
    assert float(p.ys.square().mean()) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden": 0}, "hidden must be greater than 0, got 0"),
        ({"hidden": 1.5}, "hidden must be a whole number, got 1.5"),
        ({"scale": "big"}, "'unit' or 'raw', got 'big'"),
    ],
)
def test_bad_input_is_refused(changes, said):
    with pytest.raises(InputError, match=said):
        TwoLayerReLU(**changes)
