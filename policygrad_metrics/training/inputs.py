"""Checks before any work, and what follows from the data and the replicas."""

from __future__ import annotations

import dataclasses
import functools
import numbers
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.checks import choose
from policygrad_metrics.policies import BinnedRegression, Policy, Sigmoid, Softmax
from policygrad_metrics.training.network import Network
from policygrad_metrics.training.records import Buildable, Parts, Replica
from policygrad_metrics.training.weights import as_row

#: task -> the policy of its networks: one output column, K columns, or one per label.
POLICIES: dict[str, Policy] = {
    "binary": Sigmoid(),
    "multiclass": Softmax(),
    "ordinal": Softmax(),
    "multilabel": Sigmoid(),
    "ranking": Sigmoid(),
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


def check_lengths(lengths: Sequence[int] | None, replicas: int, epochs: int) -> None:
    """Raise a ValueError unless there are none, or one from 1 to `epochs` for each replica."""
    if lengths is not None and (
        len(lengths) != replicas or not all(1 <= length <= epochs for length in lengths)
    ):
        raise ValueError(
            f"lengths must be a number of epochs from 1 to {epochs} for each of the {replicas} "
            f"replicas; they are {list(lengths)}."
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """The S different data sets of the replicas, one below the other.

    Args:
        x_train, y_train: replica r's rows start at `which[r] * train_rows`.
        x_rest: validation parts one below the other, then test parts.
        rest: of "valid" and "test", where the first data set's rows start in `x_rest` and how many
            rows each data set has.
        y_valid: `[S, N]`, multi-label `[S, N, L]`.
        train_rows: rows of each data set's training part.
        which: the data set of each replica.
    """

    x_train: Tensor
    y_train: Tensor
    x_rest: Tensor
    rest: Mapping[str, tuple[int, int]]
    y_valid: Tensor
    train_rows: int
    which: tuple[int, ...]

    @classmethod
    def of(cls, found: Mapping[str, np.ndarray], which: tuple[int, ...]) -> Examples:
        """From what `arrays` returns."""
        sets, rows = found["x_valid"].shape[:2]
        below = {name: np.concatenate(found[name]) for name in found}
        return cls(
            x_train=tf.constant(below["x_train"]),
            y_train=tf.constant(below["y_train"]),
            x_rest=tf.constant(np.concatenate([below["x_valid"], below["x_test"]])),
            rest={"valid": (0, rows), "test": (sets * rows, found["x_test"].shape[1])},
            y_valid=tf.constant(found["y_valid"]),
            train_rows=found["x_train"].shape[1],
            which=which,
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
    initial = {
        replica.seed: first_weights(network, model, features, columns, replica.seed)
        for replica in replicas
    }
    return model, initial


def first_weights(
    network: Buildable, model: keras.Model, features: int, columns: int, seed: int
) -> Initial:
    """The weights and other variables that the network starts with for a seed.

    Args:
        network: builds models.
        model: one that it has built.
        features: columns of the input.
        columns: of the output.
        seed: of the weights.

    Raises:
        ValueError: the model of this seed differs in shape from the given one.
    """
    # Dropout keeps a state that depends on the seed.
    if isinstance(network, Network) and not network.dropout:
        kernels = iter(_kept_kernels(network, features, columns, seed))
        own = [next(kernels) if v.ndim == 2 else v.numpy() for v in model.trainable_variables]
        return as_row(own), [v.numpy() for v in model.non_trainable_variables]
    built = network.build(features, columns, seed)
    if [v.shape for v in built.variables] != [v.shape for v in model.variables]:
        raise ValueError("network must build the same layers for every seed; they differ.")
    own, other = built.trainable_variables, built.non_trainable_variables
    return as_row([v.numpy() for v in own]), [v.numpy() for v in other]


@functools.lru_cache(maxsize=64)
def _kept_kernels(network, features, columns, seed):
    """A `Network` is what its fields are, so that its kernels can be kept for other methods."""
    return network.kernels(features, columns, seed)


def check_loss(loss: Callable[..., Any], model: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
    """Call the loss once, where errors are still readable.

    Raises:
        ValueError: it is no scalar; and whatever the loss itself raises.
    """
    with warnings.catch_warnings():
        # Logits of a new network can all lie from 0 to 1; a last activation is told all the same.
        warnings.filterwarnings("ignore", "the outputs look like probabilities")
        value = tf.convert_to_tensor(loss(tf.constant(y), model(tf.constant(x))))
    if value.shape.rank != 0:
        raise ValueError(
            f"build_loss must give a loss that returns a scalar; it returned shape {value.shape}. "
            "Average it over the examples."
        )
