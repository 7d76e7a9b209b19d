"""Keras callbacks."""

from __future__ import annotations

import math
from typing import Any

from policygrad_metrics.callbacks.base import Callback


class StopOnBadBatch(Callback):
    """Raise an error that names the first batch whose loss is not finite.

    Under XLA (Keras's default on a GPU) a loss cannot raise: labels outside the classes, NaN
    inputs and outputs that have diverged show as a NaN loss. This callback turns that into an
    error before training goes on.

    Raises:
        ValueError: in `fit`, after the batch.

    >>> import policygrad_metrics as pgm
    >>> stop = pgm.StopOnBadBatch()
    >>> stop.on_epoch_begin(2)
    >>> stop.on_train_batch_end(7, {"loss": float("nan")})
    Traceback (most recent call last):
    ValueError: the loss is nan from batch 7 of epoch 2 (both counted from 0): ...
    """

    def __init__(self):
        super().__init__()
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remember the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Raise if the loss so far is not finite."""
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            raise ValueError(
                f"the loss is {loss} from batch {batch} of epoch {self._epoch} (both counted from "
                "0): its labels lie outside the network's classes, or its inputs or outputs hold "
                "NaN or infinite values. compile(..., jit_compile=False) says which."
            )
