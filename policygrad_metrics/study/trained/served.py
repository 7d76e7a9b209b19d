"""Preparation, network and decision in TensorFlow's operations, of which exports are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.data import Preparation
from policygrad_metrics.data.prepare import LIMIT
from policygrad_metrics.saving import DecisionLayer
from policygrad_metrics.study.trained.decider import Decider


class Served:
    """A decider of networks in TensorFlow's operations.

    Args:
        decider: The decider.
    """

    def __init__(self, decider: Decider):
        networks: Any = decider.models
        self.networks = networks.models
        self.preparation = decider.preparation
        policy = "sigmoid" if decider.task in ("binary", "multilabel") else "softmax"
        single = len(self.networks) == 1
        self._activation = tf.nn.sigmoid if policy == "sigmoid" else tf.nn.softmax
        self.decision = DecisionLayer(policy, decider.rule, from_logits=single)

    def answer(self, columns: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return labels and probabilities of columns `[N]`."""
        named = zip(self.preparation.categorical_names, self.preparation.texts, strict=True)
        known = [columns[name][:, None] == tf.constant([*texts])[None] for name, texts in named]
        return self.of_blocks([columns[name] for name in self.preparation.numeric_names], known)

    def of_blocks(self, numbers: Sequence[Tensor], known: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return labels and probabilities of prepared texts.

        Args:
            numbers: Numeric columns, float64 `[N]`.
            known: Of each categorical column which of its texts it is, `[N, T]`.
        """
        x = prepared(self.preparation, numbers, known)
        outputs = [network(x, training=False) for network in self.networks]
        if len(outputs) == 1:
            return self.decision(outputs[0])
        return self.decision(tf.add_n([self._activation(one) for one in outputs]) / len(outputs))


def prepared(
    preparation: Preparation, numbers: Sequence[Tensor], known: Sequence[Tensor]
) -> Tensor:
    """Return what `preparation.features` returns, in TensorFlow; arguments as for `of_blocks`."""
    blocks = []
    if numbers:
        raw = tf.stack(numbers, axis=1)
        medians = tf.constant(preparation.medians, tf.float64)
        # One after the other: from conditions of several operations tf2onnx makes NaN times 0.
        filled = tf.where(tf.math.is_nan(raw), medians, raw)
        filled = tf.where(tf.math.is_inf(raw), medians, filled)
        unknown = tf.cast(tf.math.is_nan(raw) | tf.math.is_inf(raw), tf.float64)
        gaps = tf.gather(unknown, np.array(preparation.gaps, int), axis=1)
        places = range(len(preparation.numeric_names))
        heavy = np.array([place in preparation.sizes for place in places])
        sizes = np.array([preparation.sizes.get(place, 1.0) for place in places])
        # ONNX has no log1p; in float64 its last digits are lost in the float32 features.
        tamed = tf.where(heavy, tf.sign(filled) * tf.math.log(1.0 + tf.abs(filled) / sizes), filled)
        both = tf.concat([tamed, gaps], axis=1)
        scaled = (both - np.array(preparation.means)) / np.array(preparation.scales)
        blocks.append(tf.cast(tf.clip_by_value(scaled, -LIMIT, LIMIT), tf.float32))
    return tf.concat([*blocks, *(tf.cast(one, tf.float32) for one in known)], axis=1)
