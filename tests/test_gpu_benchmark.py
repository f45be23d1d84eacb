"""The GPU benchmark without a GPU: its arithmetic on made-up traces and clocks, and the whole of it on a CPU, small."""

import contextlib
import json
import time

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import gpu, quality, step, timing
from benchmarks.timing import GPU_EVENTS, Clock, TimeOver, alternate, captured, from_trace, in_sequence, kernels, union
from icl_lab.errors import InputError

CPU = Clock(torch.device("cpu"))

# ---------------------------------------------------------------- time


class FakeGpu(Clock):
    """Calls return at once and their work queues up; the host's clock moves on only when it waits."""

    def __init__(self, monkeypatch):
        self.now = self.device_now = 0.0
        self.cuda, self.calls = True, []
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def work(self, name, seconds):
        def call():
            self.calls.append(name)
            self.device_now = max(self.device_now, self.now) + seconds

        return call

    def wait(self):
        self.now = self.device_now = max(self.now, self.device_now)

    def mark(self):
        return max(self.now, self.device_now)

    def between(self, begin, end):
        return end - begin


def test_rounds_take_turns_and_wait_for_the_device(monkeypatch):
    clock = FakeGpu(monkeypatch)
    calls = {"a": clock.work("a", 3.0), "b": clock.work("b", 5.0)}
    times = alternate(calls, clock, rounds=3, repeat=2)
    assert "".join(clock.calls) == "aabb" + "bbaa" + "aabb"
    assert times["a"].wall == times["a"].device == [3.0] * 3
    assert times["b"].wall == times["b"].device == [5.0] * 3
    assert times["b"].row() == {
        "ms": 5000.0,
        "ms_between_events": 5000.0,
        "fastest_ms": 5000.0,
        "slowest_ms": 5000.0,
        "rounds": 3,
    }


def test_medians_forgive_one_slow_round(monkeypatch):
    clock = FakeGpu(monkeypatch)
    seconds = iter([1.0, 50.0, 2.0])

    def call():
        clock.work("a", next(seconds))()

    row = alternate({"a": call}, clock, rounds=3, repeat=1)["a"].row()
    assert (row["ms"], row["fastest_ms"], row["slowest_ms"]) == (2000.0, 1000.0, 50000.0)


def test_calls_in_sequence_are_told_apart(monkeypatch):
    clock = FakeGpu(monkeypatch)
    calls = {"a": clock.work("a", 1.0), "b": clock.work("b", 2.0), "c": clock.work("c", 4.0)}
    assert in_sequence(calls, clock, rounds=2, repeat=3) == {"a": 1.0, "b": 2.0, "c": 4.0}
    assert "".join(clock.calls) == "abc" * 6


def test_no_round_begins_after_the_time_but_the_first(monkeypatch):
    calls = []
    alternate({"a": lambda: calls.append(1)}, CPU, rounds=9, repeat=2, until=time.monotonic() - 1)
    assert len(calls) == 2
    in_sequence({"a": lambda: calls.append(1)}, CPU, rounds=9, repeat=1, until=time.monotonic() - 1)
    assert len(calls) == 3


def test_a_captured_call_is_replayed(monkeypatch):
    told = []

    class Graph:
        def replay(self):
            told.append("replayed")

    @contextlib.contextmanager
    def capture(graph):
        told.append("begin")
        yield
        told.append("end")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    replay = captured(lambda: told.append("call"), torch.device("cuda"))
    assert told == ["begin", "call", "end"]
    replay()
    assert told[3:] == ["replayed"]


def test_marks_on_a_gpu_are_events_that_time(monkeypatch):
    class Event:
        def __init__(self, enable_timing=False):
            assert enable_timing

        def record(self):
            self.recorded = True

        def elapsed_time(self, end):  # milliseconds, as CUDA says
            assert self.recorded
            assert end.recorded
            return 250.0

    waited = []
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: waited.append(device))
    clock = Clock(torch.device("cuda"))
    assert clock.between(clock.mark(), clock.mark()) == 0.25
    clock.wait()
    assert waited == [torch.device("cuda")]


def test_time_over_passes_whatever_catches_errors():
    begin = time.monotonic()
    with pytest.raises(TimeOver), timing.time_limit(0.2):  # noqa: PT012
        while time.monotonic() - begin < 20:
            with contextlib.suppress(Exception):
                time.sleep(5)
    assert time.monotonic() - begin < 3
    with timing.time_limit(0.2):
        pass
    time.sleep(0.3)  # no alarm is left behind


# ---------------------------------------------------------------- kernels


def test_union_against_a_fine_grid():
    rng = np.random.default_rng(0)
    begins = rng.integers(0, 1000, 60)
    ends = begins + rng.integers(0, 40, 60)
    grid = np.zeros(2000, bool)
    for begin, end in zip(begins, ends, strict=True):
        grid[begin:end] = True
    assert union(zip(begins.tolist(), ends.tolist(), strict=True)) == grid.sum()
    assert union([]) == 0


def event(cat, name, ts, dur):
    return {"ph": "X", "cat": cat, "name": name, "ts": ts, "dur": dur}


def test_kernels_of_a_trace_belong_to_the_range_in_which_they_ran():
    gemm, norm = "nvjet_tst_128x256", "triton_per_fused_addmm_native_layer_norm_3"
    events = [
        event("user_annotation", "bench: before", 0, 1000),
        event("user_annotation", "bench: ours", 2000, 1000),
        event("user_annotation", "bench: peer", 4000, 1000),
        event("gpu_user_annotation", "bench: ours", 2200, 9000),  # the range as the device saw it is no work
        event("kernel", gemm, 100, 500),  # before: does not count
        event("kernel", gemm, 7, -3e9),  # a record whose clock was wrong
        event("kernel", gemm, 2100, 300),
        event("kernel", norm, 2300, 200),  # overlaps by 100
        event("gpu_memcpy", "Memcpy HtoD (Pageable -> Device)", 2900, 40),
        event("cuda_runtime", "cudaLaunchKernel", 2100, 800),
        event("cpu_op", "aten::mm", 2100, 800),
        event("kernel", "void at::native::multi_tensor_apply_kernel<FusedAdamMathFunctor>", 4100, 600),
        {"ph": "s", "cat": "ac2g", "name": "ac2g", "ts": 2100},
    ]
    found = from_trace(events, ["ours", "peer"], GPU_EVENTS, repeat=2)
    ours, peer = found["ours"], found["peer"]
    assert (ours.count, ours.ms, ours.busy_ms) == (1.5, 0.27, 0.22)
    assert ours.kinds == {"matrix products": 0.15, "fused by the compiler": 0.1, "copies": 0.02}
    assert (peer.count, peer.ms, peer.busy_ms) == (0.5, 0.3, 0.3)
    assert list(peer.kinds) == ["lists of tensors (clipping, AdamW)"]


def test_the_profiler_counts_what_was_called():
    x = torch.randn(64, 64)
    calls = {"one": lambda: torch.mm(x, x), "three": lambda: [torch.mm(x, x) for _ in range(3)]}
    found = kernels(calls, CPU, repeat=4)
    assert found["three"].count == 3 * found["one"].count > 0  # on a CPU an operation may consist of several
    assert next(iter(found["three"].kinds)) == "matrix products"
    assert 0 < found["one"].busy_ms <= found["one"].ms * 1.001


# ---------------------------------------------------------------- the whole, small


@pytest.fixture
def small(monkeypatch, tmp_path):
    """``small(*arguments)``: exit status and results of the benchmark on a CPU at sizes that take no time."""
    for name, value in {"BATCH": 4, "N_POINTS": 5}.items():
        monkeypatch.setattr(step, name, value)
    monkeypatch.setattr(gpu, "BATCHES", (4, 8))
    monkeypatch.setattr(gpu, "MATMUL", {"cpu": 64})

    def run(*arguments):
        out = tmp_path / "deep" / "results.json"
        status = gpu.main(["--device", "cpu", "--size", "tiny", "--rounds", "3", "--out", str(out), *arguments])
        return status, json.loads(out.read_text())

    return run


def test_everything_is_measured_and_comes_home_in_one_small_file(small, capsys):
    status, found = small()
    assert status == 0
    assert found["errors"] == {}
    assert set(found["steps"]) == {*gpu.VARIANTS, "peer"}
    for row in found["steps"].values():
        assert 0 < row["fastest_ms"] <= row["ms"] <= row["slowest_ms"]
        assert row["rounds"] == 3
    ratio = found["ratio"]
    assert ratio["least"] <= ratio["ratio"] <= ratio["most"]
    assert found["goal"]["wanted_ms"] == 4
    assert set(found["parts"]) == {"draw", "gradients", "update"}
    assert [row["batch"] for row in found["share"]] == [4, 8]
    for row in found["share"]:
        assert row["share_with_optimizer"] > row["share"]
    assert set(found["kernels"]) == {*found["steps"], *found["parts"]}
    made = found["made_of"]
    assert made["step_ms"] == pytest.approx(made["kernels_ms"] + made["gaps_ms"], rel=0.01)
    for part in ("draw", "update"):  # whose sum may exceed the whole on a busy machine: they are timed one by one
        assert made[f"of_which_{part}_ms"] == found["kernels"][part]["busy_ms"] > 0
    assert len(json.dumps(found)) < 20_000
    assert capsys.readouterr().out.startswith("A rehearsal")


def test_ratios_and_shares_are_medians_over_rounds(small, monkeypatch):
    """Seconds made up: the peer takes 3, 2 and 10 times ours; a step 2, 4 and 6 s beside products of 1 s."""
    seconds = {name: [2.0, 4.0, 1.0] for name in gpu.VARIANTS} | {"peer": [6.0, 8.0, 10.0]}
    seconds |= {"step": [2.0, 4.0, 6.0], "matmul": [1.0, 1.0, 1.0]}
    monkeypatch.setattr(gpu, "alternate", lambda calls, *_: {n: timing.Times(seconds[n], seconds[n]) for n in calls})
    _, found = small()
    assert found["ratio"] == {"ratio": 3.0, "wanted": 5.0, "least": 2.0, "most": 10.0}
    assert found["goal"] == {"ms": 2000.0, "wanted_ms": 4.0, "reached": False}
    for row in found["share"]:
        config = step.our_step(*step.SIZES["tiny"], "pair").model.config
        flops = step.model_flops(config, row["batch"])
        assert row["share"] == pytest.approx(flops / 4 / (2 * 64**3 / 1), rel=1e-3)
        assert row["tflops_per_second"] == pytest.approx(flops / 4 / 1e12, rel=1e-3)
        assert row["prompts_per_second"] == row["batch"] / 4
        with_optimizer = row["share"] * (1 + step.muon_flops(config) / flops)
        assert row["share_with_optimizer"] == pytest.approx(with_optimizer, rel=2e-3)


def test_a_part_that_fails_says_why_and_the_others_go_on(small, monkeypatch, capsys):
    def no_peer(*_):
        raise ModuleNotFoundError("No module named 'transformers'")

    def no_profiler(*_):
        raise RuntimeError("CUPTI_ERROR_INSUFFICIENT_PRIVILEGES\nand more")

    monkeypatch.setattr(step, "peer_step", no_peer)
    monkeypatch.setattr(gpu, "kernels", no_profiler)
    status, found = small()
    assert status == 1
    assert found["errors"] == {
        "peer": "No module named 'transformers'",
        "kernels": "CUPTI_ERROR_INSUFFICIENT_PRIVILEGES",
    }
    assert set(found["steps"]) == set(gpu.VARIANTS)
    assert "ratio" not in found
    assert [row["batch"] for row in found["share"]] == [4, 8]
    assert "peer: No module named 'transformers'" in capsys.readouterr().out


def test_when_the_time_is_over_what_was_measured_is_written(small, monkeypatch):
    def hangs(bench):
        with contextlib.suppress(Exception):
            time.sleep(60)

    monkeypatch.setattr(gpu, "parts", hangs)
    begin = time.monotonic()
    status, found = small("--minutes", "0.1")
    assert time.monotonic() - begin < 15
    assert status == 1
    assert found["errors"]["parts"] == "the time was over"
    assert found["steps"]["captured"]["ms"] > 0
    assert "share" not in found


def test_with_little_time_the_most_important_are_measured(small, monkeypatch):
    """A preparation that takes long leaves out the later ones, but not our step."""
    prepare = gpu.Benchmark.prepare

    def slow(self, call):
        prepare(self, call)
        self.preparation = 100.0
        return 100.0

    monkeypatch.setattr(gpu.Benchmark, "prepare", slow)
    status, found = small("--minutes", "1")
    assert status == 1
    assert list(found["steps"]) == ["captured"]
    assert found["errors"]["peer"] == found["errors"]["share at batch 8"] == "no time was left for it"
    assert [row["batch"] for row in found["share"]] == [4]
    assert "captured" in found["kernels"]


def test_a_step_that_was_not_captured_or_compiled_on_a_gpu_is_seen(tmp_path):
    bench = gpu.Benchmark("cpu", "tiny", 1, 60.0, tmp_path / "r.json")
    stepper = bench.stepper(batch=4)
    assert gpu.condition(bench, "ours", stepper)["captured"] is False
    assert bench.results["errors"] == {}, "on a CPU nothing else is expected"
    bench.clock.cuda = True
    gpu.condition(bench, "eager", stepper, compiled=False, graph=False)
    assert bench.results["errors"] == {}
    gpu.condition(bench, "ours", stepper)
    assert set(bench.results["errors"]) == {"ours, captured", "ours, compiled"}


def test_warnings_of_the_step_are_kept():
    heard = []
    with gpu.heard(heard):
        gpu.logging.getLogger("icl_lab").warning("eager steps: %s", "no graph")
        gpu.logging.getLogger("icl_lab").info("not this")
    assert heard == ["eager steps: no graph"]


def test_the_machine_is_named(monkeypatch):
    class Properties:
        name, total_memory, multi_processor_count = "NVIDIA H200", 2**37, 132

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Properties)
    about = gpu.machine(torch.device("cuda"))
    assert (about["device"], about["memory_gib"], about["multiprocessors"]) == ("NVIDIA H200", 128, 132)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "needs a CUDA GPU, and PyTorch finds none; --device cpu rehearses it."),
        (["--device", "cpu", "--size", "tinny"], "Unknown size 'tinny'. Did you mean 'tiny'?"),
        (["--device", "cpu", "--rounds", "0"], "rounds must be greater than 0, got 0."),
        (["--device", "cpu", "--minutes", "-1"], "minutes must be greater than 0, got -1.0."),
    ],
)
def test_bad_input_is_one_sentence(monkeypatch, capsys, arguments, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main(arguments) == 2
    said = capsys.readouterr().err.strip()
    assert words in said
    assert "\n" not in said


# ---------------------------------------------------------------- what both are made of


def test_operations_of_a_step_as_pytorch_counts_them():
    """PyTorch counts all pairs of tokens in attention, we half of them; without attention both must agree."""
    batch = 3
    stepper = step.our_step(2, 32, 2, "pair", batch=batch)
    config = stepper.model.config
    stepper.forward = stepper.model.float()
    with FlopCounterMode(display=False) as counter:
        stepper.gradients()
    counts = counter.get_flop_counts()["Global"]
    products = sum(n for op, n in counts.items() if "attention" not in str(op))
    n = config.n_tokens
    attention = 3 * batch * config.n_layer * 4 * config.n_embd * n * (n + 1) / 2
    # The first layer needs no gradient of its input: a third of read_in's is not computed.
    unneeded = 2 * batch * n * config.token_width * config.n_embd
    expected = step.model_flops(config, batch) - attention
    drawing = 2 * batch * n * step.DIM
    assert products == pytest.approx(expected - unneeded, abs=2 * drawing)
    assert step.model_flops(config, 2 * batch) == 2 * step.model_flops(config, batch)


def test_the_peers_step_learns_and_draws_as_before():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    take = step.peer_step(1, 16, 1)
    first = take()
    assert first > 0
    assert isinstance(first, float)
    assert not torch.equal(before, torch.get_rng_state())


# ---------------------------------------------------------------- time to quality


def write_log(folder, errors, key="k20"):
    folder.mkdir(exist_ok=True)
    lines = [json.dumps({"step": 10 * i, "seconds": 10.5 * i, key: e}) for i, e in enumerate(errors)]
    (folder / "log.jsonl").write_text("\n".join([*lines, '{"step": 99, "k20": 0.0']))  # a kill cut the last line
    return folder


def test_seconds_until_the_error_was_below(tmp_path, capsys):
    run = write_log(tmp_path / "a", [1.0, 0.5, 0.019, 0.021, 0.02, 0.0199, 0.001])
    assert quality.first_below(run) == quality.first_below(run / "log.jsonl") == (21.0, 52.5)
    assert quality.first_below(run, error=0.6) == (10.5, 10.5)
    assert quality.first_below(run, error=0.0001) == (None, None)
    assert quality.first_below(write_log(tmp_path / "b", [0.5, 0.01, 0.5])) == (10.5, None)
    assert quality.first_below(write_log(tmp_path / "c", [0.01, 0.01])) == (0.0, 0.0)
    (run / "origin.json").write_text('{"seconds": 100.0}')  # a warm start
    assert quality.first_below(run) == (121.0, 152.5)
    (tmp_path / "c" / "card.json").write_text('{"started_from": {"seconds": 7.0}}')  # what comes home of one
    assert quality.first_below(tmp_path / "c") == (7.0, 7.0)
    assert quality.main([str(run), str(tmp_path / "b")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "after 121 s, for good after 152 s; 7 hours of Garg et al.'s training are 208 times as long" in said[0]
    assert "not to stay there" in said[1]


def test_a_log_that_says_nothing_is_one_sentence(tmp_path, capsys):
    with pytest.raises(InputError, match="has no error at k=20"):
        quality.first_below(write_log(tmp_path / "a", [0.1], key="k10"))
    with pytest.raises(InputError, match="Cannot read the log"):
        quality.first_below(tmp_path / "nothing")
    assert quality.main([str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err.startswith("benchmarks.quality: Cannot read")
