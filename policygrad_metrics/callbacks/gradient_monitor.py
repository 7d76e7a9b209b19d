"""A Keras callback that watches the gradient and the policy."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.callbacks.base import Callback
from policygrad_metrics.losses.base import SiteLoss
from policygrad_metrics.losses.policy_gradient import PolicyGradientLoss
from policygrad_metrics.policies.reading import mean_over_sites


class GradientMonitor(Callback):
    """Log the gradient's signal-to-noise ratio and the policy's entropy after every epoch.

        gradient_snr    sqrt(max(|m|^2 - v / n, 0) / v),  m and v the mean and the variance, over n
                        batches, of the loss's gradient with respect to the trainable weights
        policy_entropy  mean entropy of the policy over sites, in nats

    The ratio says how much of a step is direction and how much is noise, that of mini-batches and
    that of a sampling estimator together: far below 1, larger batches, more samples or a stronger
    estimator pay. Both enter the epoch's logs, so `History` sees them, and `CSVLogger` and
    `TensorBoard` if they come after it in `callbacks=[...]`.

    A policy collapses when it is certain where it is wrong: no label is sampled there but the wrong
    one, and the reward has no gradient that would change it. Where the mean entropy of the sites
    that are wrong falls below `collapse` times log K, and these are at least 1 % of all, a
    `RuntimeWarning` says so, once.

    Args:
        x: inputs of some training rows, an array.
        y: their truth, an array, as in `fit`.
        batch_size: as in `fit`; x must hold at least two batches.
        collapse: share of the largest possible entropy; 0 never warns.

    Raises:
        ValueError: fewer than two batches, lengths that differ, or (at `fit`) a loss that is none
            of this package's, so that its policy is not known.

    >>> import keras, numpy as np, policygrad_metrics as pgm
    >>> keras.utils.set_random_seed(0)
    >>> x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    >>> y = (x[:, 0] > 0).astype(int)
    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> model.compile("sgd", loss=pgm.PolicyGradientLoss("f1"))
    >>> history = model.fit(x, y, verbose=0, callbacks=[pgm.GradientMonitor(x, y, batch_size=16)])
    >>> sorted(history.history)
    ['gradient_snr', 'loss', 'policy_entropy']
    """

    def __init__(self, x: Any, y: Any, *, batch_size: int = 256, collapse: float = 0.01):
        super().__init__()
        self._x, self._y = np.asarray(x), np.asarray(y)
        if len(self._x) != len(self._y):
            raise ValueError(
                f"x and y must have as many rows; they have {len(self._x)} and {len(self._y)}."
            )
        if batch_size < 1 or len(self._x) < 2 * batch_size:
            raise ValueError(
                f"x must hold at least two batches of batch_size={batch_size} rows; it holds "
                f"{len(self._x)}. Pass more rows, or a smaller batch_size."
            )
        self.batch_size = batch_size
        self.collapse = collapse
        self._warned = False
        self._run: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Check the loss, and build the measuring function."""
        model: Any = self.model
        loss = model.loss
        if not isinstance(loss, SiteLoss):
            raise ValueError(
                "GradientMonitor needs a loss that knows its policy, PolicyGradientLoss or "
                f"SurrogateLoss; the model's is {loss!r}."
            )

        def run(x, y):
            weights = [v.value for v in model.trainable_variables]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(weights)
                outputs = model(x, training=False)
                if isinstance(loss, PolicyGradientLoss):
                    # Assigns nothing: a moving average must not learn from being watched.
                    state = tuple(tf.constant(x, tf.float32) for x in loss.initial_state())
                    value, _ = loss.stateless_call(y, outputs, state)
                else:
                    value: Any = loss(y, outputs)
            zero = tf.UnconnectedGradients.ZERO
            slopes: Any = tape.gradient(value, weights, unconnected_gradients=zero)
            flat = tf.concat([tf.reshape(tf.cast(s, tf.float32), [-1]) for s in slopes], axis=0)
            return flat, *_entropies(loss.read(y, outputs))

        self._run = tf.function(run, reduce_retracing=True, autograph=False)
        self._warned = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Measure, add to the logs, and warn of a collapse."""
        size, sums, gradients = self.batch_size, np.zeros(4), []
        for start in range(0, len(self._x) - size + 1, size):
            gradient, *parts = self._run(
                self._x[start : start + size], self._y[start : start + size]
            )
            gradients.append(gradient.numpy().astype(np.float64))
            sums += [float(part) for part in parts]
        entropy, wrong_entropy, wrong, log_k = sums / len(gradients)
        if logs is not None:
            logs["gradient_snr"] = _signal_to_noise(np.stack(gradients))
            logs["policy_entropy"] = entropy
        if wrong >= 0.01 and wrong_entropy / wrong < self.collapse * log_k and not self._warned:
            self._warned = True
            warnings.warn(
                f"the policy has collapsed in epoch {epoch}: it decides {wrong:.0%} of the "
                "examples wrongly and is certain of it (mean entropy there "
                f"{wrong_entropy / wrong:.2g} nats, of at most {log_k:.2g}), so the reward has no "
                "gradient left to change that. Use a smaller learning rate, entropy= or a larger "
                "cross_entropy= in PolicyGradientLoss, or stop earlier.",
                RuntimeWarning,
                stacklevel=2,
            )


def _entropies(batch):
    """Mean entropy, that of wrong sites (0 elsewhere), the share of wrong sites, and log K."""
    log_probs = tf.nn.log_softmax(batch.logits)
    entropy = -tf.reduce_sum(tf.exp(log_probs) * log_probs, axis=-1)
    wrong = tf.cast(tf.argmax(log_probs, -1, tf.int32) != batch.y_true, tf.float32)
    values = (entropy, entropy * wrong, wrong)
    return *(mean_over_sites(v, batch) for v in values), math.log(batch.num_classes)


def _signal_to_noise(gradients: np.ndarray) -> float:
    """Of n gradients `[n, weights]`."""
    mean = gradients.mean(axis=0)
    variance = float(gradients.var(axis=0, ddof=1).sum())
    signal = max(float((mean**2).sum()) - variance / len(gradients), 0.0)
    if variance == 0.0:
        return math.inf if signal else 0.0
    return math.sqrt(signal / variance)
