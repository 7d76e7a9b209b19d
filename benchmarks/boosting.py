"""Boosted trees on the expected reward: which curvature, and how much cross-entropy.

Every choice grows LightGBM's trees on the same splits, stopped by the reward of the validation
part, and is scored on the test part by its default decision. Times are of a tree, the reward of the
validation part included, relative to LightGBM's own objective in the same run.

    python benchmarks/boosting.py [--json] [--quick] [--data-dir FOLDER] [--seeds N] [--sets A,B]
    python benchmarks/boosting.py --merge A.json B.json
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import policygrad_metrics as pgm
from policygrad_metrics import data
from policygrad_metrics.tabular.boosting_loss import cross_entropy_derivatives
from policygrad_metrics.tabular.rows import Rows
from policygrad_metrics.tabular.trees import Trees, TreeSettings

WEIGHTS = (0.1, 0.3, 1.0)
ROUNDS, PATIENCE = 120, 40
BUNDLED = ("breast_cancer_36", "random", "imbalanced5", "diabetes_levels")
REAL = ("ecoli", "pima", "german_credit", "winequality_red")
#: Curvature of the loss from gradient g and Hessian diagonal h of W E[R], those of the
#: cross-entropy, s, and its weight c. LightGBM refuses no sign: the first two are kept positive.
CURVATURES = {
    "half |g|": lambda g, h, s, c: 0.5 * np.abs(g) + c * s,
    "exact, clipped": lambda g, h, s, c: np.maximum(c * s - h, 1e-3 * s),
    "exact, absolute": lambda g, h, s, c: np.abs(c * s - h),
    "Gauss-Newton": lambda g, h, s, c: (1.0 + c) * s,
}
OWN = "LightGBM's own"


def objective(reward: str, curvature: str, c: float):
    """The loss with one of the curvatures, as `Trees` calls it."""

    def derivatives(y, logits, weight=None):
        y = y.astype(int)
        _, gradient, hessian = pgm.expected_reward(reward, y, logits)
        slope, own = cross_entropy_derivatives(y, logits, None)
        climb = len(y) * gradient
        return c * slope - climb, CURVATURES[curvature](climb, len(y) * hessian, own, c)

    return derivatives


def choices(reward: str, num_classes: int) -> dict[str, object]:
    """Everything that is grown: name -> objective."""
    mixed = {
        f"{name}, c = {c:g}": objective(reward, name, c) for name in CURVATURES for c in WEIGHTS
    }
    return {OWN: "binary" if num_classes == 2 else "multiclass", **mixed}


def measured(name: str, folder: Path | None, seeds: int, rounds: int) -> dict[str, dict]:
    """Mean test reward and seconds of a tree of each choice on one data set."""
    dataset = data.load(name, seed=0, folder=folder)
    reward, K = dataset.reward, len(dataset.class_names)
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(seeds):
        parts = data.prepare(dataset, data.split(dataset, seed))
        train, valid = (
            Rows(x.astype(np.float32), y.astype(np.float32), None)
            for x, y in ((parts.x_train, parts.y_train), (parts.x_valid, parts.y_valid))
        )
        # Compiled before any time is taken.
        pgm.expected_reward(reward, parts.y_train, np.zeros((len(train), K)))
        pgm.boosting.lightgbm_metric(reward)(parts.y_valid, np.zeros((len(valid), K)))
        for choice, loss in choices(reward, K).items():
            settings = TreeSettings(rounds, 15, 0.1, n_jobs=1, seed=seed)
            trees = Trees(settings, loss, pgm.boosting.lightgbm_metric(reward), K)  # type: ignore
            start = time.process_time()
            history = trees.train(train, valid, PATIENCE)
            grown = len(next(iter(history.values())))
            seconds = (time.process_time() - start) / grown
            logits = trees.outputs(parts.x_test)
            labels = logits[:, 0] > 0.0 if K == 2 else logits.argmax(axis=1)
            score = float(pgm.get_reward(reward)(parts.y_test, labels.astype(int), num_classes=K))
            found.setdefault(choice, []).append((score, seconds))
    return {
        choice: {"reward": float(np.mean(scores)), "seconds": float(np.median(times))}
        for choice, (scores, times) in ((k, zip(*v, strict=True)) for k, v in found.items())
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="one set, one seed, a few trees")
    parser.add_argument("--data-dir", type=Path, help="folder of the real data sets")
    parser.add_argument("--seeds", type=int, default=3, help="splits of each data set")
    parser.add_argument("--sets", help="data sets, separated by commas")
    parser.add_argument("--merge", nargs="+", type=Path, help="print what --json wrote")
    options = parser.parse_args()
    names = BUNDLED + (REAL if options.data_dir else ())
    names = tuple(options.sets.split(",")) if options.sets else names
    seeds, rounds = options.seeds, ROUNDS
    if options.quick:
        names, seeds, rounds = ("breast_cancer_36",), 1, 3
    if options.merge:
        found = {k: v for file in options.merge for k, v in json.loads(file.read_text()).items()}
    else:
        found = {name: measured(name, options.data_dir, seeds, rounds) for name in names}
    print(json.dumps(found) if options.json else table(found))


def table(found: dict[str, dict[str, dict]]) -> str:
    """Rewards of each data set, their mean, and the time of a tree beside LightGBM's own."""
    names = list(found)
    lines = [
        f"| objective | {' | '.join(names)} | mean | time of a tree |",
        "| --- |" + " ---: |" * (len(names) + 2),
    ]
    for choice in next(iter(found.values())):
        rewards = [found[name][choice]["reward"] for name in names]
        ratios = [found[n][choice]["seconds"] / found[n][OWN]["seconds"] for n in names]
        cells = [f"{x:.3f}".lstrip("0") for x in (*rewards, np.mean(rewards))]
        time_of_tree = np.exp(np.mean(np.log(ratios)))
        shown = choice.replace("|", "\\|")
        lines.append(f"| {shown} | {' | '.join(cells)} | {time_of_tree:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
