"""What the tests of the surrogates share: the tasks, the cases and random batches."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from policygrad_metrics.surrogates import SURROGATES

# (C, K) of the three tasks, and the settings that each member is tested with besides its defaults.
TASKS = {"binary": (1, 2), "multi_class": (1, 4), "multi_label": (3, 2)}
MORE_SETTINGS = {
    "focal": [{"gamma": 0.5}],
    "soft_fbeta": [{"beta": 2.0}],
    "soft_kappa": [{"weights": "linear"}, {"weights": "none"}],
    "sol": [{"delta": 0.5, "score": "balanced_accuracy"}],
    "anyloss": [{"L": 5.0, "score": "accuracy"}],
    "sigmoid_f1": [{"beta": 3.0, "eta": -0.5}],
    "oll": [{"alpha": 1.0}],
    "slace": [{"alpha": 2.5}],
}


def suits(name: str, task: str) -> bool:
    # The hinge version is defined for two classes only (its error says so; tested below).
    return not (name == "lovasz_hinge" and task == "multi_class")


CASES = [
    pytest.param(name, task, more, id=f"{name}-{task}-{i}")
    for name in SURROGATES
    for task in TASKS
    if suits(name, task)
    for i, more in enumerate([{}, *MORE_SETTINGS.get(name, [])])
]
PLAIN_CASES = [case for case in CASES if not case.values[2]]


def random_batch(task: str, seed: int, N: int = 9, dtype=np.float64):
    C, K = TASKS[task]
    rng = np.random.default_rng(seed)
    logits = (2 * rng.normal(size=[N, C, K])).astype(dtype)
    y_true = rng.integers(K, size=[N, C]).astype(np.int32)
    weight = rng.uniform(0.5, 2.0, size=[N, C]).astype(dtype)
    return logits, y_true, weight


def value_and_gradient(surrogate, logits, y_true, weight, **settings_):
    logits = tf.convert_to_tensor(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = surrogate(logits, y_true, weight, **settings_)
    return value, tape.gradient(value, logits)
