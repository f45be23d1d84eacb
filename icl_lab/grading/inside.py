"""What runs inside the sandbox: the cells of a notebook, then calls of the functions that they define.

A script of its own, on the standard library, numpy and IPython; no file of the course beside it tells an answer. A
supervisor forks a worker that runs the student's code and reports through a pipe. If the worker hangs or dies, the
step that it was in is skipped and a new worker runs the rest. Standard input: the job as JSON; standard output: one
JSON object. Whatever a student does here can change the answers that come out, and nothing else.
"""

import contextlib
import json
import os
import resource
import select
import signal
import sys
import time

REASON = 300  # characters of an error that are kept
LINE = 4_000_000  # bytes of one report
RERUNS = 3


def main():
    job = json.loads(sys.stdin.buffer.read())
    if not job.get("unsafe"):
        from confine import confine

        confine()
    for stream, mode in ((0, os.O_RDONLY), (2, os.O_WRONLY)):
        os.dup2(os.open(os.devnull, mode), stream)
    out = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.set_inheritable(out, False)
    report = supervise(job, out)
    data = json.dumps(report, allow_nan=False).encode()
    while data:
        data = data[os.write(out, data) :]
    os._exit(0)


def supervise(job, out):
    """Run workers until every step is done, skipped, or the notebook's time is over."""
    import IPython.core.interactiveshell  # noqa: F401  imported once, before the fork
    import numpy  # noqa: F401

    deadline = time.monotonic() + job["limits"]["notebook"]
    found = {"cells": {}, "answers": {}, "ended": []}
    skip, asked = set(), names_of(job)
    for _ in range(RERUNS + 1):
        at, why = watch(job, skip, found, asked, deadline, out)
        if not job.get("unsafe"):
            end_all()
        if why is None:
            break
        found["ended"].append([at, why])
        if at is None or why == "notebook time":
            break
        skip.add(at)
    found["cpu"] = round(sum(os.times()[:4]), 3)  # seconds of this process and of what it waited for
    return found


def names_of(job):
    """The answers that are asked for; whatever else a submission reports is not kept."""
    names = set()
    for question in job["questions"]:
        names.add(question["id"])
        names.update(f"{question['id']} {probe['name']}" for probe in question.get("probes", ()))
    return names


def end_all():
    """What the worker left behind goes too: in here everything but the first process and this one is the student's."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(-1, signal.SIGKILL)


def watch(job, skip, found, asked, deadline, out):
    """One worker: (the step that it ended in, why), or (None, None) when it came to its end."""
    reader, writer = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.close(reader)
        os.close(out)  # the way out is the supervisor's alone
        try:
            work(job, skip, writer)
        finally:
            os._exit(0)
    os.close(writer)
    limit, step, since, pending, done = job["limits"]["cell"], None, time.monotonic(), b"", False
    why = "the process ended"
    while True:
        now = time.monotonic()
        if now > deadline:
            why = "notebook time"
            break
        if step is not None and now - since > limit + 2:
            why = "cell time"
            break
        ready, _, _ = select.select([reader], [], [], 0.2 if worker else 0)
        if not ready:
            if worker is None:
                break
            if os.waitpid(worker, os.WNOHANG)[0]:
                worker = None  # once more around: its last words may be in the pipe
            continue
        piece = os.read(reader, 65536)
        pending += piece
        if not piece or len(pending) > LINE:
            why = "too much output" if piece else why
            break
        *lines, pending = pending.split(b"\n")
        for line in lines:
            said = understood(line)
            if isinstance(said.get("start"), str):
                step, since = said["start"][:80], time.monotonic()
            elif "done" in said:
                done = True
            elif type(said.get("cell")) is int and 0 <= said["cell"] < len(job["cells"]):
                error = said.get("error")
                found["cells"][str(said["cell"])] = error[:REASON] if isinstance(error, str) else ""
            elif isinstance(said.get("answer"), str) and said["answer"] in asked:
                found["answers"][said["answer"]] = said.get("is")
    os.close(reader)
    if worker is not None:
        try:
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
    return (None, None) if done else (step, why)


def understood(line):
    """A report, or an empty one if it is none: the student's code shares the pipe."""
    try:
        said = json.loads(line, parse_constant=lambda name: None)
        json.dumps(said, allow_nan=False)  # 1e999 and a deep nest would end the last report
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


class TimeIsOver(BaseException):
    """Not an Exception, so that a bare ``except Exception`` in a submission does not swallow it."""


def work(job, skip, pipe):
    """The worker: limits, cells, calls. Everything below this line may be in the student's hands."""
    limits = job["limits"]
    for name, value in (
        ("AS", limits["address"]),
        ("DATA", limits["data"]),
        ("CPU", limits["cpu"]),
        ("FSIZE", limits["file"]),
        ("NPROC", limits["processes"]),
        ("NOFILE", 128),
        ("CORE", 0),
    ):
        if name == "NPROC" and job.get("unsafe"):
            continue  # there it would count everything that the teacher runs
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    dumps, write, clock = json.dumps, os.write, limits["cell"]

    def tell(**said):
        data = dumps(said, allow_nan=False).encode() + b"\n"
        if len(data) > LINE:
            data = (
                dumps({"answer": said.get("answer", ""), "is": {"error": "the answer is too large"}}).encode() + b"\n"
            )
        while data:
            data = data[write(pipe, data) :]

    def plain(value):
        value = encode(value)
        dumps(value, allow_nan=False)
        return value

    def message(error):
        try:
            return f"{type(error).__name__}: {str(error)[:REASON]}"
        except BaseException:  # an error of the student's own making
            return "an error that cannot be shown"

    def over(*_):
        raise TimeIsOver

    def timed(action):
        signal.signal(signal.SIGALRM, over)
        signal.setitimer(signal.ITIMER_REAL, clock)
        try:
            return action(), None
        except TimeIsOver:
            return None, f"it took longer than {clock:g} seconds"
        except BaseException as error:  # SystemExit and KeyboardInterrupt too
            return None, message(error)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    from IPython.core.interactiveshell import InteractiveShell

    from icl_lab.exercises.values import decode, encode

    shell = InteractiveShell.instance(colors="NoColor", history_load_length=0)
    shell.history_manager.enabled = False
    shell.showtraceback = shell.showsyntaxerror = lambda *_, **__: None
    for number, source in enumerate(job["cells"]):
        name = f"cell {number}"
        if name in skip:
            continue
        tell(start=name)
        ended, problem = timed(lambda source=source: shell.run_cell(source, store_history=False, silent=True))
        if problem is None:
            error = ended.error_before_exec or ended.error_in_exec
            if isinstance(error, TimeIsOver):
                problem = f"it took longer than {clock:g} seconds"
            elif error is not None:
                problem = " ".join(filter(None, timed(lambda error=error: message(error))))
        tell(cell=number, error=problem)
    names = shell.user_ns
    for question in job["questions"]:
        if question["name"] not in names:
            tell(answer=question["id"], **{"is": {"missing": question["name"]}})
            continue
        answer = names[question["name"]]
        if "probes" not in question:
            if question["id"] in skip:
                continue
            tell(start=question["id"])
            value, problem = timed(lambda answer=answer: plain(answer))
            tell(answer=question["id"], **{"is": {"error": problem} if problem else {"value": value}})
            continue
        for probe in question["probes"]:
            name = f"{question['id']} {probe['name']}"
            if name in skip:
                continue
            tell(start=name)
            value, problem = timed(lambda f=answer, given=probe["inputs"]: plain(f(**decode(given))))
            tell(answer=name, **{"is": {"error": problem} if problem else {"value": value}})
    tell(done=True)


if __name__ == "__main__":
    main()
