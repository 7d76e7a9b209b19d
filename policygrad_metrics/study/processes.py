"""An executor of processes that are replaced when they are worn out or die.

The work of a process that dies is done again by a fresh one. A process that loses its parent,
however that ended, ends too, in the middle of its work as well.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from multiprocessing.connection import Connection
from typing import Any


class Processes(Executor):
    """Processes of this machine, each a pool of its own, so that a death concerns one call only.

    Args:
        count: How many processes.
        calls_per_process: A fresh process replaces one that has done this many calls.
        most_deaths: A call that has ended this many processes fails with `BrokenExecutor`.
    """

    def __init__(self, count: int, *, calls_per_process: int, most_deaths: int):
        self._calls_per_process = calls_per_process
        self._most_deaths = most_deaths
        # A fresh interpreter: TensorFlow does not survive a fork.
        self._context = multiprocessing.get_context("spawn")
        # Nothing is sent over this pipe. Its end is the signal: this process has closed it or died.
        self._line, self._own_end = self._context.Pipe(duplex=False)
        self._idle: queue.SimpleQueue[ProcessPoolExecutor] = queue.SimpleQueue()
        self._count = count
        for _ in range(count):
            self._idle.put(self._pool())

    def _pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            1,
            mp_context=self._context,
            initializer=_live_as_long_as,
            initargs=(self._line,),
            max_tasks_per_child=self._calls_per_process,
        )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call the function in the next process that is idle; waits until there is one."""
        result: Future[Any] = Future()
        result.set_running_or_notify_cancel()
        self._begin(result, self._idle.get(), lambda pool: pool.submit(fn, *args, **kwargs), 0)
        return result

    def _begin(
        self,
        result: Future[Any],
        pool: ProcessPoolExecutor,
        call: Callable[[ProcessPoolExecutor], Future[Any]],
        deaths: int,
    ) -> None:
        def end(inner: Future[Any]) -> None:
            error, after = inner.exception(), pool
            if isinstance(error, BrokenExecutor):
                after = self._pool()
                if deaths + 1 < self._most_deaths and not self._own_end.closed:
                    self._begin(result, after, call, deaths + 1)
                    return
                error = BrokenExecutor(
                    f"{deaths + 1} processes ended in the middle of it, one after the other, as "
                    "they do where memory is short; try fewer at a time (--workers 1). What they "
                    "wrote is above."
                )
            self._idle.put(after)
            if error is None:
                result.set_result(inner.result())
            else:
                result.set_exception(error)

        try:
            inner = call(pool)
        except BrokenExecutor:  # the process died while it was idle
            pool = self._pool()
            inner = call(pool)
        inner.add_done_callback(end)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all processes at once; a call that is still running fails."""
        if not self._own_end.closed:
            self._own_end.close()
            for _ in range(self._count):
                self._idle.get().shutdown(wait)
            self._line.close()


def _live_as_long_as(line: Connection) -> None:
    """In a process, before its first call: end with the line, and leave Control-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def end() -> None:
        try:
            line.recv_bytes()
        finally:
            os._exit(1)

    threading.Thread(target=end, daemon=True).start()
