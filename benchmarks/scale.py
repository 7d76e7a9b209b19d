"""Cost against batch size, classes and samples; peak memory at a million sites.

    python benchmarks/scale.py [--json] [--quick] [--plot FILE.png]

Time is that of one gradient of macro-F1 (or of an estimator's own reward), compiled by XLA, median
of several; `nanoseconds` is per number of the logits (and sample): level means linear.

Memory is that of one gradient at a million sites, in multiples of the logits: logits, labels,
gradient and all temporaries together. `program` is the sum of the compiled program's buffers, as
XLA plans them. `next_call` and `first_call` are measured in a process of its own: the peak of its
resident memory during the call over what it held before there were logits, but after a small
program of the same kind. The first call compiles; what that leaves behind is in the next one too.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BATCHES = (256, 4096, 65_536, 1_048_576)
CLASSES = (2, 10, 100, 1000, 10_000)
SAMPLES = (1, 4, 16, 64)
MILLION = 1_048_576
#: Classes of the problems whose memory is measured; images are often cut into 21 (Pascal VOC).
FEW, MANY = 8, 21


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


def memory(reward: str, batch: int, classes: int) -> dict:
    """What one gradient takes, in multiples of the logits, which are counted in it."""
    words = [sys.executable, __file__, "--peak", str(batch), str(classes), reward]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    sizes = {"program": program_bytes(words)} | json.loads(done.stdout.splitlines()[-1])
    over = {f"{name}_over_logits": size / (4 * batch * classes) for name, size in sizes.items()}
    row = {"reward": reward, "batch": batch, "classes": classes}
    return row | {name: round(ratio, 2) for name, ratio in over.items()}


def program_bytes(words: list[str]) -> int:
    """Bytes of all buffers of the largest program that a command compiles, as XLA plans them."""
    with tempfile.TemporaryDirectory() as folder:
        flags = f"--xla_dump_to={folder} --xla_dump_hlo_module_re=.*inference_run.*"
        subprocess.run(
            words, capture_output=True, check=True, env=os.environ | {"XLA_FLAGS": flags}
        )
        reports = [file.read_text() for file in Path(folder).glob("*memory-usage-report.txt")]
    return max(int(re.findall(r"Total bytes used: (\d+)", text)[0]) for text in reports)


def own_peaks(batch: int, classes: int, reward: str) -> dict[str, int]:
    """How many bytes this process comes to hold for the problem and its first and next gradient."""
    import numpy as np
    import tensorflow as tf

    import policygrad_metrics as pgm
    from policygrad_metrics.core import sums

    exact, limits = pgm.estimators.ExactExpectation(), (sums.WHOLE, sums.BLOCK)
    sums.WHOLE, sums.BLOCK = 1, 64  # a small program of the same kind, with the same compiler
    gradient(exact, reward)(*problem(256, classes)).numpy()
    sums.WHOLE, sums.BLOCK = limits
    before = held_from_now()
    rng = np.random.default_rng(0)
    logits = tf.constant(rng.standard_normal([batch, classes], np.float32))
    y_true = tf.constant(rng.integers(classes, size=batch, dtype=np.int32))
    # TensorFlow keeps the arrays that it copied, which no network makes, until it gets another.
    tf.constant(np.zeros(1))
    run, peaks = gradient(exact, reward), {}
    for call in ("first_call", "next_call"):
        held_from_now()
        run(logits, y_true)[0].numpy()
        peaks[call] = held("VmHWM") - before
    return peaks


def held_from_now() -> int:
    """Bytes that this process holds, what was freed given back; peaks are counted from here."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return held("VmRSS")


def held(what: str) -> int:
    """Bytes that this process holds (VmRSS) or has held at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(what)).split()[1])


def measure(quick: bool) -> dict:
    """All series and peaks."""
    import policygrad_metrics as pgm

    exact = pgm.estimators.ExactExpectation()
    repeats = 3 if quick else 9
    batches = BATCHES[:2] if quick else BATCHES
    classes = CLASSES[:3] if quick else CLASSES
    samples = SAMPLES[:2] if quick else SAMPLES
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
                "estimator": pgm.estimators.LocalExpectation(S),
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
                "estimator": pgm.estimators.PoissonBinomial(),
                "reward": "matthews_corrcoef",
                "batch": B,
                "classes": 2,
            }
            for B in (64, 256) + (() if quick else (1024, 4096, 16_384))
        ],
        repeats,
    )
    rows += series(
        "delta method, B",
        [
            {
                "estimator": pgm.estimators.DeltaMethod(),
                "reward": "matthews_corrcoef",
                "batch": B,
                "classes": 6,
            }
            for B in batches
        ],
        repeats,
    )
    names = ("f1_macro",) if quick else ("f1_macro", "jaccard_macro", "cohen_kappa_quadratic")
    tables = [
        memory(name, MILLION, K) for K in ((FEW,) if quick else (FEW, MANY)) for name in names
    ]
    return {"rows": rows, "memory": tables}


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
        print(json.dumps(own_peaks(int(batch), int(classes), reward)))
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
    print(f"{'memory over logits':<22}{'B':>9}{'K':>7}{'program':>9}{'next':>7}{'first':>7}")
    for row in result["memory"]:
        print(
            f"{row['reward']:<22}{row['batch']:>9}{row['classes']:>7}"
            f"{row['program_over_logits']:>9}{row['next_call_over_logits']:>7}"
            f"{row['first_call_over_logits']:>7}"
        )


if __name__ == "__main__":
    main()
