"""Gradients with respect to the query, against what is known in closed form and against differences."""

import pytest
import torch

from icl_lab.checkpoints import Pretrained
from icl_lab.errors import InputError
from icl_lab.functions import DenseLinear, Line
from icl_lab.gradients import query_gradients
from icl_lab.predictors import Averaging, GreedyTree, LeastSquares, NearestNeighbors
from icl_lab.transformer import Config, Transformer

DENSE = DenseLinear(4)


@pytest.mark.parametrize("k", [0, 2, 4, 7])
def test_least_squares_has_its_weights_as_gradient(k):
    p = DENSE.sample(6, 8, 0)
    w = torch.linalg.pinv(p.xs[:, :k].double()) @ p.ys[:, :k, None].double() if k else torch.zeros(6, 4, 1).double()
    assert torch.allclose(query_gradients(LeastSquares(), p.xs, p.ys, k), w[..., 0], atol=1e-6)


def test_averaging_with_many_prompts_keeps_prompts_apart():
    p = DENSE.sample(300, 4, 1)  # more than one chunk
    w = (p.xs[:, :3] * p.ys[:, :3, None]).double().mean(1)
    assert torch.allclose(query_gradients(Averaging(), p.xs, p.ys, 3), w, atol=1e-6)


def test_plateaus_have_none():
    p = DENSE.sample(5, 9, 2)
    for learner in (NearestNeighbors(3), GreedyTree(2)):  # one of them is asked at k alone
        assert query_gradients(learner, p.xs, p.ys, 8).abs().max() == 0


@pytest.mark.parametrize("tokens", ["pair", "interleaved"])
def test_a_transformer_agrees_with_differences_and_does_not_see_the_answer(tokens):
    config = Config(dim=4, n_points=6, n_layer=2, n_embd=16, n_head=2, tokens=tokens)
    model = Transformer(config).init_weights(0)
    for parameter in model.parameters():  # the initial output matrices are zero: nothing would depend on the prompt
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    own = Pretrained(model.eval(), {"name": "random"})
    p = DENSE.sample(300, 6, 3)
    found = query_gradients(own, p.xs, p.ys, 3)
    plain = query_gradients(lambda xs, ys: own(xs, ys), p.xs, p.ys, 3, step=0.02)  # differences in float32
    assert found.shape == (300, 4)
    assert found.abs().max() > 0.1
    assert torch.allclose(found, plain, rtol=0.02, atol=2e-3)
    assert all(parameter.grad is None for parameter in model.parameters())
    other = p.ys.clone()
    other[:, 3:] += 5.0
    assert torch.equal(query_gradients(own, p.xs, other, 3), found)


def test_bad_input_is_named():
    p = Line().sample(3, 5, 0)
    for k in (-1, 5, 1.5):
        with pytest.raises(InputError, match="k must be a whole number from 0 to T - 1 = 4"):
            query_gradients(LeastSquares(), p.xs, p.ys, k)
    with pytest.raises(InputError, match=r"xs must be \(B, T, d\)"):
        query_gradients(LeastSquares(), p.xs[..., 0], p.ys, 1)
    with pytest.raises(InputError, match="step"):
        query_gradients(LeastSquares(), p.xs, p.ys, 1, step=0.0)
    with pytest.raises(InputError, match="not finite at k="):
        query_gradients(lambda xs, ys: ys * float("nan"), p.xs, p.ys, 2)
