"""Epochs, early stopping and prediction on top of a program."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import scipy.sparse
import tensorflow as tf

from policygrad_metrics.rewards import BlackBox
from policygrad_metrics.tabular.program import Program, Recipe, State, get_program
from policygrad_metrics.tabular.rows import BLOCK, Rows, as_dense, deal

#: Planned steps from which compiling with XLA pays: 1 to 2 s for .1 to .8 ms a step (measured).
STEPS_FOR_XLA = 10_000

#: An error of a reward in Python, in what TensorFlow makes of it: "graph execution error" and the
#: whole traceback of both sides.
_OF_A_FUNCTION = re.compile(
    r"^(?P<kind>ValueError|RuntimeError): (?P<message>(the function of )?reward .*?)(?=\n\n|\Z)",
    re.MULTILINE | re.DOTALL,
)


class Network:
    """A network and the state of its training; pickled as arrays.

    Args:
        recipe: what to build.
        seed: of the weights, the batches and the sampling estimators.
    """

    def __init__(self, recipe: Recipe, seed: int):
        self.recipe = recipe
        self._program = get_program(recipe)
        self._rng = np.random.default_rng(seed)
        self.state: State = self._program.initial_state(self._draw())
        self._seed = self._draw()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_program"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._program = get_program(self.recipe)

    @property
    def program(self) -> Program:
        """The compiled functions."""
        return self._program

    @property
    def rng(self) -> np.random.Generator:
        """Where the randomness of this network comes from."""
        return self._rng

    def keras_network(self) -> keras.Model:
        """A Keras model of its own with these weights."""
        return self._program.keras_network(self.state)

    def outputs(self, x: Any) -> np.ndarray:
        """The network's outputs for dense or sparse rows, `[N, columns]`."""
        size = max(1, BLOCK // max(1, x.shape[1]))
        blocks = [
            self._program.outputs(self.state, as_dense(x[start : start + size]))
            for start in range(0, max(1, x.shape[0]), size)
        ]
        return np.concatenate([np.asarray(block) for block in blocks])

    def logits(self, x: Any) -> np.ndarray:
        """The policy's logits of dense or sparse rows, `[N, K]` or `[N, L, 2]`."""
        return np.asarray(self.recipe.policy.logits(self.outputs(x)))

    def strata(self, rows: Rows) -> np.ndarray:
        """What every batch and held-out part should hold in its share: the labels."""
        return np.asarray(self.recipe.labels(rows.y))

    def epoch(
        self, rows: Rows, batch_size: int | None, learning_rate: float, use_xla: bool = False
    ) -> float:
        """Train on all rows once; the mean loss.

        Raises:
            ValueError: the outputs are no longer finite.
        """
        losses: list[np.ndarray] = []
        for block, batches in _blocks(rows, deal(self.strata(rows), batch_size, self._rng)):
            self.state, values = self._program.train(
                self.state,
                block.x,
                block.y,
                block.weight,
                batches,
                learning_rate,
                self._seed,
                use_xla=use_xla,
            )
            losses.append(np.asarray(values))
        return float(np.concatenate(losses).mean())

    def judge(self, rows: Rows) -> tuple[float, float]:
        """The reward of the likeliest labels and the mean cross-entropy."""
        reward, cross_entropy = self._program.judge(self.outputs(rows.x), rows.y, rows.weight)
        return float(reward), float(cross_entropy)

    def _draw(self):
        return int(self._rng.integers(2**31 - 1))


def train(
    network: Network,
    rows: Rows,
    held_out: Rows | None,
    *,
    epochs: int,
    batch_size: int | None,
    learning_rate: float,
    patience: int | None,
    verbose: int = 0,
) -> dict[str, list[float]]:
    """Train for some epochs; with patience, return to the best epoch and stop after it.

    The best epoch has the highest reward of the decisions on the held-out part; of equal ones,
    the one of lower cross-entropy. Training stops when neither the reward nor the cross-entropy
    has come to a new best for some epochs: on a small held-out part the reward moves in jumps,
    between which only the cross-entropy shows that the network still learns.

    Args:
        network: trained in place.
        rows: to train on.
        held_out: to judge on, or None.
        epochs: at most.
        batch_size: None for all rows at once.
        learning_rate: Adam's.
        patience: epochs without a new best before training stops, which needs a held-out part;
            None to train all epochs and stay at the last.
        verbose: 1 prints a line each epoch.

    Returns:
        "loss", and with a held-out part "val_<reward>" and "val_cross_entropy": a number for
        each epoch.

    Raises:
        ValueError: training has diverged.
    """
    reward = network.recipe.reward
    history: dict[str, list[float]] = {"loss": []}
    judged = (f"val_{reward.name}", "val_cross_entropy")
    if held_out is not None:
        history.update({name: [] for name in judged})
    steps = 1 if batch_size is None else -(-len(rows) // batch_size)
    use_xla = (
        epochs * steps >= STEPS_FOR_XLA
        and not isinstance(reward, BlackBox)
        and not callable(network.recipe.hidden)
    )
    best, best_state = (-math.inf, -math.inf), network.state
    lowest, last_progress = math.inf, 0
    for epoch in range(epochs):
        loss = _finite_epoch(network, rows, batch_size, learning_rate, use_xla, epoch)
        history["loss"].append(loss)
        line = f"epoch {epoch + 1}/{epochs} - loss {loss:.4f}"
        if held_out is not None:
            score, cross_entropy = network.judge(held_out)
            for name, value in zip(judged, (score, cross_entropy), strict=True):
                history[name].append(value)
                line += f" - {name} {value:.4f}"
            if (score, -cross_entropy) > best:
                best, best_state, last_progress = (score, -cross_entropy), network.state, epoch
            if cross_entropy < lowest:
                lowest, last_progress = cross_entropy, epoch
        if verbose:
            print(line)
        if patience is not None and epoch - last_progress >= patience:
            break
    if patience is not None:
        network.state = best_state
    network.state = network.state.arrays()
    return history


def _finite_epoch(network, rows, batch_size, learning_rate, use_xla, epoch):
    try:
        loss = network.epoch(rows, batch_size, learning_rate, use_xla)
    except tf.errors.OpError as error:  # what the loss and Python functions raise in a graph
        own = _OF_A_FUNCTION.search(str(error))
        if own is not None:
            kind = RuntimeError if own["kind"] == "RuntimeError" else ValueError
            raise kind(own["message"].strip()) from error
        if "NaN or infinite" not in str(error):
            raise
        loss = math.nan
    if not math.isfinite(loss):
        raise ValueError(
            f"training diverged in epoch {epoch + 1}: outputs are NaN or infinite. Scale X (for "
            f"example with StandardScaler), or lower learning_rate={learning_rate}."
        )
    return loss


def _blocks(rows: Rows, batches: np.ndarray) -> Iterator[tuple[Rows, np.ndarray]]:
    """Dense rows with batches of their numbers; sparse rows become dense some batches at a time."""
    if not scipy.sparse.issparse(rows.x):
        yield rows, batches
        return
    size = batches.shape[1]
    group = max(1, BLOCK // max(1, size * rows.x.shape[1]))
    for start in range(0, len(batches), group):
        some = batches[start : start + group]
        part = rows.take(some.ravel())
        dense = Rows(as_dense(part.x), part.y, part.weight)
        yield dense, np.arange(some.size, dtype=np.int32).reshape(some.shape)
