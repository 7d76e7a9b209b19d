"""Exact resume: a run that was killed goes on as if it had not been."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.callbacks.backup_file import pack, unpack
from policygrad_metrics.callbacks.base import Callback
from policygrad_metrics.core import durable
from policygrad_metrics.core._compat import start_at_epoch
from policygrad_metrics.core.checks import differing_setting
from policygrad_metrics.losses.policy_gradient import PolicyGradientLoss
from policygrad_metrics.training.shuffling import EpochOrder

#: What Keras's callbacks that remember earlier epochs remember.
REMEMBERED: dict[type, tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "best_weights", "stopped_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: ("best",),
}


class BackupAndRestore(Callback):
    """Back up training at the start of every epoch, and resume it there with the same bits.

    A run that is killed at any moment, by whatever signal, and started again with the same script
    ends with the weights of a run that was not killed. Saved are the model's variables (the states
    of dropout's seed generators too, which Keras's own `BackupAndRestore` leaves out), the
    optimizer's, those of `PolicyGradientLoss`, the epoch, and what `also` names. The file is
    replaced atomically and carries a checksum.

    Put it first in the list of callbacks, so that it saves before another one changes the
    learning rate. Not covered, because nothing can save them: the order of
    `fit(x, y, shuffle=True)` and of generators that draw from a global random state (use
    `shuffled_batches`), layers that draw without a seed generator of their own, and callbacks
    that remember something but are of none of the kinds below. `History` holds the epochs since
    the resume.

    Args:
        directory: of this run alone; made if it does not exist. Workers of one
            `MultiWorkerMirroredStrategy` must share it: the first writes and all read.
        also: what else has a state: datasets that `shuffled_batches` or `balanced_batches`
            returned, and callbacks that are `EarlyStopping`, `ReduceLROnPlateau` or
            `ModelCheckpoint`.
        delete_checkpoint: whether to remove the backup when `fit` comes to its end, as Keras does;
            if kept, it holds the start of the last epoch.

    Raises:
        TypeError: `also` holds anything else.
        ValueError: in `fit`: the model is not built; the file is damaged, or of another model,
            optimizer, loss or data. Nothing is overwritten then.
        RuntimeError: in `fit`: another process trains with this directory.

    >>> import keras, numpy as np, tempfile, policygrad_metrics as pgm
    >>> x, y = np.eye(4, dtype="float32"), np.array([0, 1, 0, 1])
    >>> train = pgm.training.shuffled_batches(x, y, batch_size=2)
    >>> model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", pgm.PolicyGradientLoss("f1"), run_eagerly=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     backup = pgm.BackupAndRestore(folder, also=[train])
    ...     run = model.fit(train, epochs=2, shuffle=False, callbacks=[backup], verbose=0)
    >>> run.epoch
    [0, 1]
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        also: Sequence[Any] = (),
        delete_checkpoint: bool = True,
    ):
        super().__init__()
        if not str(directory):
            raise ValueError("directory must name a folder; it is empty.")
        self.directory = Path(directory)
        self.delete_checkpoint = delete_checkpoint
        self._orders: list[EpochOrder] = []
        self._callbacks: list[keras.callbacks.Callback] = []
        for item in also:
            order = getattr(item, "epoch_order", None)
            if isinstance(order, EpochOrder):
                self._orders.append(order)
            elif isinstance(item, tuple(REMEMBERED)):
                self._callbacks.append(item)
            else:
                kinds = ", ".join(kind.__name__ for kind in REMEMBERED)
                raise TypeError(
                    "also may hold datasets that shuffled_batches or balanced_batches returned "
                    "(before map or batch made another dataset of them) and callbacks of the kinds "
                    f"{kinds}; it holds {item!r}."
                )
        self._lock: BinaryIO | None = None
        self._settings: dict[str, Any] = {}
        self._restored: Callable[[], None] | None = None

    @property
    def path(self) -> Path:
        """The backup file."""
        return self.directory / "backup"

    def on_train_begin(self, logs: Any = None) -> None:
        """Take the directory, and restore what a killed run left there."""
        model: Any = self.model
        if not model.built:
            raise ValueError(
                "BackupAndRestore needs a model that is built before fit: begin with "
                "keras.layers.Input(shape), or call model.build(input_shape)."
            )
        with model.distribute_strategy.scope():
            if model.optimizer is not None and not model.optimizer.built:
                model.optimizer.build(model.trainable_variables)
        self._settings = json.loads(json.dumps(self._describe()))
        if self._writes:
            self._hold_directory()
        start_at_epoch(model, None)
        if self.path.exists():
            try:
                self._restore()
            except ValueError:
                self.close()
                raise

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Save the state in which this epoch starts."""
        model: Any = self.model
        # Here every callback has finished the epoch before, and has begun the training.
        start_at_epoch(model, None)
        for order in self._orders:
            order.epoch = epoch
        if self._restored is not None:
            self._restored()
            self._restored = None
        elif self._writes:
            durable.write_atomically(self.path, self._content(epoch))

    def on_train_end(self, logs: Any = None) -> None:
        """Remove the backup unless it is to be kept, and leave the directory."""
        if not self._writes:
            return
        if self.delete_checkpoint:
            self.path.unlink(missing_ok=True)
        self.close()
        if self.delete_checkpoint and not any(self.directory.iterdir()):
            self.directory.rmdir()

    def close(self) -> None:
        """Leave the directory to others after a `fit` that raised (else `fit` does so itself)."""
        if self._lock is not None:
            (self.directory / "lock").unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    @property
    def _writes(self):
        """Whether this process is the one of its cluster that writes."""
        model: Any = self.model
        return model.distribute_strategy.extended.should_checkpoint

    def _hold_directory(self):
        if self._lock is not None:  # an earlier fit with this callback raised
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = durable.hold(self.directory / "lock")
        except durable.InUseError as error:
            own = str(error) == f"process {os.getpid()}"
            way_out = (
                "this one, by an earlier fit that did not come to its end: use its callback "
                "again, or call its close()"
                if own
                else "wait for it, or choose another directory"
            )
            raise RuntimeError(
                f"the backup directory {self.directory} is in use by {error}; {way_out}."
            ) from None

    # ------------------------------------------------------------------ what is saved

    def _variables(self) -> dict[str, list[Any]]:
        model: Any = self.model
        return {
            "model": list(model.variables),
            "optimizer": [] if model.optimizer is None else list(model.optimizer.variables),
        }

    def _policy_gradient_losses(self) -> list[PolicyGradientLoss]:
        return [loss for loss in _losses(self.model) if isinstance(loss, PolicyGradientLoss)]

    def _describe(self):
        """What must be the same when a run is resumed."""
        model: Any = self.model
        shapes = {
            kind: [{"shape": list(v.shape), "dtype": _dtype(v)} for v in variables]
            for kind, variables in self._variables().items()
        }
        return {
            "model": _settings_of(model),
            "optimizer": _settings_of(model.optimizer),
            "loss": _keyed([_settings_of(loss) for loss in _losses(model)]),
            "variables": _keyed(shapes),
            "steps per epoch": (self.params or {}).get("steps"),
            "shuffled_batches": _keyed([order.get_config() for order in self._orders]),
            "also": [type(callback).__name__ for callback in self._callbacks],
        }

    def _content(self, epoch):
        arrays = [np.asarray(v.numpy()) for vs in self._variables().values() for v in vs]
        losses = [[v.numpy() for v in loss.variables] for loss in self._policy_gradient_losses()]
        arrays += [array for loss in losses for array in loss]
        remembered: list[dict[str, Any]] = []
        for callback in self._callbacks:
            remembered.append({})
            own = next(names for kind, names in REMEMBERED.items() if isinstance(callback, kind))
            for name in own:
                value = getattr(callback, name)
                if isinstance(value, list):  # the weights of the best epoch
                    remembered[-1][name] = {"arrays": [len(arrays), len(value)]}
                    arrays += value
                else:
                    remembered[-1][name] = value if value is None else np.asarray(value).item()
        state = {
            "epoch": epoch,
            "settings": self._settings,
            "loss arrays": [len(loss) for loss in losses],
            "callbacks": remembered,
        }
        return pack(state, arrays)

    def _restore(self):
        model: Any = self.model
        try:
            state, arrays = unpack(self.path.read_bytes())
        except ValueError as error:
            raise ValueError(
                f"{self.path} cannot be resumed from: {error}. Delete it to start from the first "
                "epoch, or choose another directory."
            ) from error
        different = differing_setting(state["settings"], self._settings)
        if different:
            raise ValueError(
                f"{self.path} is the backup of another run: {different[:500]}. Resume with the "
                "model, data and settings it was made with, choose another directory, or delete "
                "it to start from the first epoch."
            )
        variables = [v for vs in self._variables().values() for v in vs]
        with model.distribute_strategy.scope():
            for variable, array in zip(variables, arrays, strict=False):
                variable.assign(array)
            place = len(variables)
            losses = self._policy_gradient_losses()
            for loss, count in zip(losses, state["loss arrays"], strict=True):
                loss.restore(arrays[place : place + count])
                place += count
        start_at_epoch(model, state["epoch"])

        def restore_callbacks():
            for callback, values in zip(self._callbacks, state["callbacks"], strict=True):
                for name, value in values.items():
                    if isinstance(value, Mapping):
                        start, count = value["arrays"]
                        value = [array.copy() for array in arrays[start : start + count]]
                    setattr(callback, name, value)

        self._restored = restore_callbacks


def _losses(model):
    return [loss for loss in keras.tree.flatten(model.loss) if loss is not None]


def _dtype(variable):
    return tf.as_dtype(variable.dtype).name


def _settings_of(thing: Any) -> Any:
    """A model, optimizer or loss as plain JSON values, without what differs between equal ones."""
    if thing is None or isinstance(thing, str):
        return thing
    kind = getattr(thing, "__qualname__", type(thing).__name__)
    try:
        config = thing.get_config()
    except Exception:  # a subclassed model without a config is known by its variables
        return kind
    names: dict[str, str] = {}
    _collect_names(config, names)
    return {"class": kind, **_plain(config, names)}


def _collect_names(config, names):
    if isinstance(config, Mapping):
        if isinstance(config.get("name"), str):
            names.setdefault(config["name"], f"layer {len(names)}")
        config = list(config.values())
    if isinstance(config, (list, tuple)):
        for item in config:
            _collect_names(item, names)


def _plain(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        if value.get("class_name") == "__lambda__":
            return "lambda"
        return {
            str(key): _plain(item, names)
            for key, item in value.items()
            # Automatic names count up in a process; the rate is a variable that callbacks set.
            if key not in ("name", "running_counts")
            and not (key == "learning_rate" and isinstance(item, float))
        }
    if isinstance(value, (list, tuple)):
        return _keyed([_plain(item, names) for item in value])
    if isinstance(value, str):
        return names.get(value, value)
    known = value is None or isinstance(value, (bool, int, float))
    return value if known else getattr(value, "__qualname__", type(value).__name__)


def _keyed(value: Any) -> Any:
    """Lists of lists or records as records, so that a difference can be named by its place."""
    if isinstance(value, Mapping):
        return {key: _keyed(item) for key, item in value.items()}
    if isinstance(value, list) and any(isinstance(item, (Mapping, list)) for item in value):
        return {str(place): _keyed(item) for place, item in enumerate(value)}
    return value
