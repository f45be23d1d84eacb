"""Sweeps against brute force: one class, one prompt, one k at a time."""

import numpy as np
import pytest
import torch

from icl_lab.errors import InputError
from icl_lab.evaluation import CHUNK, EVALUATION_SEED, squared_errors
from icl_lab.functions import ConvexCombination, DenseLinear, Line, Sinusoid, SparseLinear
from icl_lab.predictors import Averaging, LeastSquares
from icl_lab.sweeps import Sweep, sweep

CLASSES = {n: SparseLinear(5, nonzeros=n, scale="raw") for n in (1, 3, 5)}  # E f^2 = n: a wrong scale shows
KS = [4, 2]
TWO = {"least squares": LeastSquares(), "averaging": Averaging()}


@pytest.fixture(scope="module")
def found() -> Sweep:
    return sweep(TWO, CLASSES, KS, n_prompts=7, seed=11)


def by_hand(xs, ys, k):
    """Least squares of smallest norm and averaging, from the first k examples of one prompt."""
    X, y, query = xs[:k].double().numpy(), ys[:k].double().numpy(), xs[k].double().numpy()
    return {"least squares": np.linalg.pinv(X) @ y @ query, "averaging": (X * y[:, None]).mean(0) @ query}


def test_predictions_targets_errors_and_distances_against_brute_force(found):
    for v, (n, fc) in enumerate(CLASSES.items()):
        prompts = fc.sample(7, 5, 11)
        assert found.moments[v] == n
        for b in range(7):
            w = prompts.task["w"][b].double().numpy()
            for i, k in enumerate(KS):
                truth = float(w @ prompts.xs[b, k].double().numpy())
                said = by_hand(prompts.xs[b], prompts.ys[b], k)
                assert found.targets[v, b, i] == pytest.approx(truth, abs=1e-5)
                for name, value in said.items():
                    assert found.predictions[name][v, b, i] == pytest.approx(value, abs=1e-3)
                    assert found.errors(name)[v, b, i] == pytest.approx((value - truth) ** 2 / n, abs=2e-3)
                    assert found.errors(name, absolute=True)[v, b, i] == pytest.approx((value - truth) ** 2, abs=1e-2)
                gap = (said["least squares"] - said["averaging"]) ** 2
                assert found.distance(*said)[v, b, i] == pytest.approx(gap / n, abs=2e-3)
                assert found.distance(*said, absolute=True)[v, b, i] == pytest.approx(gap, abs=1e-2)


def test_shapes_and_order_are_those_that_were_asked(found):
    assert found.values == (1, 3, 5)
    assert found.ks == (4, 2)  # not sorted
    assert found.targets.shape == found.errors("averaging").shape == (3, 7, 2)
    assert set(found.predictions) == set(TWO)


def test_the_same_numbers_as_a_learning_curve():
    """A sweep of one class is what ``squared_errors`` gives, for more prompts than one chunk too."""
    n = CHUNK + 9
    one = sweep({"averaging": Averaging()}, {"x": DenseLinear(3)}, [1, 5], n_prompts=n)
    expected = squared_errors(Averaging(), DenseLinear(3), n, 6, EVALUATION_SEED, [1, 5])
    np.testing.assert_allclose(one.errors("averaging")[0], expected)


def test_predictors_see_the_same_prompts_and_values_share_their_inputs():
    seen = []

    def spy(xs, ys):
        seen.append((xs.clone(), ys.clone()))
        return torch.zeros_like(ys)

    sweep({"one": spy, "two": spy}, CLASSES, [3], n_prompts=4)
    assert len(seen) == 2 * len(CLASSES)
    for first, second in zip(seen[::2], seen[1::2], strict=True):
        assert torch.equal(first[0], second[0])
        assert torch.equal(first[1], second[1])
    assert all(torch.equal(seen[0][0], xs) for xs, _ in seen)
    assert not torch.equal(seen[0][1], seen[-1][1])


def test_distances_are_symmetric_zero_to_oneself_and_obey_the_triangle(found):
    far = found.distance("least squares", "averaging")
    np.testing.assert_array_equal(far, found.distance("averaging", "least squares"))
    assert (found.distance("averaging", "averaging") == 0).all()
    sides = [np.sqrt(found.errors(name)) for name in TWO]
    assert (np.sqrt(far) <= sides[0] + sides[1] + 1e-9).all()


def test_errors_are_to_the_function_and_examples_have_the_noise():
    """Zero predicted: the error is f^2 without the noise; what a predictor sees has it."""
    noisy, clean = DenseLinear(4, noise=3.0), DenseLinear(4)
    seen = []

    def zero(xs, ys):
        seen.append(ys.clone())
        return torch.zeros_like(ys)

    found = sweep({"zero": zero}, {"noisy": noisy}, [0, 2], n_prompts=20, seed=5)
    plain = clean.sample(20, 3, 5).ys[:, [0, 2]].double().numpy()
    np.testing.assert_allclose(found.targets[0], plain, atol=1e-6)
    np.testing.assert_allclose(found.errors("zero")[0], plain**2, atol=1e-6)
    assert float((seen[0] - clean.sample(20, 3, 5).ys).abs().max()) > 1


def test_a_predictor_of_single_ks_is_asked_for_those_alone():
    class Costly:
        name, asked = "costly", ()

        def __call__(self, xs, ys):
            raise AssertionError("it was asked for every k")

        def at(self, xs, ys, k):
            self.asked += (k,)
            return torch.full((len(xs),), float(k))

    costly = Costly()
    found = sweep({"costly": costly}, {1: DenseLinear(2)}, [6, 3], n_prompts=2)
    assert costly.asked == (6, 3)
    np.testing.assert_array_equal(found.predictions["costly"][0], [[6, 3], [6, 3]])


def test_a_moment_that_depends_on_what_is_swept():
    """Combinations of a line and a sinusoid: predicting zero scores about 1 at every weight, each with its E f^2."""
    classes = {w: ConvexCombination(Line(), Sinusoid(), w) for w in (0.0, 0.5, 1.0)}
    found = sweep({"zero": lambda xs, ys: torch.zeros_like(ys)}, classes, [1], n_prompts=4000)
    np.testing.assert_allclose(found.errors("zero").mean((1, 2)), 1, atol=0.12)
    assert found.errors("zero", absolute=True)[1].mean() < 0.6  # weights 1/2 and 1/2 halve E f^2


def test_what_cannot_be_swept_is_refused(found):
    for predictors, classes, ks in (({}, CLASSES, KS), (TWO, {}, KS), (TWO, CLASSES, [])):
        with pytest.raises(InputError, match="needs predictors, classes and ks"):
            sweep(predictors, classes, ks)
    with pytest.raises(InputError, match="ridge"):
        found.errors("ridge")
    with pytest.raises(InputError, match="ridge"):
        found.distance("averaging", "ridge")
    with pytest.raises(InputError, match="seed"):
        sweep(TWO, CLASSES, KS, seed=-1)
    for bad in (-1, 1.5, True):  # a negative k would count from the end
        with pytest.raises(InputError, match="ks must be whole numbers"):
            sweep(TWO, CLASSES, [3, bad], n_prompts=2)
