"""What reading a `RewardMetric` costs, over the number of classes.

Keras asks a metric for its result after every batch. Printed are milliseconds of one `result()`
of each reward, compiled as in `fit`, and their ratio to those of `keras.metrics.F1Score`.

    python benchmarks/metric.py [--json] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import policygrad_metrics as pgm

REWARDS = (
    "f1_macro",
    "jaccard_macro",
    "precision_weighted",
    "accuracy",
    "balanced_accuracy",
    "cohen_kappa_quadratic",
)
#: Examples of the one batch that is counted.
ROWS = 4096


def milliseconds(metric: keras.metrics.Metric, num_classes: int, repeats: int) -> float:
    """The least time of one `result()`, of an interleaved run of them."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, num_classes, ROWS)
    logits = rng.normal(size=(ROWS, num_classes)).astype(np.float32)
    one_hot = isinstance(metric, keras.metrics.F1Score)
    metric.update_state(np.eye(num_classes, dtype=np.float32)[y] if one_hot else y, logits)
    read = tf.function(metric.result)
    read()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        read()
        seconds.append(time.perf_counter() - start)
    return 1e3 * min(seconds)


def measure(num_classes: int, repeats: int) -> list[dict[str, float | str]]:
    """A row for each reward."""
    keras_f1 = milliseconds(keras.metrics.F1Score(average="macro"), num_classes, repeats)
    rows = []
    for reward in REWARDS:
        own = milliseconds(pgm.RewardMetric(reward), num_classes, repeats)
        rows.append({"reward": reward, "classes": num_classes, "milliseconds": round(own, 3),
                     "keras_f1": round(own / keras_f1, 2)})  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="5 and 1,000 classes, fewer repeats")
    options = parser.parse_args()
    sizes, repeats = ((5, 1000), 10) if options.quick else ((5, 100, 1000), 50)
    rows = [row for size in sizes for row in measure(size, repeats)]
    if options.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
