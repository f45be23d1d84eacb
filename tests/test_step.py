"""One step: schedule, curriculum, micro-batches, float16, and what a captured graph asks of the code."""

import contextlib
import logging
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from icl_lab import optimizers
from icl_lab.curriculum import Curriculum
from icl_lab.errors import InputError
from icl_lab.functions import (
    ConvexCombination,
    DecisionTree,
    DenseLinear,
    Line,
    Mixture,
    Sinusoid,
    SparseAny,
    SparseLinear,
    TaskPool,
    TwoLayerReLU,
)
from icl_lab.precision import LossScale, Precision, pick_device, pick_precision
from icl_lab.step import GRAPH_WARMUP, RING, Stepper
from icl_lab.transformer import Transformer

CPU = torch.device("cpu")
FLOAT32 = Precision(None, False, "float32")
FLOAT16 = Precision(torch.float16, True, "float16")


def stepper_of(recipe, precision=FLOAT32, device=CPU) -> Stepper:
    model = Transformer(recipe.model_config()).init_weights(recipe.seed).to(device)
    return Stepper(recipe, model, device, precision)


def grads(stepper) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in stepper.parameters])


# ---------------------------------------------------------------- schedule and curriculum


def test_rate_rises_and_falls_in_straight_lines(nano):
    stepper = stepper_of(nano(steps=100, warmup=10))
    rates = []
    for t in range(101):
        stepper.t.fill_(t)
        rates.append(float(stepper.rate_factor()))
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(0.91)
    assert rates[50] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.01)
    assert rates[100] == 0.0
    stepper.set_total(200)  # what --minutes does
    assert float(stepper.rate_factor()) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("t", "dims", "points"),
    [(0, 5, 11), (1999, 5, 11), (2000, 6, 13), (9999, 9, 19), (28_000, 19, 39), (30_000, 20, 41), (90_000, 20, 41)],
)
def test_gargs_curriculum(nano, t, dims, points):
    """5 to 20 coordinates and 11 to 41 points, one and two more every 2,000 steps: whole from step 30,000 on."""
    recipe = replace(nano(batch_size=3, n_points=41, curriculum=Curriculum()), function_class=DenseLinear(20))
    stepper = stepper_of(recipe)
    stepper.t.fill_(t)
    xs, _, weight = stepper.draw()
    assert (xs[..., :dims] != 0).all()
    assert (xs[..., dims:] == 0).all()
    assert weight.tolist() == pytest.approx([1 / points / 3] * points)


def test_curriculum_draws_the_support_among_active_coordinates(nano):
    recipe = replace(nano(batch_size=200, n_points=11, curriculum=Curriculum()), function_class=SparseLinear(20))
    _, ys, _ = stepper_of(recipe).draw()
    assert (ys != 0).any(1).all()  # a support outside would give y = 0 everywhere


def test_every_step_draws_its_own_batch_and_trainings_theirs(nano):
    stepper, other = stepper_of(nano()), stepper_of(nano(seed=1))
    first, _, _ = stepper.draw()
    assert torch.equal(first, stepper.draw()[0])
    stepper.t += 1
    assert not torch.equal(first, stepper.draw()[0])
    assert not torch.equal(first, other.draw()[0])


def test_loss_is_the_mean_squared_error_over_prompts_and_points(nano):
    stepper = stepper_of(nano())
    xs, ys, _ = stepper.draw()
    loss = stepper.gradients()
    expected = ((stepper.model(xs, ys) - ys) ** 2).mean()
    assert float(loss) == pytest.approx(expected.item(), rel=1e-6)
    expected.backward()  # adds the same once more
    twice = grads(stepper)
    stepper.gradients()
    torch.testing.assert_close(twice, 2 * grads(stepper), atol=1e-7, rtol=1e-4)


def test_losses_are_kept_for_a_while(nano):
    stepper = stepper_of(nano())
    stepper.ring.copy_(torch.arange(RING).float())
    stepper.t.fill_(RING + 3)
    assert stepper.losses(RING - 2) == [RING - 2, RING - 1, 0.0, 1.0, 2.0]
    with pytest.raises(ValueError, match=f"kept for {RING} steps, asked for {RING + 1}"):
        stepper.losses(2)


def test_gradients_are_clipped_together(nano):
    stepper = stepper_of(nano(clip=1e-3))
    stepper.update(stepper.gradients())
    assert float(grads(stepper).norm()) == pytest.approx(1e-3, rel=1e-3)


# ---------------------------------------------------------------- micro-batches


class OutOfMemoryAbove:
    """A model on a device whose memory holds only so many prompts."""

    def __init__(self, model, limit):
        self.model, self.limit, self.seen = model, limit, []

    def __call__(self, xs, ys):
        self.seen.append(len(xs))
        if len(xs) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.model(xs, ys)


def test_too_little_memory_halves_the_pieces_and_keeps_the_batch(nano, caplog):
    whole, pieces = stepper_of(nano(batch_size=10)), stepper_of(nano(batch_size=10))
    pieces.forward = OutOfMemoryAbove(pieces.model, limit=3)
    with caplog.at_level(logging.WARNING, "icl_lab"):
        whole()
        pieces()
    assert pieces.forward.seen == [10, 5, 3, 3, 3, 1]
    assert caplog.messages == [
        "GPU memory too small: 5 prompts at once, batch of 10 kept",
        "GPU memory too small: 3 prompts at once, batch of 10 kept",
    ]
    torch.testing.assert_close(grads(pieces), grads(whole), atol=1e-6, rtol=1e-4)
    assert pieces.losses(0) == pytest.approx(whole.losses(0), rel=1e-5)
    assert int(pieces.t) == 1
    pieces()
    assert len(caplog.messages) == 2  # the smaller pieces are remembered


def test_no_memory_for_a_single_prompt_is_one_sentence(nano):
    stepper = stepper_of(nano())
    stepper.forward = OutOfMemoryAbove(stepper.model, limit=0)
    with pytest.raises(InputError, match="too small for a single prompt"):
        stepper()


def test_a_compiler_that_fails_is_done_without(nano, caplog):
    plain, stepper = stepper_of(nano()), stepper_of(nano())

    def broken(xs, ys):
        try:
            raise FileNotFoundError("no C compiler here\nsecond line")
        except FileNotFoundError as error:
            raise RuntimeError("backend failed") from error

    stepper.forward = broken
    for _ in range(3):
        plain()
        stepper()
    assert stepper.losses(0) == plain.losses(0)
    assert [r.getMessage() for r in caplog.records] == ["the model is not compiled: no C compiler here"]


def test_an_error_of_the_model_itself_is_not_swallowed(nano):
    stepper = stepper_of(nano())
    stepper.model.forward = lambda xs, ys: 1 / 0
    with pytest.raises(ZeroDivisionError):
        stepper()


# ---------------------------------------------------------------- precision


@pytest.mark.parametrize(
    ("capability", "dtype", "scaled"),
    [((7, 5), torch.float16, True), ((8, 0), torch.bfloat16, False), ((9, 0), torch.bfloat16, False)],
)
def test_format_on_a_gpu_follows_its_compute_capability(monkeypatch, capability, dtype, scaled):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    precision = pick_precision(torch.device("cuda"), 256)
    assert (precision.dtype, precision.scale_loss) == (dtype, scaled)
    assert f"compute capability {capability[0]}.{capability[1]}" in precision.reason


def test_format_on_a_cpu(monkeypatch):
    for known, width, dtype in (
        ({"avx512_bf16": True}, 256, torch.bfloat16),
        ({"amx_bf16": True}, 64, torch.bfloat16),
        ({"avx512_bf16": True}, 32, None),
        ({"avx2": True}, 256, None),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda known=known: known, raising=False)
        precision = pick_precision(CPU, width)
        assert precision.dtype is dtype
        assert precision.reason


def test_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device(None) == CPU
    with pytest.raises(InputError, match=r"Unknown device 'cuda'\..* Known: cpu\."):
        pick_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device(None).type == "cuda"
    assert pick_device("cpu") == CPU


def test_float16_gradients_are_those_of_float32(nano):
    exact, half = stepper_of(nano(clip=1e9)), stepper_of(nano(clip=1e9), FLOAT16)
    half.loss_scale.factor.fill_(2.0**10)
    for stepper in (exact, half):
        stepper.update(stepper.gradients())
    assert float((grads(half) - grads(exact)).norm() / grads(exact).norm()) < 0.01


def test_float16_trains(nano):
    recipe = nano(steps=50, batch_size=16)
    exact, half = stepper_of(recipe), stepper_of(recipe, FLOAT16)
    for _ in range(50):
        exact()
        half()
    first, last = (sum(half.losses(0)[part]) / 10 for part in (slice(0, 10), slice(40, 50)))
    assert last < 0.85 * first
    assert last == pytest.approx(sum(exact.losses(0)[40:]) / 10, rel=0.1)


def test_an_overflow_moves_nothing_and_halves_the_factor(nano):
    stepper = stepper_of(nano(), FLOAT16)
    before = [p.detach().clone() for p in stepper.parameters]
    stepper.loss_scale.factor.fill_(2.0**40)
    stepper()
    assert float(stepper.loss_scale.factor) == 2.0**39
    assert all(torch.equal(p, b) for p, b in zip(stepper.parameters, before, strict=True))
    stepper.loss_scale.factor.fill_(2.0**10)
    stepper()
    assert float(stepper.loss_scale.factor) == 2.0**10
    assert all(p.isfinite().all() for p in stepper.parameters)
    assert not torch.equal(stepper.model.read_in.weight, before[0])


def test_patience_doubles_the_factor_and_an_overflow_begins_it_anew(monkeypatch):
    monkeypatch.setattr(LossScale, "PATIENCE", 3)
    scale, seen = LossScale(CPU), []
    for norm in (1.0, 1.0, float("nan"), 1.0, 1.0, 1.0, 1.0, float("inf")):
        gradient = torch.full((2,), norm)
        scale.update([gradient], torch.tensor(norm))
        seen.append(float(scale.factor) / LossScale.START)
        assert gradient.isfinite().all()
    assert seen == [1, 1, 0.5, 0.5, 0.5, 1, 1, 0.5]


def test_the_loss_scale_is_part_of_the_state(nano):
    first = stepper_of(nano(), FLOAT16)
    first.loss_scale.factor.fill_(8.0)
    first.loss_scale.good.fill_(5.0)
    first()
    state = {name: t.clone() for name, t in first.state().items()}
    second = stepper_of(nano(), FLOAT16)
    second.load(state)
    assert (float(second.loss_scale.factor), float(second.loss_scale.good)) == (8.0, 6.0)
    first()
    second()
    assert all(torch.equal(p, q) for p, q in zip(first.parameters, second.parameters, strict=True))


# ---------------------------------------------------------------- one CUDA graph


class Crossings(TorchDispatchMode):
    """Notes operations in which a CPU tensor takes part. On the meta device item() and bool() raise by themselves."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        leaves = tree_leaves((args, kwargs, out))
        if any(isinstance(leaf, torch.Tensor) and leaf.device.type == "cpu" for leaf in leaves):
            self.found.append(str(function))
        return out


class Still(torch.optim.Optimizer):
    """Stands for torch's own fused AdamW, which the meta device does not have."""

    def __init__(self, params, lr, **settings):
        super().__init__(params, {"lr": lr})

    def step(self):
        pass


CLASSES = {
    "dense": DenseLinear(20, noise=0.1),
    "dense_sparse": Mixture((DenseLinear(20), SparseLinear(20, nonzeros=2)), weights=(0.3, 0.7)),
    "line_sine": Mixture((Line(noise=0.2), Sinusoid())),
    "sparse_any": SparseAny(20),
    "pool": TaskPool(DenseLinear(8, scale="raw", noise=0.5), 2**16),
    "tree": DecisionTree(20),
    "relu": TwoLayerReLU(20),
    "combined": ConvexCombination(Line(), Sinusoid()),
    "combined_at_a_weight": ConvexCombination(Line(), Sinusoid(), 0.3),
}


@pytest.mark.parametrize("precision", [FLOAT32, FLOAT16])
@pytest.mark.parametrize("function_class", CLASSES.values(), ids=CLASSES.keys())
def test_a_step_passes_nothing_between_host_and_device(monkeypatch, nano, function_class, precision):
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # has no meta device
    monkeypatch.setattr(torch.optim, "AdamW", Still)
    monkeypatch.setattr(optimizers, "has_bf16", lambda device: True)
    recipe = replace(nano(n_points=11, curriculum=Curriculum()), function_class=function_class)
    stepper = stepper_of(recipe, precision, torch.device("meta"))

    def copied(*_, **__):
        raise AssertionError("a Python number was copied to the device")

    for name in ("tensor", "as_tensor", "from_numpy", "asarray"):
        monkeypatch.setattr(torch, name, copied)
    with Crossings() as crossings:
        stepper()
    assert crossings.found == []


class FakeGraph:
    """A CUDA graph in so far as this file needs one: capturing runs nothing, replaying runs the step."""

    stepper = None

    def replay(self):
        self.stepper.update(self.stepper.gradients())


@pytest.fixture
def fake_cuda(monkeypatch):
    """The calls of the graph path, without a GPU; returns the names of those that were made."""
    calls = []

    class FakeStream:
        def wait_stream(self, other):
            calls.append("wait")

    @contextlib.contextmanager
    def capture(graph):
        stepper = FakeGraph.stepper
        state = {name: t.clone() for name, t in stepper.state().items()}
        ring = stepper.ring.clone()
        yield
        stepper.load(state)
        stepper.ring.copy_(ring)
        calls.append("captured")

    monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: FakeStream())
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: calls.append("set_stream"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: None)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "graph", capture)

    def on_gpu(stepper):
        stepper.graph_wanted, stepper.side = True, FakeStream()
        monkeypatch.setattr(FakeGraph, "stepper", stepper)
        return stepper

    return on_gpu, calls


def test_replayed_steps_are_the_eager_ones(nano, fake_cuda, caplog):
    on_gpu, calls = fake_cuda
    plain, stepper = stepper_of(nano()), on_gpu(stepper_of(nano()))
    with caplog.at_level(logging.INFO, "icl_lab"):
        for _ in range(GRAPH_WARMUP + 4):
            plain()
            stepper()
    assert stepper.losses(0) == plain.losses(0)  # the capture itself was no step
    assert stepper.eager_steps == GRAPH_WARMUP
    assert calls == ["wait", "wait"] * GRAPH_WARMUP + ["captured"]
    assert caplog.messages == ["steps are replayed from one CUDA graph"]


def test_a_failed_capture_is_told_once_and_training_goes_on(nano, fake_cuda, caplog, monkeypatch):
    on_gpu, calls = fake_cuda

    class FailingGraph:
        def __enter__(self):
            pass

        def __exit__(self, *_):
            raise RuntimeError("operation failed due to a previous error during capture")

    monkeypatch.setattr(torch.cuda, "graph", lambda graph: FailingGraph())
    plain, stepper = stepper_of(nano()), on_gpu(stepper_of(nano()))
    good = stepper.gradients

    def uncapturable():
        stepper.gradients = good
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    for i in range(GRAPH_WARMUP + 4):
        if i == GRAPH_WARMUP:
            stepper.gradients = uncapturable
        plain()
        stepper()
    assert stepper.losses(0) == plain.losses(0)
    assert stepper.graph is None
    assert calls[-1] == "set_stream"  # back from the stream that the failed capture left behind
    assert caplog.messages == [
        "eager steps: the step could not be captured: operation not permitted when stream is capturing"
    ]
