"""Curricula: what each stage draws, and that the last one is the stated law."""

from dataclasses import replace

import pytest
import torch

from icl_lab.curriculum import Curriculum, SignsFirst
from icl_lab.errors import InputError
from icl_lab.functions import DenseLinear, Mixture, SparseLinear, Stage
from icl_lab.precision import Precision
from icl_lab.step import Stepper
from icl_lab.transformer import Transformer

SPARSE = SparseLinear(8, nonzeros=1)
MIXTURE = Mixture((DenseLinear(8), SPARSE), (0.25, 0.75))


def weights(softness) -> torch.Tensor:
    """The coefficients that are not zero, at unit scale of one."""
    w = SPARSE.sample(4000, 1, 3, stage=Stage(softness=softness)).task["w"]
    return w[w != 0]


def test_softness_goes_from_signs_to_the_stated_gaussian():
    signs, half, gaussian, stated = (weights(s) for s in (0.0, 0.5, 1.0, None))
    assert set(signs.tolist()) == {-1.0, 1.0}
    assert torch.equal(gaussian, stated)
    torch.testing.assert_close(half, (signs + stated) / 2)  # linear in between, sign for sign
    assert len(signs) == 4000


@pytest.mark.parametrize("others", [0.0, 0.25, 1.0])
def test_others_grow_beside_one_coefficient(others):
    """All non-zeros but one, a random one, are multiplied by it; at 1 the law is the stated one."""
    sparse = SparseLinear(8, nonzeros=3)
    stated = sparse.sample(3000, 1, 3).task["w"]
    w = sparse.sample(3000, 1, 3, stage=Stage(others=others)).task["w"]
    whole = (w == stated) & (stated != 0)
    shrunk = (w == stated * others) & (stated != 0)
    assert ((whole | shrunk) == (stated != 0)).all()
    if others < 1:
        assert (whole.sum(1) == 1).all()
        assert (shrunk.sum(1) == 2).all()
        assert whole.float().mean(0).tolist() == pytest.approx([1 / 8] * 8, abs=0.025)
    else:
        assert torch.equal(w, stated)


def test_a_class_without_supports_ignores_softness():
    stated = DenseLinear(8).sample(10, 3, 5)
    assert torch.equal(DenseLinear(8).sample(10, 3, 5, stage=Stage(softness=0.0)).ys, stated.ys)


@pytest.mark.parametrize(("first", "share", "dense"), [(1, 0.0, 0.0), (0, 0.0, 1.0), (1, 0.5, 0.125), (0, 0.5, 0.625)])
def test_the_first_component_comes_alone_and_the_others_are_mixed_in(first, share, dense):
    drawn = MIXTURE.sample(20_000, 1, 11, stage=Stage(first=first, share=share)).component
    assert (drawn == 0).float().mean().item() == pytest.approx(dense, abs=0.012)  # 4 standard deviations


def test_a_full_share_is_the_stated_mixture():
    whole = MIXTURE.sample(500, 3, 7, stage=Stage(share=torch.ones(())))
    assert torch.equal(whole.ys, MIXTURE.sample(500, 3, 7).ys)


def test_signs_first_moves_by_fractions_of_the_training():
    law = SignsFirst(8, dims=2, grow=(0.0, 0.2), soften=(0.3, 0.65), others=(0.1, 0.2), mix=(0.5, 0.7))
    total = torch.tensor(1000)
    stages = {t: law.at(torch.tensor(t), total) for t in (0, 100, 200, 475, 600, 700, 999)}
    assert [int(s.dims) for s in stages.values()] == [2, 5, 8, 8, 8, 8, 8]
    assert [int(s.points) for s in stages.values()] == [5, 11, 17, 17, 17, 17, 17]
    assert [float(s.softness) for s in stages.values()] == pytest.approx([0, 0, 0, 0.5, 6 / 7, 1, 1])
    assert [float(s.share) for s in stages.values()] == pytest.approx([0, 0, 0, 0, 0.5, 1, 1])
    assert [float(s.others) for s in stages.values()] == pytest.approx([0, 0, 1, 1, 1, 1, 1])
    assert {s.first for s in stages.values()} == {1}


def test_what_is_not_asked_for_stays_as_stated():
    stage = SignsFirst(8).at(torch.tensor(0), torch.tensor(10))
    assert (stage.dims, stage.points, stage.others, stage.share) == (None,) * 4
    assert Curriculum().at(torch.tensor(0), torch.tensor(10)).softness is None


@pytest.mark.parametrize("curriculum", [SignsFirst(2, dims=1, soften=(0.0, 0.5)), Curriculum(1, 3, 40)])
def test_hidden_positions_are_skipped_and_change_nothing(nano, curriculum):
    """A CPU leaves them out, a GPU masks them: the loss and the gradients are the same."""
    recipe = replace(nano(n_points=9, steps=100), curriculum=curriculum)
    model = Transformer(recipe.model_config()).init_weights(0)
    stepper = Stepper(recipe, model, torch.device("cpu"), Precision(None, False, "float32"))
    xs, _, weight = stepper.draw()
    assert xs.shape[1] == 3
    assert weight.sum().item() * recipe.batch_size == pytest.approx(1.0)
    loss = stepper.gradients()
    stage = curriculum.at(stepper.t, stepper.total)
    whole = recipe.function_class.sample(recipe.batch_size, 9, (recipe.seed << 32) | (1 << 62), stage=stage)
    assert torch.equal(whole.xs[:, :3], xs)
    masked = ((model(whole.xs, whole.ys) - whole.ys)[:, :3] ** 2).mean()
    torch.testing.assert_close(masked, loss)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"dim": 0}, "dim must be greater than 0"),
        ({"dim": 8, "dims": 9}, "1 to dim=8 coordinates, got dims=9"),
        ({"dim": 8, "soften": (0.6, 0.3)}, "soften must be two rising fractions"),
        ({"dim": 8, "mix": (0.5, 1.2)}, "mix must be two rising fractions"),
    ],
)
def test_wrong_curricula(wrong, words):
    with pytest.raises(InputError, match=words):
        SignsFirst(**wrong)
