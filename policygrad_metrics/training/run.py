"""One run of a compiled program: epochs, early stopping per replica, results."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.training.inputs import Initial
from policygrad_metrics.training.order import filled_batches
from policygrad_metrics.training.program import Program, Task
from policygrad_metrics.training.records import Replica, Trained, TrainingSettings
from policygrad_metrics.training.step import State
from policygrad_metrics.training.stopping import EarlyStopping
from policygrad_metrics.training.weights import Layout


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What is to be trained.

    Args:
        task: what the replicas have in common.
        replicas: all replicas.
        settings: how they are trained.
        initial: each seed's weights and other variables.
        learning_rate: of replicas that have none, None for a schedule.
        single: hyper-parameters that differ between replicas, `[R]`.
        loss_state: what a loss with a moving average or running counts starts from.
        label_sets: label sets that the loss draws in each step.
        batches: per epoch.
    """

    task: Task
    replicas: tuple[Replica, ...]
    settings: TrainingSettings
    initial: Mapping[int, Initial]
    learning_rate: float | None
    single: Mapping[str, np.ndarray]
    loss_state: tuple[Any, ...]
    label_sets: int
    batches: int


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
            "seed": tf.constant([r.seed for r in replicas], tf.int32),
            "hyper": {name: tf.constant(v[places]) for name, v in plan.single.items()},
            "which": tf.constant([plan.task.examples.which[place] for place in places], tf.int32),
        }
        self.state = self._initial_state(replicas)
        self.best = (self.state.weights, self.state.others)
        R, lengths = len(places), plan.settings.lengths
        self.stopping = EarlyStopping(
            R,
            plan.settings.patience,
            waits_from=plan.settings.warm_epochs - 1,
            lengths=None if lengths is None else [lengths[place] for place in places],
        )
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
        while self.stopping.epoch < self.plan.settings.epochs and self.stopping.active.any():
            epoch = self.stopping.epoch
            warm = epoch < self.plan.settings.warm_epochs
            self.state, report = self._call(self.functions[0 if warm else 1], self.plan.batches)
            trained = self._take_stock(**{k: v.numpy() for k, v in report.items()})
            if on_epoch is not None:
                on_epoch(epoch, trained)

    def results(self) -> list[Trained]:
        """What became of the replicas; `seconds` is left at zero."""
        valid, test = (self._outputs(part) for part in ("valid", "test"))
        weights, others = tf.nest.map_structure(lambda t: t.numpy(), self.best)
        layout = Layout(self.plan.task.model)
        found = []
        for r, place in enumerate(self.places):
            steps = int(self.epochs_used[r]) * self.plan.batches
            found.append(
                Trained(
                    seed=self.plan.replicas[place].seed,
                    best_epoch=int(self.stopping.best_epoch[r]),
                    history=self.history[r],
                    valid_outputs=valid[r],
                    test_outputs=test[r],
                    weights=layout.for_model(weights[r], [value[r] for value in others]),
                    diverged=bool(self.diverged[r]),
                    steps=steps,
                    seconds=0.0,
                    reward_evaluations=int(self.epochs_used[r]) + steps * self.plan.label_sets,
                    stacked=self.program.stacked,
                )
            )
        return found

    def _call(self, function, batches):
        order = tf.constant(self._order())
        return function(self.settings, self.state, order, tf.constant(batches))

    def _outputs(self, part):
        return self.program.outputs(part, self.settings["which"], *self.best).numpy()

    def _order(self):
        plan, examples = self.plan, self.plan.task.examples
        epoch, count = self.stopping.epoch, examples.train_rows
        orders = [
            examples.which[place] * count
            + filled_batches(plan.replicas[place].seed, epoch, count, plan.batches, plan.task.rows)
            for place in self.places
        ]
        return np.stack(orders).astype(np.int32)

    def _take_stock(self, loss, reward, healthy):
        """Book one epoch; returns the rewards of the replicas that trained and stayed finite."""
        active = self.stopping.active.copy()
        self.epochs_used += active
        self.diverged |= active & ~healthy
        better = self.stopping.update(reward, healthy)
        if better.any():
            now = (self.state.weights, self.state.others)
            self.best = self.program.keep(tf.constant(better), now, self.best)
        trained = {}
        for r in np.flatnonzero(active & healthy):
            self.history[r]["loss"].append(float(loss[r]))
            self.history[r]["val_reward"].append(float(reward[r]))
            trained[self.places[r]] = float(reward[r])
        return trained

    def _initial_state(self, replicas):
        plan = self.plan
        states = []
        for replica in replicas:
            weights, others = plan.initial[replica.seed]
            own = replica.learning_rate
            optimizer = plan.task.update.initial(plan.learning_rate if own is None else own)
            states.append(State.first(weights, optimizer, others, plan.loss_state))
        return tf.nest.map_structure(lambda *each: tf.constant(np.stack(each)), *states)
