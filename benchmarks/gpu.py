"""The training step on a GPU: what it takes, what it is made of, and the research's own step beside it, in one run.

    python3 -m benchmarks.gpu [--device cuda|cpu] [--size standard] [--rounds N] [--minutes M] [--out FILE]

Sections: steps (every way to take ours and the peers' construction, rounds taking turns), parts of a step, share of
the measured matmul rate at three batch sizes, kernels against launch gaps. The results file is written after each: a
section that fails says why, and the others go on. The whole is over in ``--minutes``; on a CPU it is a rehearsal.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from benchmarks import step
from benchmarks.timing import (
    Clock,
    TimeOver,
    alternate,
    captured,
    in_sequence,
    kernels,
    processor,
    rounded,
    time_limit,
)
from icl_lab.errors import InputError, positive, unknown
from icl_lab.files import writable_folder, write_atomic
from icl_lab.precision import pick_precision
from icl_lab.step import GRAPH_WARMUP, Stepper, root_cause
from icl_lab.transformer import SIZES

RESULTS = Path(__file__).with_name("results_gpu.json")
GOAL_MS, WANTED_RATIO = 4.0, 5.0
BATCHES = (64, 256, 1024)
MATMUL = {"cuda": 8192, "cpu": 512}  # n of the n x n x n product that stands for the machine's rate
REPEAT = {"cuda": 20, "cpu": 1}  # steps in a row in every round
PROFILED = {"cuda": 5, "cpu": 1}  # steps under the profiler
OURS, PEER = "captured", "peer"
VARIANTS = {  # of our step: optimizer, compiled, captured in a CUDA graph
    OURS: ("muon", True, True),
    "eager": ("muon", False, False),
    "compiled, not captured": ("muon", True, False),
    "captured, AdamW alone": ("adamw", True, True),
}
BY = {"preparing": 0.55, "steps": 0.65, "parts": 0.72, "share": 0.82}  # of the minutes: when each must be over


class Benchmark:
    """One run: the device, the results so far, and the steps that several sections share."""

    def __init__(self, device: str, size: str, rounds: int, seconds: float, out: Path) -> None:
        self.clock = Clock(torch.device(device))
        self.size, self.shape, self.rounds, self.out = size, SIZES[size], rounds, out
        self.repeat = REPEAT[device]
        self.begin, self.limit = time.monotonic(), seconds
        self.steps: dict[str, Callable[[], object]] = {}
        self.parts: dict[str, Callable[[], object]] = {}
        self.preparation = 0.0  # seconds of the slowest so far
        settings = {"size": size, "batch": step.BATCH, "d": step.DIM, "points": step.N_POINTS, "tokens": "pair"}
        settings |= {"rounds": rounds, "steps_in_a_round": self.repeat}
        self.results: dict[str, Any] = {"machine": machine(self.clock.device), "settings": settings, "errors": {}}
        self.results["warnings"] = []

    def save(self) -> None:
        self.results["seconds"] = time.monotonic() - self.begin
        write_atomic(self.out, (json.dumps(rounded(self.results), indent=1) + "\n").encode())

    def run(self) -> None:
        """All sections; a section that fails or finds no time leaves a sentence, and what it has."""
        for name, section in (("steps", steps), ("parts", parts), ("share", share), ("kernels", made_of)):
            try:
                section(self)
            except TimeOver:
                self.failed(name, "the time was over")
                return
            except Exception as error:
                self.failed(name, root_cause(error))
            self.save()

    def failed(self, what: str, why: str) -> None:
        self.results["errors"][what] = why
        print(f"{what}: {why}")
        self.save()

    def by(self, what: str) -> float:
        """When this must be over (time.monotonic)."""
        return self.begin + BY[what] * self.limit

    def too_late(self, what: str, by: str) -> bool:
        """Whether one more preparation would take too long; says so."""
        late = time.monotonic() + self.preparation > self.by(by)
        if late:
            self.failed(what, "no time was left for it")
        return late

    def prepare(self, call: Callable[[], object]) -> float:
        """Past compilation and capture; returns the seconds."""
        start = time.monotonic()
        for _ in range(GRAPH_WARMUP + 2 if self.clock.cuda else 1):
            call()
        self.clock.wait()
        seconds = time.monotonic() - start
        self.preparation = max(self.preparation, seconds)
        return seconds

    def stepper(self, optimizer: str = "muon", compiled: bool = True, batch: int | None = None) -> Stepper:
        batch = batch or step.BATCH
        return step.our_step(*self.shape, "pair", optimizer, self.clock.device, batch, compiled)


# ---------------------------------------------------------------- sections


def steps(bench: Benchmark) -> None:
    """Every variant of our step and the peers', in rounds that take turns: wall-clock milliseconds and the ratio."""
    rows = bench.results["steps"] = {}
    for name in (OURS, PEER, *[name for name in VARIANTS if name != OURS]):
        if name == OURS or not bench.too_late(name, "preparing"):
            with excused(bench, name):
                rows[name] = peers_step(bench) if name == PEER else our_step(bench, name)
    if not bench.steps:
        raise RuntimeError("no step could be prepared")
    times = alternate(bench.steps, bench.clock, bench.rounds, bench.repeat, bench.by("steps"))
    print(f"{'step':26s} {'median':>10s} {'fastest':>10s} {'slowest':>10s} {'between events':>15s}")
    for name, each in times.items():
        row = rows[name] = rows[name] | each.row()
        fields = [f"{row[key]:7.2f} ms" for key in ("ms", "fastest_ms", "slowest_ms")]
        print(f"{name:26s} {' '.join(fields)} {row['ms_between_events']:12.2f} ms")
    if OURS in times:
        ms = rows[OURS]["ms"]
        bench.results["goal"] = {"ms": ms, "wanted_ms": GOAL_MS, "reached": ms <= GOAL_MS}
        print(f"{OURS}: {ms:.2f} ms of {GOAL_MS:g} ms wanted")
    if OURS in times and PEER in times:
        ratios = [theirs / ours for ours, theirs in zip(times[OURS].wall, times[PEER].wall, strict=True)]
        ratio = statistics.median(ratios)
        bench.results["ratio"] = {"ratio": ratio, "wanted": WANTED_RATIO, "least": min(ratios), "most": max(ratios)}
        print(f"the peers' construction takes {ratio:.1f} times as long; at least {WANTED_RATIO:g} wanted")


def our_step(bench: Benchmark, name: str) -> dict[str, Any]:
    """Get a variant of ours ready; what is known of it then."""
    optimizer, compiled, graph = VARIANTS[name]
    stepper = bench.stepper(optimizer, compiled)
    stepper.graph_wanted &= graph
    seconds = bench.prepare(stepper)
    bench.steps[name] = stepper
    return {"startup_s": seconds, **condition(bench, name, stepper, compiled, graph)}


def peers_step(bench: Benchmark) -> dict[str, Any]:
    """Get the peers' ready. Their matmul precision is PyTorch's default, ``highest``: no TF32."""
    peer = step.peer_step(*bench.shape, bench.clock.device)
    seconds = bench.prepare(peer)
    bench.steps[PEER] = peer
    return {"startup_s": seconds, "precision": f"float32, matmul precision {torch.get_float32_matmul_precision()}"}


def parts(bench: Benchmark) -> None:
    """Drawing prompts, gradients (drawing included) and the update, each captured by itself, one after the other."""
    stepper = bench.stepper()
    for _ in range(GRAPH_WARMUP):
        stepper()
    stepper.graph_wanted = False
    kept: dict[str, Any] = {}

    def gradients() -> None:
        kept["loss"] = stepper.gradients()

    calls = {"draw": stepper.draw, "gradients": gradients, "update": lambda: stepper.update(kept["loss"])}
    for name, call in calls.items():  # in this order: the update needs the gradients' tensors
        bench.parts[name] = captured(call, bench.clock.device)
        bench.parts[name]()
    found = in_sequence(bench.parts, bench.clock, bench.rounds, bench.repeat, bench.by("parts"))
    bench.results["parts"] = {name: {"ms": 1e3 * seconds} for name, seconds in found.items()}
    print("of a step: " + ", ".join(f"{name} {1e3 * seconds:.2f} ms" for name, seconds in found.items()))


def share(bench: Benchmark) -> None:
    """What part of the rate of one large matrix product the captured step reaches, by batch size, taking turns."""
    device = bench.clock.device
    n = MATMUL[device.type]
    dtype = pick_precision(device, bench.shape[1]).dtype or torch.float32
    a, b, c = (torch.randn(n, n, device=device).to(dtype) for _ in range(3))
    rows = bench.results["share"] = []
    for batch in BATCHES:
        name = f"share at batch {batch}"
        same = bench.steps.get(OURS) if batch == step.BATCH else None
        if not same and bench.too_late(name, "share"):
            continue
        with excused(bench, name):
            stepper = same or bench.stepper(batch=batch)
            bench.prepare(stepper)
            calls = {"step": stepper, "matmul": lambda: torch.mm(a, b, out=c)}
            times = alternate(calls, bench.clock, bench.rounds, bench.repeat, bench.by("share"))
            flops, extra = step.model_flops(stepper.model.config, batch), step.muon_flops(stepper.model.config)
            pairs = zip(times["step"].wall, times["matmul"].wall, strict=True)
            reached = statistics.median(flops / s / (2 * n**3 / m) for s, m in pairs)
            ms = times["step"].row()["ms"]
            row = {"batch": batch, "ms": ms, "share": reached, "share_with_optimizer": reached * (1 + extra / flops)}
            row |= {"prompts_per_second": 1e3 * batch / ms, "tflops_per_second": flops / ms / 1e9}
            row |= {"matmul_tflops_per_second": 2 * n**3 / times["matmul"].row()["ms"] / 1e9}
            rows.append(row | {"matmul": f"{n} x {n} x {n}, {dtype}", **condition(bench, name, stepper)})
            print(
                f"batch {batch:5d}: {ms:8.2f} ms, {row['tflops_per_second']:.3g} of "
                f"{row['matmul_tflops_per_second']:.3g} TFLOP/s ({dtype}): {reached:.1%}; with the optimizer's "
                f"products {row['share_with_optimizer']:.1%}"
            )
            bench.save()
            del stepper, calls


def made_of(bench: Benchmark) -> None:
    """Kernels of every step and part; what the wall clock shows beyond them are launch gaps."""
    found = kernels({**bench.steps, **bench.parts}, bench.clock, PROFILED[bench.clock.device.type])
    measured = bench.results.get("steps", {}) | bench.results.get("parts", {})
    bench.results["kernels"] = {}
    for name, each in found.items():
        row = asdict(each)
        if not each.count:
            bench.failed(f"kernels of {name}", "the profiler saw none")
            continue
        if "ms" in measured.get(name, {}):
            row["gaps_ms"] = measured[name]["ms"] - each.busy_ms
        bench.results["kernels"][name] = row
        kinds = ", ".join(f"{which} {ms:.2f}" for which, ms in each.kinds.items())
        gaps = f", gaps {row['gaps_ms']:.2f} ms" if "gaps_ms" in row else ""
        print(f"{name:26s} {each.count:6.0f} kernels, {each.ms:.2f} ms, busy {each.busy_ms:.2f} ms{gaps} ({kinds})")
    rows = bench.results["kernels"]
    if "gaps_ms" in rows.get(OURS, {}) and {"update", "draw"} <= rows.keys():
        whole, busy, gaps = measured[OURS]["ms"], rows[OURS]["busy_ms"], rows[OURS]["gaps_ms"]
        update, draw = rows["update"]["busy_ms"], rows["draw"]["busy_ms"]
        made = {"step_ms": whole, "kernels_ms": busy, "of_which_update_ms": update, "of_which_draw_ms": draw}
        bench.results["made_of"] = made | {"gaps_ms": gaps}
        print(
            f"{whole:.2f} ms of a captured step: {busy:.2f} ms kernels, {update:.2f} of them the update (clipping, "
            f"optimizer) and {draw:.2f} drawing prompts; {gaps:.2f} ms launch gaps"
        )


@contextlib.contextmanager
def excused(bench: Benchmark, what: str) -> Iterator[None]:
    """Within it an error is noted, and the section goes on."""
    try:
        yield
    except Exception as error:
        bench.failed(what, root_cause(error))


# ---------------------------------------------------------------- what the results say of machine and step


def condition(
    bench: Benchmark, name: str, stepper: Stepper, compiled: bool = True, graph: bool = True
) -> dict[str, Any]:
    """What became of a step: a failed compilation or capture is survived, and must be seen."""
    found = {"captured": stepper.graph is not None, "compiled": stepper.forward is not stepper.model}
    for what, wanted in (("captured", graph), ("compiled", compiled)):
        if bench.clock.cuda and wanted and not found[what]:
            bench.failed(f"{name}, {what}", "no, for the reason that the warnings give")
    return found | {"prompts_at_once": stepper.micro, "precision": stepper.precision.reason}


def machine(device: torch.device) -> dict[str, Any]:
    about = {"processor": processor(), "cores": os.cpu_count(), "python": platform.python_version()}
    about |= {"torch": torch.__version__, "cuda": torch.version.cuda, "device": device.type}
    with contextlib.suppress(PackageNotFoundError):
        about["transformers"] = version("transformers")
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        about |= {"device": properties.name, "memory_gib": properties.total_memory / 2**30}
        about |= {"multiprocessors": properties.multi_processor_count}
    return about


# ---------------------------------------------------------------- the command


@contextlib.contextmanager
def heard(warnings: list[str]) -> Iterator[None]:
    """Within it what the step warns of goes to the screen and into the list."""
    log, handler = logging.getLogger("icl_lab"), logging.Handler(logging.WARNING)

    def emit(record: logging.LogRecord) -> None:
        warnings.append(record.getMessage())
        print(f"warning: {record.getMessage()}")

    handler.emit = emit
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks.gpu", description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--size", default="standard", help="tiny, small or standard")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--minutes", type=float, default=3.6, help="what is not measured by then is left out")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    try:
        if options.size not in SIZES:
            raise unknown("size", options.size, SIZES)
        positive("rounds", options.rounds)
        positive("minutes", options.minutes)
        if options.device == "cuda" and not torch.cuda.is_available():
            raise InputError("This benchmark needs a CUDA GPU, and PyTorch finds none; --device cpu rehearses it.")
        writable_folder(options.out.absolute().parent)
    except InputError as error:
        print(f"benchmarks.gpu: {error}", file=sys.stderr)
        return 2
    return measure(options)


def measure(options: argparse.Namespace) -> int:
    """All sections within the minutes; 1 if something is missing from the results."""
    bench = Benchmark(options.device, options.size, options.rounds, 60 * options.minutes, options.out)
    rehearsal = "" if bench.clock.cuda else "A rehearsal: none of the numbers says anything of a GPU. "
    print(rehearsal + ", ".join(f"{key}: {value}" for key, value in rounded(bench.results["machine"]).items()))
    if bench.clock.cuda:  # every training has one batch size; three in one process must not share a compilation
        torch._dynamo.config.automatic_dynamic_shapes = False
    with heard(bench.results["warnings"]), contextlib.suppress(TimeOver), time_limit(60 * options.minutes):
        bench.run()
    bench.save()
    print(f"{options.out}, {bench.results['seconds']:.0f} s")
    return 1 if bench.results["errors"] else 0


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # what was said before a kill should be seen
    sys.exit(main())
