"""All benchmarks, or some of them: a table on the screen and ``benchmarks/results.json``. ``make bench`` runs all.

    python -m benchmarks.run [step] [learners] [baselines] [sampling] [evaluation] [grading]

Parts that are not named keep the results that they have. CPU seconds on one thread, two to four minutes for all of
them. Every comparison is between ours and the usual way, side by side in this run, so the ratios hold on a shared
machine as well, though not on every kind of machine: they depend on how fast it multiplies bfloat16. The machine is
written with every part. What the classical learners' errors are, beside the published ones: ``benchmarks.garg``.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for numpy, before it is imported

import platform
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks import baselines, evaluation, grading, learners, sampling, step
from benchmarks.timing import processor, rounded
from icl_lab.errors import InputError, unknown
from icl_lab.files import read_json, write_json
from icl_lab.precision import has_bf16

RESULTS = Path(__file__).with_name("results.json")
UNIT = "CPU seconds, one thread"


def machine() -> dict[str, Any]:
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "bfloat16 in hardware": has_bf16(torch.device("cpu")),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def sparse_bayes() -> dict[str, Any]:
    seconds = learners.sparse_bayes_seconds()
    print(f"{'SparseBayes, noise-free, 1280 x 41':56s} {shown(seconds)}   at most 10 s wanted")
    return {"SparseBayes, 1280 x 41, seconds": seconds}


def matmul_share() -> dict[str, Any]:
    share = step.share()
    print(
        f"standard step, pair: {share.gflops_per_step:.0f} GFLOP forward and backward in {share.seconds:.2f} s are "
        f"{share.share:.0%} of this machine's {share.matmul_gflops_per_second:.0f} GFLOP/s (bfloat16 matmul); at least "
        f"{share.wanted:.0%} wanted. With the optimizer's {share.gflops_optimizer:.0f} GFLOP counted: "
        f"{share.share_with_optimizer:.0%}. bfloat16 multiplies {share.formats:.1f}x as fast as float32 here."
    )
    return {"share of the bfloat16 matmul rate": asdict(share)}


def nothing() -> dict[str, Any]:
    return {}


PARTS: dict[str, tuple[Callable[[], list[Any]], Callable[[], dict[str, Any]]]] = {  # comparisons, and what else
    "step": (step.rows, matmul_share),
    "learners": (learners.rows, sparse_bayes),
    "baselines": (baselines.rows, nothing),
    "sampling": (sampling.rows, nothing),
    "evaluation": (evaluation.rows, nothing),
    "grading": (grading.rows, grading.more),
}


def shown(seconds: float) -> str:
    return f"{seconds:8.3f} s " if seconds >= 1 else f"{1e3 * seconds:8.3f} ms"


def run(names: list[str], path: Path = RESULTS) -> None:
    """Measure these parts, or all; the file is written after each. Raises InputError for a name that is none."""
    for name in names:
        if name not in PARTS:
            raise unknown("part of the benchmarks", name, PARTS)
    print(", ".join(f"{key}: {value}" for key, value in machine().items()))
    print(f"{'':56s} {'ours':>11s} {'peer':>11s} {'ratio':>9s} {'wanted':>7s}   peer")
    for name in [part for part in PARTS if part in names or not names]:
        comparisons, more = PARTS[name]
        part: dict[str, Any] = {"machine": machine(), "comparisons": []}
        for row in comparisons():
            part["comparisons"].append(asdict(row))
            wanted = f"{row.wanted:.1f}x" if row.wanted else ""
            times = f"{shown(row.ours)} {shown(row.peer)} {row.ratio:8.2f}x"
            print(f"{row.name:56s} {times} {wanted:>7s}   {row.peer_name}", flush=True)
        part |= more()
        found = read_json(path).get("parts", {}) | {name: part}
        ordered = {each: found[each] for each in PARTS if each in found}
        write_json(path, rounded({"unit": UNIT, "parts": ordered}))


def main() -> None:
    torch.set_num_threads(1)
    try:
        run(sys.argv[1:])
    except InputError as error:
        sys.exit(f"benchmarks.run: {error}")


if __name__ == "__main__":
    main()
