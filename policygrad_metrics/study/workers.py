"""Jobs in processes of their own, several at a time.

Compiling a program takes longer than most trainings and one core only, and TensorFlow never frees
what it compiled: some 18 MB a program. So every job goes to one of a few processes, and each of
them is replaced by a fresh one after `JOBS_PER_PROCESS` jobs. Only the parent writes to the disk.
A process that loses its parent, however that ended, ends too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.records import Run, StudyError
from policygrad_metrics.study.settings import StudySettings

if TYPE_CHECKING:
    from policygrad_metrics.study.plan import Job

#: Bounds the memory of a process to about a gigabyte.
JOBS_PER_PROCESS = 40
#: Fewer jobs than this that train networks are not worth the start of other processes.
FEW_JOBS = 6


@dataclasses.dataclass(frozen=True)
class Todo:
    """A job, the seeds that it lacks, and what it counts for in the whole."""

    job: Job
    missing: tuple[int, ...]
    share: float


class _Said(Progress):
    """Keeps what is said, for the parent to say."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def say(self, text: str) -> None:
        self.texts.append(text)


def processes_for(todos: Sequence[Todo], asked: int | None) -> int:
    """Return how many processes to use; 0 for none but this one.

    Args:
        todos: What is to be done.
        asked: A number that was asked for; None for as many as there are cores.
    """
    networks = sum(todo.job.method.build is not None for todo in todos)
    if asked is not None:
        return min(asked, len(todos))
    return min(_cores(), networks // 2) if networks >= FEW_JOBS else 0


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only some systems know which cores a process may use
        return os.cpu_count() or 1


def longest_first(todos: Sequence[Todo]) -> list[Todo]:
    """Return the jobs so that no long one is left for the end, when the other cores are idle.

    Boosting grows with rows, features and classes (minutes on images), while a network's program
    takes most of its time to compile, about the same on all data. So the data sets go by that
    product, the largest first and each in one piece, and the methods without a network first.
    No run depends on the order.
    """

    def order(todo: Todo) -> tuple[int, str, bool]:
        dataset = todo.job.dataset
        features = len(dataset.numeric_names) + len(dataset.categorical_names)
        numbers = len(dataset) * features * len(dataset.class_names)
        return -numbers, dataset.name, todo.job.method.build is not None

    return sorted(todos, key=order)


def train_in_processes(
    todos: Sequence[Todo], settings: StudySettings, processes: int, progress: Progress
) -> Iterator[Run]:
    """Train what is to be done in other processes and yield the runs as their jobs finish.

    Args:
        todos: What is to be done.
        settings: Everything that the jobs were made from.
        processes: How many at a time.
        progress: Is told how far it is.

    Raises:
        StudyError: A process ended before its job did.
        RuntimeError: A job failed; with the traceback from its process.
    """
    left = longest_first(todos)[::-1]
    threads = max(1, _cores() // processes)
    busy: dict[Connection, tuple[_Process, Todo]] = {}

    def give(process: _Process | None) -> None:
        """Give the next job to a process, a fresh one if it is worn out."""
        if process is not None and (not left or process.jobs >= JOBS_PER_PROCESS):
            process.end()
            process = None
        if left:
            process = process or _Process(settings, threads)
            todo = left.pop()
            progress.working_on(todo.job.label)
            process.give(todo)
            busy[process.connection] = process, todo

    try:
        for _ in range(min(processes, len(left))):
            give(None)
        while busy:
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                process, todo = busy.pop(ready)
                runs, said = process.take(todo)
                for text in said:
                    progress.say(text)
                yield from runs
                progress.advance(todo.share)
                give(process)
    finally:
        for process, _ in busy.values():
            process.kill()


class _Process:
    """A process of its own and the line to it."""

    def __init__(self, settings: StudySettings, threads: int):
        # A fresh interpreter: TensorFlow does not survive a fork.
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, settings, threads), daemon=True)
        self._process.start()
        other.close()
        self.jobs = 0

    def give(self, todo: Todo) -> None:
        self.jobs += 1
        # A process that has died is noticed when it is asked for the runs.
        with contextlib.suppress(BrokenPipeError):
            self.connection.send((todo.job.dataset.name, todo.job.method.name, todo.missing))

    def take(self, todo: Todo) -> tuple[list[Run], list[str]]:
        try:
            runs, said, failure = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            code = self._process.exitcode or 0
            why = (
                f"was ended by signal {-code}, as a system does that is short of memory: try "
                "--workers 1"
                if code < 0
                else f"ended with exit code {code}; what it wrote is above"
            )
            raise StudyError(
                f"the process that trained {todo.job.label} {why}. Finished runs are kept, and "
                "the same command goes on from them.",
                running=True,
            ) from None
        if failure:
            self.kill()
            raise RuntimeError(f"{todo.job.label} failed:\n{failure}")
        return runs, said

    def end(self) -> None:
        self.connection.close()
        self._process.join()

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


def _end_with_parent() -> None:
    """End at once when the parent has ended, in the middle of a long job as well."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _serve(connection: Connection, settings: StudySettings, threads: int) -> None:
    """What a process does: start TensorFlow, then one job after the other until the line ends."""
    # The parent hears Control-C too, and ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from threadpoolctl import threadpool_limits

    from policygrad_metrics.study.quiet import quiet_start, start_tensorflow

    start_tensorflow(threads)
    with quiet_start():
        from policygrad_metrics.study.cases import Cases
        from policygrad_metrics.study.plan import plan
        from policygrad_metrics.study.train import train_job
    threadpool_limits(threads)  # those of scikit-learn
    jobs = {(job.dataset.name, job.method.name): job for job in plan(settings, settings.datasets())}
    cases: Cases | None = None
    while True:
        try:
            data, method, missing = connection.recv()
        except EOFError:
            return
        job, said = jobs[data, method], _Said()
        answer: tuple[list[Run], list[str], Any]
        try:
            if cases is None or cases.dataset is not job.dataset:
                cases = Cases(job.dataset, settings)
            answer = list(train_job(job, settings, cases, missing, said, 0.0)), said.texts, None
        except Exception:  # whatever it is, the parent tells it
            answer = [], said.texts, traceback.format_exc()
        try:
            connection.send(answer)
        except BrokenPipeError:
            return
