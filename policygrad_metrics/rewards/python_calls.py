"""Calls of a person's own Python function: checked, in parallel, remembered.

Worker processes import this module, so it must not import TensorFlow.
"""

from __future__ import annotations

import collections
import functools
import hashlib
import inspect
import math
import pickle
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

BACKENDS = ("processes", "threads")

#: Arguments of one call: truth, labels, and weights if there are any.
Arguments = tuple[np.ndarray, ...]


def call_checked(function: Callable[..., Any], name: str, arguments: Arguments) -> float:
    """Call `function(y_true, y_pred)`, with `sample_weight=` if there is a third argument.

    Raises:
        RuntimeError: the function raised an exception; the message repeats it.
        ValueError: it returned NaN, an infinite value, or no single number.

    >>> call_checked(lambda y_true, y_pred: (y_true == y_pred).mean(), "mine", (np.ones(2),) * 2)
    1.0
    """
    y_true, y_pred, *weights = arguments
    options = {"sample_weight": weights[0]} if weights else {}
    try:
        result = np.asarray(function(y_true, y_pred, **options))
    except Exception as error:
        weighted = " and sample_weight=" if weights else ""
        raise RuntimeError(
            f"the function of reward {name!r} raised {type(error).__name__}: {error}. It was "
            f"called with y_true and y_pred of shape {np.shape(y_true)}{weighted}."
        ) from error
    if result.size != 1 or not np.issubdtype(result.dtype, np.number):
        raise ValueError(
            f"reward {name!r} must return one number per call; it returned "
            f"{type(result.item() if result.size == 1 else result).__name__} of shape "
            f"{result.shape}. Average it, for example with average='macro'."
        )
    value = float(result.reshape(()))
    if not math.isfinite(value):
        raise ValueError(
            f"reward {name!r} must return a finite number; it returned {value} for "
            f"{len(y_pred)} examples with true classes {np.unique(y_true).tolist()} and "
            f"labels {np.unique(y_pred).tolist()}. Make it return a number there too, for "
            "example with zero_division=0."
        )
    return value


def takes_sample_weight(function: Callable[..., Any]) -> bool:
    """Whether a function can be called with `sample_weight=`.

    >>> takes_sample_weight(lambda y_true, y_pred: 0.0)
    False
    >>> from sklearn.metrics import f1_score
    >>> takes_sample_weight(f1_score)
    True
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # written in C, without a signature
        return False
    return any(p.name == "sample_weight" or p.kind is p.VAR_KEYWORD for p in parameters)


def _key(arguments):
    """A digest of arrays, their shapes and types."""
    digest = hashlib.blake2b(digest_size=20)
    for array in arguments:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


class Calls:
    """Many calls of one function at once; results come in order, however they were computed.

    Worker processes are joblib's: they start with the first parallel call, are shared and
    reused, end by themselves when idle and with the program, and receive lambdas and functions
    of `__main__` by value. Two of these are equal workers, not equal memories: copies and
    pickles start with an empty one.

    Args:
        function: `f(y_true, y_pred) -> float`, and `sample_weight=` if weights are given.
        name: the reward's, for messages.
        workers: calls made at the same time.
        backend: "processes" or "threads".
        cache: results kept, the least recently used forgotten first; 0 calls every time.

    >>> calls = Calls(lambda y_true, y_pred: (y_true == y_pred).mean(), "mine", cache=8)
    >>> calls([(np.array([0, 1]), np.array([0, 0])), (np.array([0, 1]), np.array([0, 1]))])
    array([0.5, 1. ])
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        workers: int = 1,
        backend: str = "processes",
        cache: int = 0,
    ):
        self.function, self.name = function, name
        self.workers, self.backend, self.cache = workers, backend, cache
        self._start()

    def _start(self):
        self._kept: collections.OrderedDict[bytes, float] = collections.OrderedDict()
        # TensorFlow may run two steps' functions at the same time.
        self._lock = threading.RLock()
        self.takes_weight = takes_sample_weight(self.function)
        #: What is found out once about the function; see `counted_calls.py`.
        self.known: set[str] = set()

    def __getstate__(self):
        names = ("function", "name", "workers", "backend", "cache")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._start()

    def __call__(self, arguments: Sequence[Arguments]) -> np.ndarray:
        """The function's values, float64 `[len(arguments)]`.

        Raises:
            RuntimeError, ValueError: see `call_checked`; or the function cannot be sent to other
                processes.
        """
        with self._lock:
            if not self.cache:
                return np.asarray(self._call(arguments), np.float64)
            keys = [_key(one) for one in arguments]
            found = {key: self._kept[key] for key in keys if key in self._kept}
            new = {k: one for k, one in zip(keys, arguments, strict=True) if k not in found}
            found.update(zip(new, self._call(list(new.values())), strict=True))
            for key in found:
                self._kept[key] = found[key]
                self._kept.move_to_end(key)
            while len(self._kept) > self.cache:
                self._kept.popitem(last=False)
            return np.asarray([found[key] for key in keys], np.float64)

    def _call(self, arguments: Sequence[Arguments]) -> list[float]:
        call = functools.partial(call_checked, self.function, self.name)
        if self.workers == 1 or len(arguments) < 2:
            return [call(one) for one in arguments]
        from joblib import Parallel, delayed

        backend = {"processes": "loky", "threads": "threading"}[self.backend]
        try:
            results: Any = Parallel(n_jobs=self.workers, backend=backend)(
                delayed(call)(one) for one in arguments
            )
            return list(results)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            # The function's own exceptions arrive as RuntimeErrors, so this one is the sending's.
            raise ValueError(
                f"the function of reward {self.name!r} cannot be sent to other processes "
                f"({error}). Use backend='threads', or a function that pickles."
            ) from error
