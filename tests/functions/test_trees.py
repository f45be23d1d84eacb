"""Decision trees against a loop over prompts, points and nodes."""

import numpy as np
import pytest
import torch
from scipy import stats

from icl_lab.errors import InputError
from icl_lab.functions import DecisionTree, Stage


def walk(coordinates, leaves, x) -> float:
    """One point down one tree, with a left and a right half at every node instead of a heap's numbers."""
    level, start = 0, 0
    halves = leaves
    place = 0  # of the node within its level, from the left
    while len(halves) > 1:
        right = x[coordinates[start + place]] > 0
        half = len(halves) // 2
        halves = halves[half:] if right else halves[:half]
        start, place, level = start + 2**level, 2 * place + int(right), level + 1
    return halves[0]


@pytest.mark.parametrize(("depth", "dim"), [(1, 3), (2, 1), (4, 20), (6, 5)])
def test_values_are_those_of_a_walk_down_the_tree(depth, dim):
    p = DecisionTree(dim=dim, depth=depth).sample(30, 12, 3)
    coordinates, leaves = p.task["coordinates"].numpy(), p.task["leaves"].numpy()
    assert coordinates.shape == (30, 2**depth - 1)
    assert leaves.shape == (30, 2**depth)
    truth = [[walk(coordinates[b], leaves[b], x) for x in p.xs[b].numpy()] for b in range(30)]
    assert np.array_equal(p.ys.numpy(), np.array(truth))


def test_zero_goes_left():
    tree = DecisionTree(dim=2, depth=1)
    task = {"coordinates": torch.tensor([[1]]), "leaves": torch.tensor([[-5.0, 7.0]])}
    xs = torch.tensor([[[9.0, 0.0], [-9.0, 1e-30], [9.0, -1.0]]])
    assert tree.values(task, xs).tolist() == [[-5.0, 7.0, -5.0]]


def test_coordinates_and_leaves_follow_their_laws():
    task = DecisionTree(dim=7).sample(5000, 1, 8).task
    for node in (0, 14):
        assert stats.chisquare(torch.bincount(task["coordinates"][:, node], minlength=7).numpy()).pvalue > 1e-3
    pairs = torch.bincount(7 * task["coordinates"][:, 1] + task["coordinates"][:, 2], minlength=49)
    assert stats.chisquare(pairs.numpy()).pvalue > 1e-3  # nodes are independent
    assert stats.kstest(task["leaves"].flatten().double().numpy(), "norm").pvalue > 1e-3


def test_leaves_are_reached_as_often_as_they_must():
    """Depth 2: the lower node looks at the same coordinate with probability 1/d, and then goes the same way again."""
    fc = DecisionTree(dim=5, depth=2)
    p = fc.sample(20_000, 1, 5)
    reached = fc.values(p.task | {"leaves": torch.arange(4.0).expand(20_000, 4)}, p.xs)[:, 0].long()
    same, other = 0.5 * (1 / 5 + 4 / 5 / 2), 0.5 * 4 / 5 / 2
    expected = 20_000 * np.array([same, other, other, same])
    assert stats.chisquare(torch.bincount(reached, minlength=4).numpy(), expected).pvalue > 1e-3


@pytest.mark.parametrize("dims", [3, torch.tensor(3)])
def test_a_curriculum_keeps_to_the_active_coordinates(dims):
    fc = DecisionTree(dim=6)
    p = fc.sample(2000, 4, 2, stage=Stage(dims=dims))
    counts = torch.bincount(p.task["coordinates"].flatten())
    assert len(counts) == 3
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    assert (p.xs[..., 3:] == 0).all()
    late = fc.sample(2000, 4, 2, stage=Stage(dims=dims + 6))  # it may count beyond what there is
    assert torch.equal(late.ys, fc.sample(2000, 4, 2).ys)


@pytest.mark.parametrize("depth", [0, -1, 2.5, 13])
def test_bad_depths_are_refused(depth):
    with pytest.raises(InputError, match=f"depth must be a whole number from 1 to 12, got {depth}"):
        DecisionTree(depth=depth)
