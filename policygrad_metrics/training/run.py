"""One run of a compiled program: epochs, early stopping per replica, results."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.training.inputs import Initial
from policygrad_metrics.training.program import Program, Task
from policygrad_metrics.training.records import Replica, Trained


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What is to be trained.

    Args:
        task: what the replicas have in common.
        replicas: all replicas.
        which: the data set of each.
        train_rows: rows of each data set's training part.
        initial: each seed's weights and other variables.
        single: hyper-parameters that differ between replicas, `[R]`.
        loss_state: what a loss with a moving average or running counts starts from.
        label_sets: label sets that the loss draws in each step.
        epochs, warm_epochs: in all, and of these on cross-entropy.
        batches: per epoch.
        patience, lengths: as for `train_replicas`.
    """

    task: Task
    replicas: tuple[Replica, ...]
    which: tuple[int, ...]
    train_rows: int
    initial: Mapping[int, Initial]
    single: Mapping[str, np.ndarray]
    loss_state: tuple[Any, ...]
    label_sets: int
    epochs: int
    warm_epochs: int
    batches: int
    patience: int | None
    lengths: Sequence[int] | None = None


def epoch_order(seed: int, epoch: int, count: int, batches: int, rows: int) -> np.ndarray:
    """Row numbers int32 `[batches, rows]`: a permutation of `count` keyed by seed and epoch.

    What the examples do not fill is filled from the permutation's start.

    >>> order = epoch_order(seed=0, epoch=2, count=5, batches=2, rows=3)
    >>> sorted(order.ravel()[:5].tolist()), bool(order.ravel()[5] == order[0, 0])
    ([0, 1, 2, 3, 4], True)
    """
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return np.resize(order.astype(np.int32), (batches, rows))


class Run:
    """Trains those replicas of a plan that go through the program together.

    Args:
        plan: what is to be trained.
        program: the compiled program.
        functions: its epochs of the warm start and of the loss itself.
        places: which replicas of the plan.
    """

    def __init__(
        self,
        plan: Plan,
        program: Program,
        functions: tuple[Callable[..., Any], Callable[..., Any]],
        places: list[int],
    ):
        self.plan = plan
        self.program = program
        self.functions = functions
        self.places = places
        replicas = [plan.replicas[place] for place in places]
        self.settings = {
            "learning_rate": tf.constant([r.learning_rate for r in replicas], tf.float32),
            "seed": tf.constant([r.seed for r in replicas], tf.int32),
            "hyper": {name: tf.constant(v[places]) for name, v in plan.single.items()},
            "which": tf.constant([plan.which[place] for place in places], tf.int32),
        }
        self.state = self._initial_state(replicas)
        self.best = [self.state["weights"], self.state["others"]]
        R = len(places)
        self.epoch = 0
        self.best_reward = np.full(R, -np.inf, np.float32)
        self.best_epoch = np.full(R, -1)
        self.last_rise = np.full(R, -1)
        self.active = np.ones(R, bool)
        self.diverged = np.zeros(R, bool)
        self.epochs_used = np.zeros(R, int)
        self.history: list[dict[str, list[float]]] = [
            {"loss": [], "val_reward": []} for _ in places
        ]

    def compile(self) -> None:
        """Trace, compile and try the loss itself on one batch, and forget the outcome."""
        self._call(self.functions[1], batches=1)

    def train(self, on_epoch: Callable[[int, dict[int, float]], None] | None = None) -> None:
        """Train until every replica has ended."""
        while self.epoch < self.plan.epochs and self.active.any():
            warm = self.epoch < self.plan.warm_epochs
            outcome = self._call(self.functions[0 if warm else 1], self.plan.batches)
            self.state, self.best = outcome[:2]
            trained = self._take_stock(**{k: v.numpy() for k, v in outcome[2].items()})
            if on_epoch is not None:
                on_epoch(self.epoch, trained)
            self.epoch += 1

    def results(self) -> list[Trained]:
        """What became of the replicas; `seconds` is left at zero."""
        valid, test = (self._outputs(part) for part in ("valid", "test"))
        best = tf.nest.map_structure(lambda t: t.numpy(), self.best)
        found = []
        for r, place in enumerate(self.places):
            steps = int(self.epochs_used[r]) * self.plan.batches
            found.append(
                Trained(
                    seed=self.plan.replicas[place].seed,
                    best_epoch=int(self.best_epoch[r]),
                    history=self.history[r],
                    valid_outputs=valid[r],
                    test_outputs=test[r],
                    weights=self._in_model_order(best, r),
                    diverged=bool(self.diverged[r]),
                    steps=steps,
                    seconds=0.0,
                    reward_evaluations=int(self.epochs_used[r]) + steps * self.plan.label_sets,
                    stacked=self.program.stacked,
                )
            )
        return found

    def _call(self, function, batches):
        return function(
            self.settings,
            self.state,
            self.best,
            tf.constant(self._to_beat()),
            tf.constant(self.active),
            tf.constant(self._order()),
            tf.constant(batches),
        )

    def _to_beat(self):
        # With lengths nothing is chosen: the newest weights are always the ones to keep.
        return (
            self.best_reward
            if self.plan.lengths is None
            else np.full_like(self.best_reward, -np.inf)
        )

    def _outputs(self, part):
        return self.program.outputs(part, self.settings["which"], *self.best).numpy()

    def _order(self):
        plan = self.plan
        return np.stack(
            [
                plan.which[place] * plan.train_rows
                + epoch_order(
                    plan.replicas[place].seed,
                    self.epoch,
                    plan.train_rows,
                    plan.batches,
                    plan.task.rows,
                )
                for place in self.places
            ]
        ).astype(np.int32)

    def _take_stock(self, loss, reward, healthy):
        """Book one epoch; returns the rewards of the replicas that trained and stayed finite."""
        self.epochs_used += self.active
        self.diverged |= self.active & ~healthy
        self.active &= healthy
        # A short validation part reaches its highest reward early and many epochs share it; the
        # last of them has learned most. Waiting counts from the first.
        kept = self.active & (reward >= self.best_reward)
        rises = self.active & (reward > self.best_reward)
        self.best_reward = np.where(kept, reward, self.best_reward)
        self.best_epoch = np.where(kept, self.epoch, self.best_epoch)
        self.last_rise = np.where(rises, self.epoch, self.last_rise)
        trained = {}
        for r in np.flatnonzero(self.active):
            self.history[r]["loss"].append(float(loss[r]))
            self.history[r]["val_reward"].append(float(reward[r]))
            trained[self.places[r]] = float(reward[r])
        if self.plan.patience is not None:
            since = np.maximum(self.last_rise, self.plan.warm_epochs - 1)
            self.active &= self.epoch - since < self.plan.patience
        if self.plan.lengths is not None:
            lengths = np.array([self.plan.lengths[place] for place in self.places])
            self.active &= self.epoch + 1 < lengths
        return trained

    def _initial_state(self, replicas):
        R = len(replicas)
        weights, others = zip(
            *(self.plan.initial[replica.seed] for replica in replicas), strict=True
        )
        weights = tf.constant(np.stack(weights))
        return {
            "weights": weights,
            "others": [tf.constant(np.stack(each)) for each in zip(*others, strict=True)],
            "mean": tf.zeros_like(weights),
            "square": tf.zeros_like(weights),
            "step": tf.zeros(R, tf.int32),
            "loss_state": [tf.stack([x] * R) for x in self.plan.loss_state],
        }

    def _in_model_order(self, best, r):
        """Replica r's values in the order of `model.weights`."""
        model = self.plan.task.model
        trainable = model.trainable_variables
        ends = np.cumsum([math.prod(v.shape) for v in trainable])[:-1]
        values = [
            part.reshape(v.shape)
            for part, v in zip(np.split(best[0][r], ends), trainable, strict=True)
        ]
        values += [value[r] for value in best[1]]
        place = {id(v): i for i, v in enumerate([*trainable, *model.non_trainable_variables])}
        return [values[place[id(v)]] for v in model.weights]
