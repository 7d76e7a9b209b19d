"""Cost against batch size, classes and samples; peak memory at a million sites.

    python benchmarks/scale.py [--json] [--quick] [--plot FILE.png]

Time is that of one gradient of macro-F1 (or of an estimator's own reward), compiled by XLA, median
of several; `nanoseconds` is per number of the logits (and sample): level means linear. Memory is
that of a process of its own, from logits and labels in place to the peak. `peak_over_logits` is
the growth of the peak between 2 and 4 million sites (quick: 1 and 2), over the growth of the
logits, and 1 for the logits themselves; what does not grow with them, mostly the compiler, is
`fixed_megabytes`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BATCHES = (256, 4096, 65_536, 1_048_576)
CLASSES = (2, 10, 100, 1000, 10_000)
SAMPLES = (1, 4, 16, 64)
MILLION = 1_048_576


def problem(batch: int, classes: int):
    """Logits and labels, evenly many of each class."""
    import tensorflow as tf

    logits = tf.random.stateless_normal([batch, classes], seed=[0, 1])
    y_true = tf.random.stateless_uniform([batch], seed=[0, 2], maxval=classes, dtype=tf.int32)
    return logits, y_true


def gradient(estimator, reward: str):
    """A compiled function (logits, y_true) -> gradient."""
    import tensorflow as tf

    import policygrad_metrics as pgm

    scored = pgm.get_reward(reward)

    @tf.function(jit_compile=True)
    def run(logits, y_true):
        seed = 0 if estimator.stochastic else None
        return estimator(logits, scored, y_true, seed=seed).gradient

    return run


def seconds(estimator, reward: str, batch: int, classes: int, repeats: int) -> float:
    """Median seconds of one gradient."""
    import numpy as np

    logits, y_true = problem(batch, classes)
    run = gradient(estimator, reward)
    run(logits, y_true).numpy()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run(logits, y_true).numpy()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def series(name: str, points: list[dict], repeats: int) -> list[dict]:
    """Time the points of one series, each `{estimator, reward, batch, classes}`."""
    rows = []
    for point in points:
        taken = seconds(**point, repeats=repeats)
        size = point["batch"] * point["classes"] * getattr(point["estimator"], "samples", 1)
        rows.append({"series": name, "batch": point["batch"], "classes": point["classes"]})
        rows[-1] |= {"samples": getattr(point["estimator"], "samples", None)}
        rows[-1] |= {"milliseconds": round(1e3 * taken, 3), "nanoseconds": 1e9 * taken / size}
    return rows


def peak(batch: int, classes: int, reward: str) -> float:
    """Bytes by which the peak of a process of its own exceeds logits and labels."""
    words = [sys.executable, __file__, "--peak", str(batch), str(classes), reward]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def own_peak(batch: int, classes: int, reward: str) -> float:
    """The same in this process."""
    import policygrad_metrics as pgm

    run = gradient(pgm.ExactExpectation(), reward)
    run(*problem(64, classes)).numpy()  # what compiling and the threads take
    logits, y_true = problem(batch, classes)
    float(logits[0, 0])
    before = highest_memory()
    run(logits, y_true)[0].numpy()
    return highest_memory() - before


def highest_memory() -> int:
    """Bytes that this process has held at most; Linux's getrusage would count its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def memory_growth(reward: str, batch: int, classes: int = 8) -> dict:
    """Peak memory between `batch` and twice as many sites."""
    size = 4.0 * batch * classes
    small, large = (peak(sites, classes, reward) for sites in (batch, 2 * batch))
    growth = (large - small) / size
    return {
        "reward": reward,
        "batch": batch,
        "classes": classes,
        "peak_over_logits": round(1.0 + growth, 2),
        "fixed_megabytes": round((small - growth * size) / 2**20),
    }


def measure(quick: bool) -> dict:
    """All series and peaks."""
    import policygrad_metrics as pgm

    exact = pgm.ExactExpectation()
    repeats = 3 if quick else 9
    batches = BATCHES[:3] if quick else BATCHES
    classes = CLASSES[:4] if quick else CLASSES
    samples = SAMPLES[:3] if quick else SAMPLES
    rows = series(
        "exact, B",
        [{"estimator": exact, "reward": "f1_macro", "batch": B, "classes": 6} for B in batches],
        repeats,
    )
    rows += series(
        "exact, K",
        [{"estimator": exact, "reward": "f1_macro", "batch": 512, "classes": K} for K in classes],
        repeats,
    )
    rows += series(
        "local expectation, S",
        [
            {
                "estimator": pgm.LocalExpectation(S),
                "reward": "f1_macro",
                "batch": 4096,
                "classes": 6,
            }
            for S in samples
        ],
        repeats,
    )
    rows += series(
        "Poisson-binomial, B",
        [
            {
                "estimator": pgm.PoissonBinomial(),
                "reward": "matthews_corrcoef",
                "batch": B,
                "classes": 2,
            }
            for B in (64, 256, 1024) + (() if quick else (4096, 16_384))
        ],
        repeats,
    )
    rows += series(
        "delta method, B",
        [
            {
                "estimator": pgm.DeltaMethod(),
                "reward": "matthews_corrcoef",
                "batch": B,
                "classes": 6,
            }
            for B in batches
        ],
        repeats,
    )
    names = ("f1_macro",) if quick else ("f1_macro", "jaccard_macro", "cohen_kappa_quadratic")
    memory = [memory_growth(name, MILLION if quick else 2 * MILLION) for name in names]
    return {"rows": rows, "memory": memory}


def plot(rows: list[dict], file: str) -> None:
    """Nanoseconds per number of the logits (and sample), a line per series."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, marker in zip(dict.fromkeys(row["series"] for row in rows), "osD^v", strict=False):
        points = [row for row in rows if row["series"] == name]
        sizes = [row["batch"] * row["classes"] * (row["samples"] or 1) for row in points]
        axes.loglog(sizes, [row["nanoseconds"] for row in points], marker=marker, label=name)
    axes.set_xlabel("numbers: B K (times S)")
    axes.set_ylabel("nanoseconds per number")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--quick", action="store_true", help="smaller problems")
    parser.add_argument("--plot", metavar="FILE.png", help="draw the series")
    parser.add_argument("--peak", nargs=3, metavar=("B", "K", "REWARD"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        batch, classes, reward = arguments.peak
        print(own_peak(int(batch), int(classes), reward))
        return
    result = measure(arguments.quick)
    if arguments.plot:
        plot(result["rows"], arguments.plot)
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"{'series':<22}{'B':>9}{'K':>7}{'S':>5}{'ms':>11}{'ns per number':>15}")
    for row in result["rows"]:
        print(
            f"{row['series']:<22}{row['batch']:>9}{row['classes']:>7}{row['samples'] or '':>5}"
            f"{row['milliseconds']:>11.2f}{row['nanoseconds']:>15.2f}"
        )
    for row in result["memory"]:
        print(
            f"peak memory, {row['reward']}, from B={row['batch']:,}, K={row['classes']}: "
            f"{row['peak_over_logits']} times the logits, and {row['fixed_megabytes']} MB"
        )


if __name__ == "__main__":
    main()
