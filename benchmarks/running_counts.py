"""Running counts beside small batches: test rewards over windows, batch sizes and seeds.

Every variant trains the same network from the same weights on the same split, in one stacked run;
early stopping on the validation reward; scores of the test part without decision tuning.

    python benchmarks/running_counts.py --data-dir FOLDER [--epochs 40] [--json] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import policygrad_metrics as pgm
from policygrad_metrics import data
from policygrad_metrics.training import Network, Replica, train_replicas
from policygrad_metrics.training.inputs import task_policy

WINDOWS = (512.0, 2048.0, 8192.0)
MIXED_IN = (0.0, 0.3)


def scores(name, folder, batch_size, seeds, epochs) -> dict[str, list[float]]:
    """Test rewards of each variant by seed, on one data set."""
    dataset = data.load(name, seed=0, folder=folder)
    parts = data.prepare(dataset, data.split(dataset, 0))
    policy = task_policy(dataset.task)
    num_classes = None if dataset.task == "binary" else len(dataset.class_names)

    def score_on_test(run):
        metric = pgm.RewardMetric(dataset.reward, policy)
        metric.update_state(parts.y_test, run.test_outputs)
        return round(float(metric.result()), 4)

    def train(build, hypers):
        replicas = [Replica(seed, 1e-3, hyper) for hyper in hypers for seed in range(seeds)]
        runs = train_replicas(
            Network((64, 64)), build, dataset.reward, dataset.task, parts, replicas,
            epochs=epochs, batch_size=batch_size, patience=15, num_classes=num_classes,
        )  # fmt: skip
        return np.array([score_on_test(run) for run in runs]).reshape(len(hypers), seeds).tolist()

    def loss(hyper):
        return pgm.PolicyGradientLoss(
            dataset.reward, policy=policy, cross_entropy_weights="equal", **hyper
        )

    found = {}
    for mixed_in in MIXED_IN:
        stem = f"c={mixed_in:g}"
        (found[f"{stem}, batch alone"],) = train(loss, [{"cross_entropy": mixed_in}])
        beside = [{"cross_entropy": mixed_in, "running_counts": window} for window in WINDOWS]
        for window, row in zip(WINDOWS, train(loss, beside), strict=True):
            found[f"{stem}, window {window:g}"] = row
    (found["cross-entropy"],) = train(
        lambda hyper: pgm.SurrogateLoss("cross_entropy", policy=policy), [{}]
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="a bundled set, a few epochs")
    parser.add_argument("--data-dir", type=Path, help="folder of the real data sets")
    parser.add_argument("--epochs", type=int, default=40, help="most epochs")
    options = parser.parse_args()
    seeds, epochs, sizes = (2, 3, (32,)) if options.quick else (5, options.epochs, (32, 256))
    names = ("page_blocks", "mammography") if options.data_dir else ("imbalanced5",)
    table = {
        f"{name}, B={size}": scores(name, options.data_dir, size, seeds, epochs)
        for name in names
        for size in sizes
    }
    if options.json:
        print(json.dumps({"seeds": seeds, "epochs": epochs, "scores": table}))
        return
    print(f"{'':24}" + "".join(f"{key:>22}" for key in table))
    for variant in next(iter(table.values())):
        cells = ((np.mean(row[variant]), np.std(row[variant], ddof=1)) for row in table.values())
        print(
            f"{variant:24}"
            + "".join(f"{mean:14.3f} ({deviation:.3f})" for mean, deviation in cells)
        )


if __name__ == "__main__":
    main()
