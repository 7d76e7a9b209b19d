"""Pure, mixed with cross-entropy, and warm-started: three rows for one loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from policygrad_metrics.losses.policy_gradient import DEFAULT_CROSS_ENTROPY
from policygrad_metrics.study.methods.base import ANY_TASK, Choice, Loss, Method, TaskInfo

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
