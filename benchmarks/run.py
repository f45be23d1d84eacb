"""All benchmarks: a table on the screen and ``benchmarks/results.json``. ``make bench`` runs it.

CPU seconds on one thread. Every comparison is between ours and the usual way, side by side in this run, so the ratios
hold on a shared machine as well, though not on every kind of machine: they depend on how fast it multiplies bfloat16.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for numpy, before it is imported

import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks import learners, step
from benchmarks.timing import processor, rounded
from icl_lab.precision import has_bf16

RESULTS = Path(__file__).with_name("results.json")


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


def main() -> None:
    torch.set_num_threads(1)
    results = {"machine": machine(), "unit": "CPU seconds, one thread", "comparisons": []}
    print(", ".join(f"{key}: {value}" for key, value in results["machine"].items()))
    print(f"{'':40s} {'ours':>9s} {'peer':>9s} {'ratio':>8s} {'wanted':>7s}   peer")
    for part in (step, learners):
        for row in part.rows():
            results["comparisons"].append(asdict(row))
            wanted = f"{row.wanted:.1f}x" if row.wanted else ""
            print(f"{row.name:40s} {row.ours:8.3f}s {row.peer:8.3f}s {row.ratio:7.2f}x {wanted:>7s}   {row.peer_name}")
    seconds = learners.sparse_bayes_seconds()
    results["SparseBayes, 1280 x 41, seconds"] = seconds
    print(f"{'SparseBayes, noise-free, 1280 x 41':40s} {seconds:8.3f}s   at most 10 s wanted")
    share = step.share()
    results["share of the bfloat16 matmul rate"] = asdict(share)
    print(
        f"standard step, pair: {share.gflops_per_step:.0f} GFLOP forward and backward in {share.seconds:.2f} s are "
        f"{share.share:.0%} of this machine's {share.matmul_gflops_per_second:.0f} GFLOP/s (bfloat16 matmul); at least "
        f"{share.wanted:.0%} wanted. With the optimizer's {share.gflops_optimizer:.0f} GFLOP counted: "
        f"{share.share_with_optimizer:.0%}. bfloat16 multiplies {share.formats:.1f}x as fast as float32 here."
    )
    RESULTS.write_text(json.dumps(rounded(results), indent=1) + "\n")


if __name__ == "__main__":
    main()
