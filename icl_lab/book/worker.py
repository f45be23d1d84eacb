"""Run one chapter by papermill, in a process of its own (papermill changes the working directory).

The job comes as JSON on standard input; progress and the outcome go, one marked line of JSON each, to standard output.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec

REPORT = "icl-lab-book "  # what each line of a report begins with


class OwnKernelManager(AsyncKernelManager):
    """Starts a kernel of the Python that runs the build, whatever kernels are installed on the machine."""

    argv = (sys.executable, "-m", "icl_lab.book.kernel", "-f", "{connection_file}")

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(argv=list(self.argv), display_name="icl_lab", language="python")

    async def _async_start_kernel(self, **options: object) -> None:
        await super()._async_start_kernel(**{"stdout": sys.stderr, **options})
        report(kernel=self.provisioner.pid if self.provisioner else None)

    start_kernel = _async_start_kernel


def report(**what: object) -> None:
    print(REPORT + json.dumps(what), flush=True)


def run(job: dict) -> None:
    """Execute ``job["source"]`` into ``job["output"]``; report each cell, then how it ended."""
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import execute_notebook

    started = [0]

    def cell_started(cell: dict, cell_index: int) -> None:
        started[0] = cell_index
        report(cell=cell_index)

    own_kernel = {"kernel_manager_class": OwnKernelManager} if job["kernel"] is None else {}
    try:
        execute_notebook(
            job["source"],
            job["output"],
            parameters=job["parameters"],
            kernel_name=job["kernel"] or "python3",
            language="python",
            progress_bar=False,
            cwd=job["cwd"],
            start_timeout=120,
            iopub_timeout=60,
            on_cell_start=cell_started,
            **own_kernel,
        )
    except PapermillExecutionError as error:
        cell = source_cell(Path(job["output"]), error.cell_index)
        report(failed=cell, error=f"{error.ename}: {error.evalue}", traceback="\n".join(error.traceback))
    except Exception as error:
        cell = source_cell(Path(job["output"]), started[0])
        report(failed=cell, error=f"{type(error).__name__}: {error}", traceback="")
    else:
        left = unrun(Path(job["output"]))
        report(**({"done": True} if left is None else {"failed": left, "error": "it never ran: sys.exit() before it"}))


def unrun(output: Path) -> int | None:
    """The first code cell that has no number, in the source's count: papermill takes sys.exit(0) for a good end."""
    cells = json.loads(output.read_text(encoding="utf-8"))["cells"]
    for index, cell in enumerate(cells):
        if cell["cell_type"] == "code" and "".join(cell["source"]).strip() and cell["execution_count"] is None:
            return source_cell(output, index)
    return None


def source_cell(output: Path, index: int) -> int:
    """The number, in the source and counted from 0, of cell ``index`` of the notebook that ran."""
    cells = json.loads(output.read_text(encoding="utf-8"))["cells"]
    tags = [cell["metadata"].get("tags", []) for cell in cells]
    ran = [names for names in tags if "papermill-error-cell-tag" not in names]
    return index - sum("injected-parameters" in names for names in ran[:index])


def end_with(parent: int) -> None:
    """End this process when the build that started it is gone, killed say; its kernel then ends by itself too."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    run(json.load(sys.stdin))
