"""Rounds that take turns: in CPU seconds, or on a GPU with the kernels of a profiler's trace.

A GPU works behind the host's back. So a round ends by waiting for it, and inside a round marks are CUDA events.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import platform
import re
import signal
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from icl_lab.errors import InputError

Call = Callable[[], object]
GPU_EVENTS, CPU_EVENTS = ("kernel", "gpu_memcpy", "gpu_memset"), ("cpu_op",)  # categories of a trace
LONG_ENOUGH = 0.03  # CPU seconds of a round, against the clock's grain and a cold start
RANGE, MARGIN = "bench: ", 0.002  # seconds around the work of a range: the clocks of host and device differ a little
KINDS = {  # what a kernel does, by its name; the first that fits
    "fused by the compiler": r"^triton",
    "attention": r"fmha|flash|attention|sdpa",
    "matrix products": r"gemm|gemv|nvjet|cutlass|xmma|cublas|splitk|addmm|::mm|::bmm",
    "lists of tensors (clipping, AdamW)": r"multi_tensor|foreach|adam",
    "copies": r"memcpy|memset|copy|CatArray",
}


class Clock:
    """Marks in the work of a device. On a CPU, which does its work when it is told, a mark is the time."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.cuda = device, device.type == "cuda"

    def wait(self) -> None:
        if self.cuda:
            torch.cuda.synchronize(self.device)

    def mark(self) -> Any:
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, begin: Any, end: Any) -> float:
        """Seconds between two marks that have been waited for."""
        return begin.elapsed_time(end) / 1000 if self.cuda else end - begin


@dataclass(frozen=True)
class Times:
    """Seconds of one call, a number for each round: by the wall clock, and between events on the device."""

    wall: list[float]
    device: list[float]

    def row(self) -> dict[str, Any]:
        """Milliseconds: medians, and the fastest and the slowest round."""
        return {
            "ms": 1e3 * statistics.median(self.wall),
            "ms_between_events": 1e3 * statistics.median(self.device),
            "fastest_ms": 1e3 * min(self.wall),
            "slowest_ms": 1e3 * max(self.wall),
            "rounds": len(self.wall),
        }


def in_time(rounds: int, until: float) -> Iterator[int]:
    """So many rounds; no new one is begun after ``until`` (time.monotonic), except the first."""
    for r in range(rounds):
        if r and time.monotonic() > until:
            return
        yield r


def alternate(
    calls: dict[str, Call], clock: Clock, rounds: int, repeat: int, until: float = math.inf
) -> dict[str, Times]:
    """In every round each call runs ``repeat`` times in a row; who begins changes from round to round."""
    times = {name: Times([], []) for name in calls}
    names = list(calls)
    for r in in_time(rounds, until):
        first = r % len(names)
        for name in names[first:] + names[:first]:
            call = calls[name]
            clock.wait()
            start, begin = time.perf_counter(), clock.mark()
            for _ in range(repeat):
                call()
            end = clock.mark()
            clock.wait()
            times[name].wall.append((time.perf_counter() - start) / repeat)
            times[name].device.append(clock.between(begin, end) / repeat)
    return times


def cpu_time(call: Call) -> float:
    """CPU time of this process in one call: what others do on the machine at the time does not count."""
    start = time.process_time()
    call()
    return time.process_time() - start


def cpu_rounds(calls: dict[str, Call], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of a call, a number for each round; a short call runs many times in a row, for LONG_ENOUGH.

    Who begins changes from round to round. Before the first every call runs once, for its start-up.
    """
    names, repeat = list(calls), {}
    for name, call in calls.items():
        first = cpu_time(call)
        again = first if first > LONG_ENOUGH else cpu_time(call)
        repeat[name] = max(1, math.ceil(LONG_ENOUGH / max(again, 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in names}
    for r in range(rounds):
        begin = r % len(names)
        for name in names[begin:] + names[:begin]:
            block = functools.partial(_in_a_row, calls[name], repeat[name])
            times[name].append(cpu_time(block) / repeat[name])
    return times


def _in_a_row(call: Call, repeat: int) -> None:
    for _ in range(repeat):
        call()


@dataclass(frozen=True)
class Row:
    """One comparison: median CPU seconds of both, and the median over rounds of how often ours fits into the peer's."""

    name: str
    peer_name: str
    ours: float
    peer: float
    ratio: float
    wanted: float | None = None  # the ratio that the project set itself


def compared(
    ours: dict[str, Call],
    peers: dict[str, Call],
    rounds: int,
    wanted: float | None = None,
    scale: float = 1.0,
) -> list[Row]:
    """Each of ours beside each of the peers' ways, all in the same rounds. scale: what the seconds are multiplied by.

    Raises InputError when a name is met twice.
    """
    if ours.keys() & peers.keys():
        raise InputError(f"Names must differ between ours and the peers', got {sorted(ours.keys() & peers.keys())}.")
    times = cpu_rounds(ours | peers, rounds)
    middle = {name: scale * statistics.median(each) for name, each in times.items()}
    rows = []
    for name in ours:
        for peer in peers:
            ratio = statistics.median(p / o for o, p in zip(times[name], times[peer], strict=True))
            rows.append(Row(name, peer, middle[name], middle[peer], ratio, wanted))
    return rows


def in_sequence(
    calls: dict[str, Call], clock: Clock, rounds: int, repeat: int, until: float = math.inf
) -> dict[str, float]:
    """Median seconds between events of calls that need each other and run one after the other."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in in_time(rounds, until):
        marks = []
        for _ in range(repeat):
            marks.append([clock.mark()])
            for call in calls.values():
                call()
                marks[-1].append(clock.mark())
        clock.wait()
        for i, name in enumerate(calls):
            found[name].append(statistics.mean(clock.between(m[i], m[i + 1]) for m in marks))
    return {name: statistics.median(values) for name, values in found.items()}


def captured(call: Call, device: torch.device) -> Call:
    """The call as one CUDA graph to be replayed; on a CPU the call itself. It must have run before."""
    if device.type != "cuda":
        return call
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


class TimeOver(BaseException):
    """The minutes are over. No Exception: what catches those to try something else must not catch this."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Within it TimeOver is raised after so many seconds, again and again until it has been heard."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(*_: object) -> None:
        raise TimeOver

    previous = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds, 5.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, previous)


# ---------------------------------------------------------------- kernels


@dataclass(frozen=True)
class Kernels:
    """What the device did in one call. ms: sum of all durations; busy_ms: while at least one ran; kinds: ms of each."""

    count: float
    ms: float
    busy_ms: float
    kinds: dict[str, float]


def kernels(calls: dict[str, Call], clock: Clock, repeat: int) -> dict[str, Kernels]:
    """Profile the calls, ``repeat`` times each, all in one session that begins with work that does not count.

    CUPTI before CUDA 13.1 gives the first kernels of a session wrong times, more of them with every session of a
    process, and after a session that held nothing it records nothing at all. Profile last: timing after it may suffer.
    """
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if clock.cuda else [])]
    ranges = {"before": next(iter(calls.values())), **calls}
    with profile(activities=activities) as session:
        for name, call in ranges.items():
            clock.wait()
            with record_function(RANGE + name):
                time.sleep(MARGIN)
                for _ in range(repeat):
                    call()
                clock.wait()
                time.sleep(MARGIN)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        session.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    return from_trace(events, calls, GPU_EVENTS if clock.cuda else CPU_EVENTS, repeat)


def from_trace(
    events: list[dict[str, Any]], names: Iterable[str], categories: tuple[str, ...], repeat: int
) -> dict[str, Kernels]:
    """Events of a Chrome trace (times in microseconds) that lie in the middle of a range, by the range's name."""
    whole = [e for e in events if e.get("ph") == "X" and "dur" in e]
    ranges = {e["name"]: e for e in whole if e.get("cat") == "user_annotation"}
    work = [e for e in whole if e.get("cat") in categories]
    found = {}
    for name in names:
        begin = ranges[RANGE + name]["ts"]
        end = begin + ranges[RANGE + name]["dur"]
        inside = [e for e in work if begin <= e["ts"] + e["dur"] / 2 <= end]
        kinds: Counter[str] = Counter()
        for e in inside:
            kinds[kind(e["name"])] += e["dur"]
        found[name] = Kernels(
            len(inside) / repeat,
            sum(e["dur"] for e in inside) / repeat / 1e3,
            union((e["ts"], e["ts"] + e["dur"]) for e in inside) / repeat / 1e3,
            {each: us / repeat / 1e3 for each, us in kinds.most_common()},
        )
    return found


def union(intervals: Iterable[tuple[float, float]]) -> float:
    """The length of what intervals cover together."""
    covered, reached = 0.0, float("-inf")
    for begin, end in sorted(intervals):
        covered += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return covered


def kind(name: str) -> str:
    """What a kernel does."""
    return next((each for each, words in KINDS.items() if re.search(words, name, re.IGNORECASE)), "other")


# ---------------------------------------------------------------- for the results


def processor() -> str:
    """The processor's name, as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def rounded(value: Any) -> Any:
    """Numbers to four digits, at any depth."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(v) for key, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, list) else value
