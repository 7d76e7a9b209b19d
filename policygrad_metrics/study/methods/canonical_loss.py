"""Any function of canonical tensors as a loss on a network's outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from policygrad_metrics.losses.base import SiteLoss
from policygrad_metrics.study.methods.base import TaskInfo
from policygrad_metrics.surrogates import cross_entropy


class CanonicalLoss(SiteLoss):
    """`function(logits, y_true, weight) + mixed_in * CE`, with the weights in the counts.

    Args:
        info: the task; it says how the outputs are read.
        function: logits `[N, C, K]`, labels int `[N, C]`, weights `[N, C]` to a scalar.
        mixed_in: weight of the cross-entropy that is added (Ranzato 2016's mixture), a number or
            a scalar tensor; None adds nothing.
    """

    def __init__(self, info: TaskInfo, function: Callable[..., Any], mixed_in: Any = None):
        super().__init__(info.policy, "canonical_loss", "sum_over_batch_size")
        self._function = function
        self._mixed_in = mixed_in

    def batch_loss(self, batch):
        """The loss of one batch, a scalar."""
        arguments = batch.logits, batch.y_true, batch.weight
        loss = self._function(*arguments)
        if self._mixed_in is None:
            return loss
        return loss + self._mixed_in * cross_entropy(*arguments)
