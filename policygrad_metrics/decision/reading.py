"""What `DecisionTuner` is given, in canonical shape: N examples, C label columns, K classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from policygrad_metrics.rewards import Reward


def read_probabilities(probabilities: Any, multilabel: bool) -> np.ndarray:
    """Return probabilities as float64 `[N, C, K]`.

    Raises:
        ValueError: their shape is another than asked for, or a number is none from 0 to 1.

    >>> read_probabilities([0.25], multilabel=False).tolist()
    [[[0.75, 0.25]]]
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim not in (1, 2) or not len(p) or (p.ndim == 1 and multilabel):
        shape = "[N, L]" if multilabel else "[N] or [N, K]"
        raise ValueError(f"probabilities must have shape {shape}; they have {p.shape}.")
    if not ((p >= 0.0) & (p <= 1.0 + 1e-6)).all():
        raise ValueError(
            "probabilities must lie in [0, 1]; some do not, or are NaN. Give the outputs "
            "behind the sigmoid or softmax, not the logits."
        )
    if multilabel:
        return np.stack([1.0 - p, p], axis=-1)
    p = p.reshape(len(p), -1)
    return (np.hstack([1.0 - p, p]) if p.shape[1] == 1 else p)[:, None, :]


def read_truth(y_true: Any, p: np.ndarray, multilabel: bool) -> np.ndarray:
    """Return labels as int64 `[N, C]`.

    Raises:
        ValueError: their shape does not fit the probabilities `[N, C, K]`, or a label is no class.
    """
    y = np.asarray(y_true)
    expected = p.shape[:2] if multilabel else p.shape[:1]
    if y.shape != expected and y.shape != p.shape[:2]:
        way_out = "" if multilabel or y.ndim < 2 else " For label columns: multilabel=True."
        raise ValueError(f"y_true must have shape {expected}; it has {y.shape}.{way_out}")
    if y.dtype.kind not in "iufb" or not np.isin(y, np.arange(p.shape[2])).all():
        raise ValueError(
            f"y_true must hold labels 0 to {p.shape[2] - 1}, as many classes as there are "
            f"probabilities; it holds {np.unique(y)[:8].tolist()}. Number the classes in the "
            "order of the columns of the probabilities."
        )
    return y.astype(np.int64).reshape(p.shape[:2])


def read_costs(y_true: Any, reward: Reward, p: np.ndarray) -> tuple[Any, np.ndarray | None]:
    """Return the labels, and the costs `[N, K]` behind them where the reward reads such.

    Raises:
        ValueError: the reward reads costs, and y_true is not `[N, 1 + K]`, or a cost is not finite.

    >>> from policygrad_metrics.rewards import ExampleCosts
    >>> table, p = [[0, 0.0, 5.0], [1, 9.0, 5.0]], read_probabilities([0.2, 0.7], False)
    >>> labels, costs = read_costs(table, ExampleCosts(), p)
    >>> labels.tolist(), costs.tolist()
    ([0.0, 1.0], [[0.0, 5.0], [9.0, 5.0]])
    """
    if not reward.reads_costs:
        return y_true, None
    table = np.asarray(y_true, np.float64)
    if table.shape != (len(p), 1 + p.shape[2]) or not np.isfinite(table[:, 1:]).all():
        raise ValueError(
            f"reward {reward.name!r} needs the costs of each example: y_true must be "
            f"np.column_stack([y, costs]), {1 + p.shape[2]} columns of finite numbers for "
            f"{len(p)} examples of {p.shape[2]} classes; it has shape {table.shape}."
        )
    return table[:, 0], table[:, 1:]


def read_weight(sample_weight: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return weights as float64 `[N, C]`, the same in all columns, or None.

    Raises:
        ValueError: they are not as many finite numbers of 0 or more.
    """
    if sample_weight is None:
        return None
    size, columns = shape
    weight = np.asarray(sample_weight, np.float64)
    if weight.shape != (size,) or not (np.isfinite(weight) & (weight >= 0.0)).all():
        raise ValueError(
            f"sample_weight must be {size} finite numbers, 0 or more; it has shape {weight.shape}."
        )
    return np.repeat(weight[:, None], columns, axis=1)


def number_groups(groups: Any, size: int, most: int) -> np.ndarray:
    """Return the number of each example's group, `[size]`.

    Raises:
        ValueError: there are no groups, of another number of examples, or more than `most`.

    >>> number_groups(["north", "south", "north"], 3, 2).tolist()
    [0, 1, 0]
    """
    if groups is None or np.shape(groups) != (size,):
        raise ValueError(
            f"groups must hold the group of each of the {size} examples, since a constraint is on "
            f"groups; it {'is missing' if groups is None else f'has shape {np.shape(groups)}'}."
        )
    groups = np.asarray(groups)
    if groups.dtype.kind == "f" and np.isnan(groups).any():
        raise ValueError("groups holds NaN: leave those examples out, or give them a group.")
    known, number = np.unique(groups, return_inverse=True)
    if len(known) > most:
        raise ValueError(
            f"groups has {len(known)} different values, {known[:8].tolist()}, and the constraint "
            f"says groups={most}. Give the constraint groups={len(known)}."
        )
    return number
