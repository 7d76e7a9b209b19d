"""Bytes that replicas exchange per training step, by reward, classes and batch size.

    python benchmarks/distribute.py [--json] [--quick]

Every sum over replicas of one step of `PolicyGradientLoss` (forward and backward) under
`MirroredStrategy` on two logical CPUs is counted, on one replica, as TensorFlow is handed it. The
gradient of a 64-64 network on 32 inputs, which data-parallel training exchanges anyway, is
given for comparison.
"""

from __future__ import annotations

import argparse
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import policygrad_metrics as pgm

REWARDS = {
    "f1_macro, exact": ("f1_macro", "auto"),
    "cohen_kappa_quadratic, exact": ("cohen_kappa_quadratic", "auto"),
    "accuracy, exact": ("accuracy", "auto"),
    "matthews_corrcoef, local expectation": ("matthews_corrcoef", "local_expectation"),
    "f1_macro, REINFORCE": ("f1_macro", "reinforce"),
    "black box, REINFORCE (gathered)": (None, "reinforce"),
}


def own(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    return float((y_true == y_pred).mean())


def exchanged(strategy, loss, B: int, K: int) -> tuple[int, int]:
    """Bytes and exchanges of one step on the first replica."""
    sizes: list[int] = []
    original = tf.distribute.ReplicaContext.all_reduce

    def counted(context, operation, value, options=None):
        if context.replica_id_in_sync_group == 0:
            tensors = tf.nest.flatten(value)
            sizes.append(sum(int(tf.size(x)) * x.dtype.size for x in tensors))
        return original(context, operation, value, options)

    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, B // 2, K)).astype("float32")
    y = rng.integers(0, K, size=(2, B // 2))
    shares = [
        strategy.experimental_distribute_values_from_function(
            lambda context, x=x: tf.constant(x[context.replica_id_in_sync_group])
        )
        for x in (logits, y)
    ]

    def step(logits, y):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(y, logits)
        return tape.gradient(value, logits)

    tf.distribute.ReplicaContext.all_reduce = counted
    try:
        strategy.run(step, args=shares)
    finally:
        tf.distribute.ReplicaContext.all_reduce = original
    return sum(sizes), len(sizes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="two batch sizes and one K")
    options, _ = parser.parse_known_args()
    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    batches = (64, 1024) if options.quick else (64, 1024, 16384)
    rows = []
    for K in (6,) if options.quick else (6, 30):
        weights = 32 * 64 + 64 + 64 * 64 + 64 + 64 * K + K
        for name, (reward, estimator) in REWARDS.items():
            loss = pgm.PolicyGradientLoss(reward or own, gradient_estimator=estimator)
            counts = [exchanged(strategy, loss, B, K) for B in batches]
            sizes = {B: size for B, (size, _) in zip(batches, counts, strict=True)}
            rows.append({"reward": name, "K": K, "gradient_bytes": 4 * weights,
                         "exchanges": counts[0][1], "bytes": sizes})  # fmt: skip
    if options.json:
        print(json.dumps({"replicas": 2, "rows": rows}))
        return
    print("bytes per step and replica, two replicas; B is the global batch")
    for row in rows:
        sizes = "  ".join(f"B={B} {size:,}" for B, size in row["bytes"].items())
        print(f"K={row['K']:<3} {row['reward']:38} {row['exchanges']:3} exchanges  {sizes}  "
              f"(gradient of a 64-64 network {row['gradient_bytes']:,})")  # fmt: skip


if __name__ == "__main__":
    main()
