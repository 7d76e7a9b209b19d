"""Checks before any work, and what follows from the data and the replicas."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.core.checks import choose
from policygrad_metrics.policies import BinnedRegression, Policy, Sigmoid, Softmax
from policygrad_metrics.training.network import Network
from policygrad_metrics.training.records import Buildable, Parts, Replica

#: task -> the policy of its networks: one output column, K columns, or one per label.
POLICIES: dict[str, Policy] = {
    "binary": Sigmoid(),
    "multiclass": Softmax(),
    "ordinal": Softmax(),
    "multilabel": Sigmoid(),
}


#: One seed's trainable weights `[P]`, and its other variables.
Initial = tuple[np.ndarray, list[np.ndarray]]


def task_policy(task: str) -> Policy:
    """The policy of a task's networks.

    Raises:
        ValueError: no such task.

    >>> task_policy("ordinal")
    Softmax()
    """
    return POLICIES[choose("task", task, POLICIES)]


def check_numbers(epochs: int, batch_size: int, patience: int | None, warm_start: float) -> None:
    """Raise a ValueError if one of the numbers is out of range."""
    for argument, value in (("epochs", epochs), ("batch_size", batch_size), ("patience", patience)):
        optional = value is None and argument == "patience"
        if not optional and (not isinstance(value, numbers.Integral) or value < 1):
            raise ValueError(f"{argument} must be a whole number, 1 or more; it is {value!r}.")
    if not 0.0 <= warm_start < 1.0:
        raise ValueError(
            f"warm_start must be a share of the epochs, from 0 to below 1; it is {warm_start!r}."
        )


def check_lengths(lengths: Sequence[int] | None, replicas: int, epochs: int) -> None:
    """Raise a ValueError unless there are none, or one from 1 to `epochs` for each replica."""
    if lengths is not None and (
        len(lengths) != replicas or not all(1 <= length <= epochs for length in lengths)
    ):
        raise ValueError(
            f"lengths must be a number of epochs from 1 to {epochs} for each of the {replicas} "
            f"replicas; they are {list(lengths)}."
        )


def arrays(
    data: Parts | Sequence[Parts],
    task: str,
    replicas: int,
    *,
    values: BinnedRegression | None = None,
) -> tuple[dict[str, np.ndarray], tuple[int, ...]]:
    """Features as float32 and labels as int32, by name, and which data set each replica has.

    With `values`, a policy, the truths are its target values, float32. The arrays are
    `[S, rows, ...]` of the S different data sets.

    Raises:
        ValueError: a part is empty, its features are not finite `[rows, F]`, or its labels are
            not whole numbers of the task's shape (or values that the policy reads); the data sets
            are not one for each replica, or differ in shape.
    """
    each = list(data) if isinstance(data, Sequence) else [data] * replicas
    if len(each) != replicas:
        raise ValueError(
            f"data must be one data set, or one for each of the {replicas} replicas; it has "
            f"{len(each)}."
        )
    different = list({id(one): one for one in each}.values())
    place = {id(one): number for number, one in enumerate(different)}
    found = [_arrays(one, task, values) for one in different]
    for name in found[0]:
        shapes = sorted({one[name].shape for one in found})
        if len(shapes) > 1:
            raise ValueError(
                f"{name} must have the same shape in all data sets; the shapes are {shapes}. Train "
                "replicas of other shapes in a call of their own."
            )
    stacked = {name: np.stack([one[name] for one in found]) for name in found[0]}
    return stacked, tuple(place[id(one)] for one in each)


def _arrays(data: Parts, task: str, values: BinnedRegression | None) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for part in ("train", "valid", "test"):
        x = np.asarray(getattr(data, f"x_{part}"), np.float32)
        if x.ndim != 2 or not len(x) or not np.isfinite(x).all():
            raise ValueError(
                f"x_{part} must be finite numbers [rows, F] with at least one row; it has shape "
                f"{x.shape} and {int((~np.isfinite(x)).sum())} values that are not finite. "
                "policygrad_metrics.data.prepare makes such arrays."
            )
        found[f"x_{part}"] = x
    axes = 2 if task == "multilabel" else 1
    for part in ("train", "valid"):
        y, rows = np.asarray(getattr(data, f"y_{part}")), len(found[f"x_{part}"])
        if values is not None:
            if y.shape != (rows,) or np.any(values.invalid_values(y)):
                raise ValueError(
                    f"y_{part} must be {values.truth_in_words(len(values.edges) + 1)}. Its shape "
                    f"must be [{rows}] and is {y.shape}."
                )
            found[f"y_{part}"] = y.astype(np.float32)
            continue
        if y.dtype.kind not in "iub" or y.ndim != axes or len(y) != rows or y.min() < 0:
            shape = f"[{rows}, L]" if axes == 2 else f"[{rows}]"
            raise ValueError(
                f"y_{part} must be whole numbers from 0, {shape} for task={task!r}; it is "
                f"{y.dtype} of shape {y.shape}."
            )
        # A single label column is a binary problem, whose labels have one axis.
        found[f"y_{part}"] = (y[:, 0] if y.shape[1:] == (1,) else y).astype(np.int32)
    return found


def output_columns(task: str, found: Mapping[str, np.ndarray], num_classes: int | None) -> int:
    """D, the columns of the network's outputs.

    Raises:
        ValueError: a label is too large for the task or for `num_classes`.
    """
    labels = [found["y_train"], found["y_valid"]]
    largest = max(int(y.max()) for y in labels)
    several = task in ("multiclass", "ordinal")
    K = (num_classes or max(2, largest + 1)) if several else 2
    if largest >= K:
        raise ValueError(
            f"labels must lie in 0 to {K - 1} for task={task!r} with K={K} classes; the largest "
            f"is {largest}."
        )
    if task == "multilabel":
        return labels[0].shape[2] if labels[0].ndim == 3 else 1
    return K if several else 1


def split_hyperparameters(
    replicas: Sequence[Replica],
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The hyper-parameters on which all replicas agree, and the others as float32 `[R, ...]`.

    Raises:
        ValueError: there are no replicas, their names differ, or a value that differs between
            them is neither a number nor an array of numbers of one shape.

    >>> split_hyperparameters([Replica(0, hyper={"beta": 1.0, "average": "macro"}),
    ...                        Replica(0, hyper={"beta": 2.0, "average": "macro"})])
    ({'average': 'macro'}, {'beta': array([1., 2.], dtype=float32)})
    """
    if not replicas:
        raise ValueError("replicas must hold at least one Replica; it is empty.")
    names = sorted({name for replica in replicas for name in replica.hyper})
    shared, single = {}, {}
    for name in names:
        if any(name not in replica.hyper for replica in replicas):
            raise ValueError(
                f"hyper must have the same names in all replicas; {name!r} is in some."
            )
        values = [replica.hyper[name] for replica in replicas]
        if all(np.array_equal(value, values[0]) for value in values):
            shared[name] = values[0]
        elif all(map(_numeric, values)) and len({np.shape(value) for value in values}) == 1:
            single[name] = np.array(values, np.float32)
        else:
            raise ValueError(
                f"hyper[{name!r}] differs between replicas and must then be a number, or an array "
                f"of numbers of one shape; the values are {values}. Train the others in a call of "
                "their own."
            )
    return shared, single


def _numeric(value: Any) -> bool:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number or (isinstance(value, np.ndarray) and value.dtype.kind in "fiu")


def build_models(
    network: Buildable, features: int, columns: int, replicas: Sequence[Replica]
) -> tuple[keras.Model, dict[int, Initial]]:
    """A model, and each seed's initial trainable weights as one row and its other variables.

    Raises:
        ValueError: the models of two seeds differ in shape, or have other outputs than `[N, D]`.
    """
    model = network.build(features, columns, replicas[0].seed)
    shape = tuple(model(tf.zeros([1, features])).shape)
    if shape != (1, columns):
        raise ValueError(
            f"network must give outputs of shape [N, {columns}]; it gives {shape} for N=1."
        )
    seeds = {replica.seed for replica in replicas}
    # Dropout keeps a state that depends on the seed.
    if isinstance(network, Network) and not network.dropout:
        own, other = _values(model)
        return model, {
            seed: (_row(own, _kept_kernels(network, features, columns, seed)), other)
            for seed in seeds
        }
    initial = {}
    for seed in seeds:
        built = network.build(features, columns, seed)
        if [v.shape for v in built.variables] != [v.shape for v in model.variables]:
            raise ValueError("network must build the same layers for every seed; they differ.")
        own, other = _values(built)
        initial[seed] = _row(own), other
    return model, initial


def _values(model):
    """The trainable weights, and the other variables."""
    own, other = model.trainable_variables, model.non_trainable_variables
    return [v.numpy() for v in own], [v.numpy() for v in other]


def _row(weights, kernels=()):
    """The weights as one row, with other kernels if they are given."""
    given = iter(kernels)
    chosen = (next(given, w) if w.ndim == 2 else w for w in weights)
    return np.concatenate([w.ravel() for w in chosen])


@functools.lru_cache(maxsize=64)
def _kept_kernels(network, features, columns, seed):
    """A `Network` is what its fields are, so that its kernels can be kept for other methods."""
    return network.kernels(features, columns, seed)


def check_loss(loss: Callable[..., Any], model: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
    """Call the loss once, where errors are still readable.

    Raises:
        ValueError: it is no scalar; and whatever the loss itself raises.
    """
    value = tf.convert_to_tensor(loss(tf.constant(y), model(tf.constant(x))))
    if value.shape.rank != 0:
        raise ValueError(
            f"build_loss must give a loss that returns a scalar; it returned shape {value.shape}. "
            "Average it over the examples."
        )
