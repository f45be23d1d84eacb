"""The network in context against torch.nn and a loop, one prompt at a time; what it costs in independence: nothing."""

import pytest
import torch
from torch import nn

from icl_lab.errors import InputError
from icl_lab.evaluation import icl_curve
from icl_lab.functions import DenseLinear, TwoLayerReLU
from icl_lab.predictors import Expensive, TwoLayerNet


def by_torch(learner, x, y, query):
    """The same weights to begin with and the same batches; the module, the loss and Adam as torch has them."""
    generator = torch.Generator().manual_seed(learner.seed)
    W, c, a, b = learner.start(x.shape[1], generator)
    net = nn.Sequential(nn.Linear(x.shape[1], learner.hidden), nn.ReLU(), nn.Linear(learner.hidden, 1))
    net.load_state_dict({"0.weight": W.T, "0.bias": c[0], "2.weight": a.T, "2.bias": b[0]})
    adam = torch.optim.Adam(net.parameters(), lr=learner.rate)
    for _ in range(learner.steps):
        chosen = torch.randperm(len(x), generator=generator)[: learner.batch]
        adam.zero_grad()
        nn.functional.mse_loss(net(x[chosen])[:, 0], y[chosen]).backward()
        adam.step()
    with torch.no_grad():
        return net(query)[0]


@pytest.mark.parametrize("k", [1, 5, 14])
def test_every_prompt_has_the_network_that_torch_would_train(k):
    p = TwoLayerReLU(dim=4, hidden=6, scale="raw").sample(3, 15, 3)
    learner = TwoLayerNet(hidden=8, steps=40, rate=1e-2, batch=5, seed=2)
    out = learner.at(p.xs, p.ys, k)
    for b in range(3):
        truth = by_torch(learner, p.xs[b, :k], p.ys[b, :k], p.xs[b, k])
        torch.testing.assert_close(out[b], truth, atol=1e-4, rtol=1e-4)


def test_networks_begin_as_linear_layers_do():
    torch.manual_seed(0)
    W, c, a, b = TwoLayerNet(hidden=400).start(25, torch.Generator().manual_seed(1))
    for ours, layer in ((W.T, nn.Linear(25, 400).weight.detach()), (a.T, nn.Linear(400, 1).weight.detach())):
        assert ours.shape == layer.shape
        assert float(ours.std()) == pytest.approx(float(layer.std()), rel=0.1)
        assert float(ours.abs().max()) == pytest.approx(float(layer.abs().max()), rel=0.02)
    assert c.shape == (1, 400)
    assert float(c.abs().max()) == pytest.approx(1 / 5, rel=0.02)
    assert b.shape == (1, 1)


def test_a_prompt_does_not_depend_on_the_others_or_on_the_future():
    p = DenseLinear(dim=3).sample(5, 8, 3)
    learner = TwoLayerNet(hidden=7, steps=20, batch=4)
    assert isinstance(learner, Expensive)
    out = learner(p.xs, p.ys)
    assert out.shape == (5, 8)
    assert (out[:, 0] == 0).all()
    torch.testing.assert_close(learner.at(p.xs[2:3], p.ys[2:3], 6), out[2:3, 6])
    later = p.ys.clone()
    later[:, 6:] = 99.0
    torch.testing.assert_close(learner.at(p.xs, later, 6), out[:, 6])
    assert torch.equal(learner.at(p.xs, p.ys, 6), learner.at(p.xs, p.ys, 6))
    assert not torch.isclose(TwoLayerNet(7, 20, batch=4, seed=1).at(p.xs, p.ys, 6), out[:, 6]).any()
    assert learner(p.xs[:1, :1], p.ys[:1, :1]).tolist() == [[0.0]]
    assert not out.requires_grad


def test_it_learns_in_context():
    """Garg et al.: .17 at k = 100 on two-layer networks of raw scale, d = 20; 40 prompts miss their mean by .045."""
    fc = TwoLayerReLU(scale="raw")
    error = icl_curve(TwoLayerNet(steps=300), fc, 40, 101, ks=[100]).at(100)
    assert error == pytest.approx(0.17, abs=0.1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden": 0}, "hidden must be greater than 0"),
        ({"steps": 1.5}, "steps must be a whole number, got 1.5"),
        ({"batch": -1}, "batch must be greater than 0"),
        ({"rate": 0}, "rate must be greater than 0"),
    ],
)
def test_bad_input_is_refused(changes, said):
    with pytest.raises(InputError, match=said):
        TwoLayerNet(**changes)


def test_bad_shapes_are_refused():
    with pytest.raises(InputError, match=r"two-layer network expects xs of shape \(B, T, d\)"):
        TwoLayerNet(steps=1).at(torch.randn(2, 4, 3), torch.randn(2, 5), 2)
