"""How much cross-entropy to mix into the policy gradient: test scores over data sets and seeds.

Every weight trains the same network from the same weights on the same split, in one stacked run;
early stopping on the validation reward; scores of the test part without decision tuning.

    python benchmarks/mixing.py [--json] [--quick] [--data-dir FOLDER]
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

WEIGHTS = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
BUNDLED = ("digits_rare", "breast_cancer_36", "random", "imbalanced5", "pm25")
REAL = (
    *("mammography", "pima", "german_credit", "page_blocks", "car", "ecoli"),
    *("winequality_red", "lev", "emotions"),
)


def scores(name: str, folder: Path | None, seeds: int, epochs: int) -> dict[str, float]:
    """Mean test reward of each weight, and of cross-entropy alone, on one data set."""
    dataset = data.load(name, seed=0, folder=folder)
    parts = data.prepare(dataset, data.split(dataset, 0))
    reward, policy = pgm.get_reward(dataset.reward), task_policy(dataset.task)
    two_valued = dataset.task in ("binary", "multilabel")
    num_classes = 2 if two_valued else len(dataset.class_names)

    def score_on_test(run):
        metric = pgm.RewardMetric(dataset.reward, policy)
        metric.update_state(parts.y_test, run.test_outputs)
        return float(metric.result())

    def train(build, hypers):
        replicas = [Replica(seed, 1e-3, hyper) for hyper in hypers for seed in range(seeds)]
        runs = train_replicas(
            Network((64, 64)), build, reward, dataset.task, parts, replicas,
            epochs=epochs, batch_size=256, patience=20,
            num_classes=None if two_valued else num_classes,
        )  # fmt: skip
        return np.array([score_on_test(run) for run in runs]).reshape(len(hypers), seeds).mean(1)

    mixed = train(
        lambda hyper: pgm.PolicyGradientLoss(
            dataset.reward, policy=policy, cross_entropy_weights="equal", **hyper
        ),
        [{"cross_entropy": weight} for weight in WEIGHTS],
    )
    (plain,) = train(lambda hyper: pgm.SurrogateLoss("cross_entropy", policy=policy), [{}])
    return {**{f"{w:g}": float(s) for w, s in zip(WEIGHTS, mixed, strict=True)}, "CE": float(plain)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="one set, two seeds, a few epochs")
    parser.add_argument("--data-dir", type=Path, help="folder of the real data sets")
    options = parser.parse_args()
    names = BUNDLED[:1] if options.quick else BUNDLED + (REAL if options.data_dir else ())
    seeds, epochs = (2, 5) if options.quick else (5, 60)
    table = {name: scores(name, options.data_dir, seeds, epochs) for name in names}
    mean = {key: float(np.mean([row[key] for row in table.values()])) for key in table[names[0]]}
    if options.json:
        print(json.dumps({"seeds": seeds, "epochs": epochs, "scores": table, "mean": mean}))
        return
    print(f"{'weight of cross-entropy':24}" + "".join(f"{key:>8}" for key in mean))
    for name, row in {**table, "mean": mean}.items():
        print(f"{name:24}" + "".join(f"{value:8.3f}" for value in row.values()))


if __name__ == "__main__":
    main()
