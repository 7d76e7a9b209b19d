"""What tuning a decision costs, and what it gains: seconds and scores over classes and rows.

The probabilities are biased and noisy. Printed are, for each reward, the score of the arg-max, of
tuned class offsets and of tuned offsets that must gain more than one standard error, and the
seconds of both fits; the first of them compiles. "Gain" is the ratio of the tuned score to that of
the arg-max, on the data that were tuned on.

    python benchmarks/decision.py [--json] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import policygrad_metrics as pgm

REWARDS = ("f1_macro", "cohen_kappa_quadratic", "accuracy", "matthews_corrcoef", "g_mean")
#: Classes and rows.
SIZES = ((3, 5000), (30, 5000), (10, 5000), (30, 20_000), (100, 5000))


def problem(num_classes: int, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities `[N, K]` and labels `[N]`."""
    rng = np.random.default_rng(seed)
    chance = rng.dirichlet(np.exp(rng.normal(size=num_classes)) * 0.3 + 0.05, rows)
    y = (rng.random(rows) > np.cumsum(chance, axis=1).T).sum(axis=0).clip(max=num_classes - 1)
    bias, noise = 0.7 * rng.normal(size=num_classes), 0.5 * rng.normal(size=chance.shape)
    p = (chance + 1e-4) * np.exp(bias + noise)
    return p / p.sum(axis=1, keepdims=True), y


def measure(reward: str, num_classes: int, rows: int) -> dict[str, float | str]:
    """Scores and seconds of one reward."""
    p, y = problem(num_classes, rows)
    row: dict[str, float | str] = {"reward": reward, "classes": num_classes, "rows": rows}
    for name, careful in (("tuned", False), ("careful", True)):
        start = time.perf_counter()
        tuner = pgm.DecisionTuner(reward, "offsets", one_standard_error=careful).fit(p, y)
        row[f"{name}_seconds"] = round(time.perf_counter() - start, 3)
        row[f"{name}_score"] = round(tuner.score_, 4)
    row["default_score"] = round(tuner.plain_score_, 4)
    row["gain"] = round(row["tuned_score"] / max(row["default_score"], 1e-4), 3)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="two rewards, 3 and 30 classes")
    options = parser.parse_args()
    rewards, sizes = (REWARDS[:2], SIZES[:2]) if options.quick else (REWARDS, SIZES)
    measure("f1_macro", 2, 100)  # imports
    rows = [measure(reward, *size) for size in sizes for reward in rewards]
    if options.json:
        print(json.dumps({"rows": rows}))
        return
    print(f"{'reward':24}{'K':>5}{'N':>8}{'default':>10}{'tuned':>8}{'gain':>7}{'seconds':>9}"
          f"{'careful':>9}{'seconds':>9}")  # fmt: skip
    for row in rows:
        print(f"{row['reward']:24}{row['classes']:5}{row['rows']:8}{row['default_score']:10.4f}"
              f"{row['tuned_score']:8.4f}{row['gain']:7.2f}{row['tuned_seconds']:9.2f}"
              f"{row['careful_score']:9.4f}{row['careful_seconds']:9.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
