"""Networks that learn the same rows side by side, and decide together.

Members differ in their seeds, and so in their first weights, the order of their batches and what
their loss draws. Each is a network as `fitting` has it: it trains as it would alone, with the same
traced program, and keeps its own best epoch. They share the cores of the machine, one thread for
each.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.tabular.fitting import Network, pays_to_compile
from policygrad_metrics.tabular.program import Recipe, get_program
from policygrad_metrics.tabular.rows import Rows
from policygrad_metrics.training.stopping import EarlyStopping


class Ensemble:
    """One network or several; pickled as arrays.

    Args:
        recipe: what to build.
        seeds: of each member's weights and batches; the first one's also of the held-out rows.
        learning_rate: None for a schedule.
    """

    def __init__(self, recipe: Recipe, seeds: Sequence[int], learning_rate: float | None = None):
        self.recipe = recipe
        program = get_program(recipe)
        self.networks = [Network(recipe, seed, learning_rate, program) for seed in seeds]

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        for network in self.networks:  # one traced program serves them all
            network.program = self.networks[0].program

    def set_optimizer(self, learning_rate: float | None, *, anew: bool) -> None:
        """Set the learning rate of all; see `Network.set_optimizer`."""
        for network in self.networks:
            network.set_optimizer(learning_rate, anew=anew)

    def held_out(self, rows: Rows, share: float) -> np.ndarray:
        """Row numbers of a stratified validation part, which no member trains on."""
        return self.networks[0].held_out(rows, share)

    def outputs(self, x: Any) -> np.ndarray:
        """The members' outputs side by side, `[N, M columns]`, for dense or sparse rows."""
        return np.concatenate([network.outputs(x) for network in self.networks], axis=1)

    def keras_network(self) -> keras.Model:
        """A Keras model of its own with these weights, from features to `outputs`."""
        models = [network.keras_network() for network in self.networks]
        if len(models) == 1:
            return models[0]
        for number, model in enumerate(models):
            model.name = f"member_{number}"
        inputs: Any = keras.Input((self.recipe.features,))
        return keras.Model(inputs, keras.layers.Concatenate()([model(inputs) for model in models]))

    def train(
        self,
        rows: Rows,
        held_out: Rows | None,
        epochs: int,
        batch_size: int | None,
        patience: int | None,
        verbose: int,
    ) -> dict[str, list[float]]:
        """Train for some epochs; with patience, return to the best epoch and stop after it.

        The rule is that of `EarlyStopping`, for each member by itself, with the reward of its
        decisions on the held-out part and, for patience, the cross-entropy: on a small held-out
        part the reward moves in jumps, between which only the cross-entropy shows that the network
        still learns.

        Args:
            rows: to train on.
            held_out: to judge on, or None.
            epochs: at most.
            batch_size: None for all rows at once.
            patience: epochs without a new best before a member stops, which needs a held-out part;
                None to train all epochs and stay at the last.
            verbose: 1 prints a line each epoch.

        Returns:
            "loss", and with a held-out part "val_<reward>" and "val_cross_entropy": for each epoch
            the mean over the members that trained in it.

        Raises:
            ValueError: training has diverged, or the weights have no exact expectation.
        """
        self.recipe.check_weights(rows)
        networks, M = self.networks, len(self.networks)
        use_xla = pays_to_compile(self.recipe, len(rows), M * epochs, batch_size)
        names = ["loss"]
        if held_out is not None:
            names += [f"val_{self.recipe.reward.name}", "val_cross_entropy"]
        history: dict[str, list[float]] = {name: [] for name in names}
        best = [network.state for network in networks]
        # Without patience there is nothing to choose: the last epoch is kept.
        stopping = EarlyStopping(M, patience, lengths=None if patience else [epochs] * M)

        def one_member(network):
            loss = network.epoch(rows, batch_size, use_xla)
            if not math.isfinite(loss):
                raise ValueError(
                    f"training diverged in epoch {stopping.epoch + 1}: outputs are NaN or infinite."
                    " Scale X (for example with StandardScaler), or give a smaller learning_rate."
                )
            return [loss] if held_out is None else [loss, *network.judge(held_out)]

        def one_epoch(epoch):
            active = np.flatnonzero(stopping.active)
            values = list(each(one_member, [networks[m] for m in active]))
            for column, mean in zip(history.values(), np.mean(values, axis=0), strict=True):
                column.append(float(mean))
            if verbose:
                told = (f"{name} {column[-1]:.4f}" for name, column in history.items())
                print(" - ".join([f"epoch {epoch + 1}/{epochs}", *told]))
            score, cross_entropy = np.zeros(M), np.full(M, np.inf)
            if held_out is not None:
                _, score[active], cross_entropy[active] = np.transpose(values)
            return score, True, cross_entropy

        def keep(better):
            for m in np.flatnonzero(better):
                best[m] = networks[m].state

        with self._threads() as each:
            stopping.run(epochs, one_epoch, keep)
        for network, state in zip(networks, best, strict=True):
            network.state = tf.nest.map_structure(np.asarray, state)
        return history

    @contextlib.contextmanager
    def _threads(self) -> Iterator[Callable[..., Any]]:
        """`map` over members, with as many threads as there are cores.

        A function of the user's is called by one thread at a time.
        """
        count = min(len(self.networks), joblib.cpu_count())
        if count == 1 or self.recipe.reward.calls_python:
            yield map
            return
        with ThreadPoolExecutor(count) as pool:
            yield pool.map
