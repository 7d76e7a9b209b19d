"""Any Python function as a reward."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.checks import choose
from policygrad_metrics.rewards.base import Reward
from policygrad_metrics.rewards.bound import Opaque
from policygrad_metrics.rewards.counted_calls import CountedCalls
from policygrad_metrics.rewards.gathered import bind_gathered
from policygrad_metrics.rewards.python_calls import BACKENDS, Calls, call_checked

#: Confusion matrices whose reward is remembered with `counts=True`.
KEPT_MATRICES = 65536


@dataclasses.dataclass(frozen=True)
class BlackBox(Reward):
    """Any Python function of truth and labels, scikit-learn's metric functions included.

    It is called once per sampled label set, with numpy arrays, and never differentiated. It
    cannot be compiled by XLA: compile a Keras model with `jit_compile=False`.

    With `counts=True` you promise that only the confusion matrix matters, not which example got
    which label. Then what every possible change of one label does to the reward costs
    K^2 (K - 1) + 1 calls per label set, whatever B is (fewer, as matrices come back and are
    remembered), local expectation serves the reward, and a function that takes `sample_weight=`
    is called on at most K x K weighted cells instead of B examples. The first batch tests the
    promise on rearranged labels. With sample weights there are as many changes for each
    different weight of a cell; class weights cost nothing more.

    Args:
        function: `f(y_true, y_pred) -> float`, larger is better; `y_true` and `y_pred` have the
            sites' shape `[N]`, or `[N, L]` for multi-label data. If weights are given it is
            called with `sample_weight=` as well.
        label: name shown in logs.
        counts: whether the function depends on the confusion matrix alone.
        workers: calls made at the same time. Results do not depend on it.
        backend: "processes" (joblib's; for functions written in Python) or "threads" (for
            functions that wait, or that leave Python: numpy on large arrays, another program).
        cache: label sets (confusion matrices with `counts=True`) whose reward is remembered;
            None for 65,536 with `counts=True` and 0 without, since a function may have noise of
            its own, which remembering would freeze.

    Raises:
        RuntimeError: when called: the function raised an exception; the message repeats it.
        ValueError: when called: no finite number came back, or the promise of `counts=True` is
            broken.

    >>> from sklearn.metrics import zero_one_loss
    >>> import policygrad_metrics as pgm
    >>> reward = pgm.rewards.BlackBox(lambda y_true, y_pred: 1 - zero_one_loss(y_true, y_pred))
    >>> float(reward([0, 1, 1, 0], [0, 1, 1, 1]))
    0.75
    """

    function: Callable[..., float]
    label: str = ""
    counts: bool = False
    workers: int = 1
    backend: Literal["processes", "threads"] = "processes"
    cache: int | None = None
    calls_python = True
    _calls: Calls = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self):
        if not callable(self.function):
            raise TypeError(
                f"function must be a function f(y_true, y_pred) -> float; it is {self.function!r}."
            )
        choose("backend", self.backend, BACKENDS)
        if self.workers < 1 or int(self.workers) != self.workers:
            raise ValueError(
                f"workers must be a whole number, at least 1; it is {self.workers!r}. The kind of "
                "worker is backend='processes' or backend='threads'."
            )
        if self.cache is not None and (self.cache < 0 or int(self.cache) != self.cache):
            raise ValueError(
                f"cache must be a whole number, 0 or more, or None; it is {self.cache!r}."
            )
        kept = (KEPT_MATRICES if self.counts else 0) if self.cache is None else self.cache
        calls = Calls(self.function, self.name, self.workers, self.backend, kept)
        object.__setattr__(self, "_calls", calls)

    @property
    def name(self):
        return self.label or getattr(self.function, "__name__", "black_box")

    @property
    def aggregation(self):
        return "counts" if self.counts else "nothing"

    def for_multilabel(self):
        if self.multilabel:
            return self
        again = super().for_multilabel()
        object.__setattr__(again, "_calls", self._calls)  # what is remembered stays so
        return again

    def evaluate(
        self, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray | None = None
    ) -> float:
        """Call the function once on `[N, C]` arrays and check what it returns.

        Raises:
            RuntimeError: the function raised an exception.
            ValueError: the function returned NaN, an infinite value, or no single number.
        """
        return call_checked(self.function, self.name, self._arguments(y_true, y_pred, weight))

    def _arguments(self, y_true, y_pred, weight=None):
        if not self.multilabel:
            y_true, y_pred = y_true[:, 0], y_pred[:, 0]
        return (y_true, y_pred) if weight is None else (y_true, y_pred, weight[:, 0])

    def bind(self, batch):
        if self.counts:
            self.refuse_multilabel()
        return bind_gathered(self._bind_whole, batch)

    def _bind_whole(self, batch):
        if self.counts:
            return CountedCalls(self._calls, batch)
        weights = (batch.weight,) if batch.weighted else ()

        def evaluate(y, a, *w):
            return self._calls([self._arguments(y, one, *w) for one in a]).astype(np.float32)

        def score(samples):
            scores = tf.numpy_function(evaluate, [batch.y_true, samples, *weights], tf.float32)
            return tf.ensure_shape(scores, samples.shape[:1])

        return Opaque(score)
