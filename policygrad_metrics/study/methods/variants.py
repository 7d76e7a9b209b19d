"""Any function of canonical tensors as a loss: pure, mixed with cross-entropy, warm-started."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from policygrad_metrics.losses.base import SiteLoss
from policygrad_metrics.losses.policy_gradient import DEFAULT_CROSS_ENTROPY
from policygrad_metrics.study.methods.base import ANY_TASK, Choice, Loss, Method, TaskInfo
from policygrad_metrics.surrogates import cross_entropy

#: Weight of the cross-entropy that is mixed in; the same range for everyone.
CROSS_ENTROPY = Choice(DEFAULT_CROSS_ENTROPY, 0.01, 3.0, log=True)
#: Share of the epochs that a warm start spends on cross-entropy.
WARM_START = 0.3

#: `(info, hyper, mixed_in) -> loss`, mixed_in being None for the pure loss.
MixedBuild = Callable[[TaskInfo, Mapping[str, Any], Any], Loss]


def pure_mixed_warm(
    build: MixedBuild,
    name: str,
    summary: str,
    family: str,
    paper: str,
    tasks: frozenset[str] = ANY_TASK,
    **hyperparameters: Choice,
) -> list[Method]:
    """Return the rows "x", "x_mixed" and "x_warm".

    Args:
        build: makes the loss with a weight of cross-entropy, or None.
        name: of the pure row, x.
        summary: as for `Method`.
        family: as for `Method`.
        paper: as for `Method`.
        tasks: as for `Method`.
        hyperparameters: the loss's own.
    """
    pure = Method(
        name,
        summary,
        family,
        paper,
        tasks,
        build=lambda info, hyper: build(info, hyper, None),
        hyperparameters=hyperparameters,
    )
    mixed = dataclasses.replace(
        pure,
        name=f"{name}_mixed",
        summary=f"{summary}, plus cross-entropy",
        hyperparameters={**hyperparameters, "cross_entropy": CROSS_ENTROPY},
        build=lambda info, hyper: build(info, hyper, hyper["cross_entropy"]),
    )
    warm = dataclasses.replace(
        pure, name=f"{name}_warm", summary=f"{summary}, after cross-entropy", warm_start=WARM_START
    )
    return [pure, mixed, warm]


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
