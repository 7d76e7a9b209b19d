"""Jobs through an executor: processes of this machine, or an executor of the caller, such as Dask.

Compiling a program takes longer than most trainings and one core only, and TensorFlow never frees
what it compiled: some 18 MB a program. So every job goes to one of a few processes, and each of
them is replaced by a fresh one after `JOBS_PER_PROCESS` jobs. A job travels with its data, and only
the parent writes to the disk. The job of a process that dies is done again by another one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import pickle
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import TYPE_CHECKING, Any

from policygrad_metrics.study.processes import Processes
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.records import Run, StudyError

if TYPE_CHECKING:
    from policygrad_metrics.study.plan import Job

#: Bounds the memory of a process to about a gigabyte.
JOBS_PER_PROCESS = 40
#: With fewer jobs that train networks, starting other processes takes longer than it saves.
FEW_JOBS = 6
#: A job is given up after it has ended this many processes.
MOST_DEATHS = 3
#: Seconds that a scheduler has to answer.
PATIENCE = 10


@dataclasses.dataclass(frozen=True)
class Todo:
    """A job, the seeds that it lacks, and what it counts for in the whole."""

    job: Job
    missing: tuple[int, ...]
    share: float


@dataclasses.dataclass(frozen=True)
class Done:
    """What a process returns: runs, messages, and the traceback of a failure."""

    runs: tuple[Run, ...]
    said: tuple[str, ...]
    failure: str = ""


class _Kept(Progress):
    """Progress that keeps the messages for the parent process."""

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
    networks = sum(todo.job.method.trains_network for todo in todos)
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
        return -numbers, dataset.name, todo.job.method.trains_network

    return sorted(todos, key=order)


def train_in_processes(todos: Sequence[Todo], count: int, progress: Progress) -> Iterator[Run]:
    """Train as `train_elsewhere` does, in processes that share the cores of this machine."""
    with Processes(count, calls_per_process=JOBS_PER_PROCESS, most_deaths=MOST_DEATHS) as pool:
        threads = max(1, _cores() // count)
        yield from train_elsewhere(todos, pool, progress, at_once=count, threads=threads)


def train_elsewhere(
    todos: Sequence[Todo],
    executor: Executor,
    progress: Progress,
    *,
    at_once: int | None = None,
    threads: int | None = None,
) -> Iterator[Run]:
    """Train what is to be done through an executor and yield the runs as their jobs finish.

    Args:
        todos: What is to be done.
        executor: Does the jobs; it stays open.
        progress: Is told how far it is.
        at_once: How many jobs the executor is given at a time; None for all.
        threads: With how many each of its processes computes; None for those of a Dask worker, or
            as TensorFlow likes.

    Raises:
        StudyError: The executor could not do a job.
        RuntimeError: A job failed; with the traceback from its process.
    """
    left = longest_first(todos)[::-1]
    running: dict[Future[Done], Todo] = {}
    try:
        while left or running:
            while left and (at_once is None or len(running) < at_once):
                todo = left.pop()
                progress.working_on(todo.job.label)
                pickled = pickle.dumps((todo.job, todo.missing))
                running[executor.submit(run_job, pickled, threads)] = todo
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                todo = running.pop(future)
                done = _result(future, todo)
                for text in done.said:
                    progress.say(text)
                yield from done.runs
                progress.advance(todo.share)
    finally:
        for future in running:
            future.cancel()


def _result(future: Future[Done], todo: Todo) -> Done:
    try:
        done = future.result()
    except Exception as error:  # the executor's own: a job's failure comes as a text
        why = str(error).rstrip(".") or type(error).__name__
        raise StudyError(f"{todo.job.label} was lost: {why}.", running=True) from error
    if done.failure:
        raise RuntimeError(f"{todo.job.label} failed:\n{done.failure}")
    return done


@contextlib.contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """Give the executor of a Dask cluster for as long as the context lasts.

    Args:
        address: Of its scheduler, such as "tcp://10.0.0.1:8786".

    Raises:
        ValueError: Dask is not installed.
        OSError: Nothing answers there.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ValueError(
            "a scheduler needs Dask: install policygrad-metrics[cluster], or leave it out."
        ) from None
    try:
        client = Client(address, timeout=PATIENCE)
    except OSError as error:
        raise OSError(
            f"no Dask scheduler answers at {address!r} ({error}); start one with `dask scheduler` "
            "and workers with `dask worker ADDRESS --nthreads 1`."
        ) from error
    with client:
        # Dask need not look for calls with equal arguments: each call is different.
        yield client.get_executor(pure=False)


# --- in the process that does a job -------------------------------------------------------------

#: A Dask worker can have several threads; two jobs in one process would wait for each other.
_one_at_a_time = threading.Lock()
_last_cases: Any = None


def run_job(pickled: bytes, threads: int | None) -> Done:
    """Train in this process, which needs nothing but the package.

    Args:
        pickled: A job and the seeds that are missing. To unpickle it imports
            TensorFlow, which has to be started quietly before.
        threads: As for `train_elsewhere`.
    """
    global _last_cases
    with _one_at_a_time:
        _start_quietly(threads or _threads_of_dask())
        from policygrad_metrics.study.train import train_job

        job, missing = pickle.loads(pickled)
        # Methods of one data set follow each other: what was prepared for one serves the next.
        if _last_cases is None or _last_cases.key != job.cases.key:
            _last_cases = job.cases
        job, said = dataclasses.replace(job, cases=_last_cases), _Kept()
        try:
            runs = tuple(train_job(job, missing, said))
        except Exception:  # the parent reports any failure
            return Done((), tuple(said.texts), traceback.format_exc())
        return Done(runs, tuple(said.texts))


@functools.cache
def _start_quietly(threads: int | None) -> None:
    """Start TensorFlow once, and limit its threads and those of scikit-learn."""
    from threadpoolctl import threadpool_limits

    from policygrad_metrics.study.quiet import quiet_start, start_tensorflow

    start_tensorflow(threads)
    with quiet_start():
        import policygrad_metrics.study.train  # noqa: F401
    threadpool_limits(threads)


def _threads_of_dask() -> int | None:
    """The threads that a Dask worker was started with; None in any other process."""
    distributed = sys.modules.get("distributed")
    with contextlib.suppress(ValueError):  # not in a worker
        return distributed.get_worker().state.nthreads if distributed else None
    return None
