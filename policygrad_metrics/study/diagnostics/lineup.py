"""Which estimators are measured, and what they are called."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from policygrad_metrics.core.checks import choose
from policygrad_metrics.estimators import ESTIMATORS, Estimator, Reinforce, get_estimator
from policygrad_metrics.estimators.reinforce import BASELINES

_REINFORCE = tuple(f"reinforce_{baseline}" for baseline in BASELINES)


def estimator_names() -> list[str]:
    """The names that can be measured: REINFORCE by its baselines, and all others.

    >>> "reinforce_leave_one_out" in estimator_names()
    True
    """
    return [*_REINFORCE, *(name for name in ESTIMATORS if name != "reinforce")]


def lineup(
    estimators: Iterable[str] | Mapping[str, Estimator] | None, samples: int
) -> dict[str, Estimator]:
    """Estimators by name.

    Args:
        estimators: names, a dictionary, or None for all that can be made without arguments.
        samples: S of those given by name.

    Raises:
        ValueError: as for `named`.

    >>> lineup(["reinforce_greedy"], 8)["reinforce_greedy"].samples
    8
    """
    if isinstance(estimators, Mapping):
        return dict(estimators)
    if estimators is not None:
        return {name: named(name, samples) for name in estimators}
    found = {}
    for name in estimator_names():
        try:
            found[name] = named(name, samples)
        except TypeError:  # it needs arguments of its own
            continue
    return found


def named(name: str, samples: int) -> Estimator:
    """The estimator of a name out of `estimator_names`, or "reinforce".

    Raises:
        ValueError: the name is not known, or S does not suit the estimator.
    """
    choose("estimator", name, [*estimator_names(), "reinforce"])
    if name in _REINFORCE:
        return Reinforce(samples, name.removeprefix("reinforce_"))  # type: ignore[arg-type]
    fields = {field.name for field in dataclasses.fields(ESTIMATORS[name])}  # type: ignore[arg-type]
    return get_estimator(name, **({"samples": samples} if "samples" in fields else {}))
