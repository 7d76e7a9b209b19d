"""The methods that forecast levels: those of the study that suit them, and those of this room."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from policygrad_metrics.air import concentration
from policygrad_metrics.air.settings import PRINCIPAL
from policygrad_metrics.study import methods
from policygrad_metrics.study.methods.sklearn_methods import LastLabel
from policygrad_metrics.study.plan import Menu

PERSISTENCE = "persistence"


class LastValue(LastLabel):
    """Persistence; x is the last known level and concentration, `[N, 2]`."""

    def predict(self, x: Any) -> np.ndarray:
        """Return the last known concentration `[N]`."""
        return np.asarray(x)[:, 1]


#: What is not in the study's table, or is another one there.
OWN: dict[str, methods.Method] = {
    PERSISTENCE: dataclasses.replace(
        methods.METHODS[PERSISTENCE],
        summary="the level of the last known concentration",
        predictor=lambda info, hyper, seed: LastValue(info.num_classes),
        predicts_values=True,
        table=__name__,
    ),
    **{
        name: methods.Method(
            name,
            record.summary,
            "concentration",
            "see air.concentration",
            frozenset({"ordinal"}),
            head=functools.partial(concentration.concentration_head, record),
            table=__name__,
        )
        for name, record in concentration.METHODS.items()
    },
}
METHODS: dict[str, methods.Method] = OWN | {
    name: row
    for name, row in methods.METHODS.items()
    if name not in OWN and "ordinal" in row.tasks and row.tuning == "auto"
}
MENU = Menu(METHODS, PRINCIPAL)


def forecaster_names(words: Sequence[str], horizon: int) -> tuple[str, ...]:
    """Return names of methods, "principal" and "all" spelled out, that suit the horizon.

    Raises:
        ValueError: A name is not known, does not suit levels, or needs a last known value.

    >>> forecaster_names(["persistence", "focal"], horizon=1)
    ('persistence', 'focal')
    """
    names = MENU.names(words)
    if not horizon and names == (PERSISTENCE,):
        raise ValueError("persistence needs a last known value: give a horizon of 1 hour or more.")
    return tuple(name for name in names if horizon or name != PERSISTENCE)
