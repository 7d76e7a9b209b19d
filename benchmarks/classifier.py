"""PolicyGradientClassifier beside scikit-learn's MLPClassifier: test reward and time to fit.

Both with their defaults, hidden layers of 64 and 64, the same prepared features and the same rows
(the training and the validation part); each set is judged by the reward it is made for. A rank of
1 is the best; times are seconds of the wall clock, compiling included, in the order of the table.

    python benchmarks/classifier.py --data-dir FOLDER [--seeds N] [--sets a,b] [--json] [--quick]
    python benchmarks/classifier.py --merge FILE ...

The second puts what several runs printed with --json into one table, without fitting anything.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import policygrad_metrics as pgm
from policygrad_metrics import data

MLP = "MLPClassifier"
#: What differs from the defaults.
OURS = {
    "PolicyGradientClassifier": {},
    "the same, early_stopping=True": {"early_stopping": True},
    "the same, running_counts=True": {"running_counts": True},
}
#: So large that they are run only if named.
LARGE = ("beijing_pm25", "mnist", "pm25")


def run(name, folder, seed, epochs) -> dict[str, tuple[float, float]]:
    """Test reward and seconds to fit of each method on one split of one data set."""
    dataset = data.load(name, seed=0, folder=folder)
    parts = data.prepare(dataset, data.split(dataset, seed))
    x = np.concatenate([parts.x_train, parts.x_valid])
    y = np.concatenate([parts.y_train, parts.y_valid])
    reward = pgm.get_reward(dataset.reward)
    if dataset.task == "multilabel":
        reward = reward.for_multilabel()
    num_classes = 2 if dataset.task == "multilabel" else len(dataset.class_names)
    models = {MLP: MLPClassifier((64, 64), random_state=seed, max_iter=epochs)}
    for label, arguments in OURS.items():
        models[label] = pgm.PolicyGradientClassifier(
            dataset.reward, random_state=seed, epochs=epochs, **arguments
        )
    found = {}
    for label, model in models.items():
        start = time.perf_counter()
        model.fit(x, y)
        seconds = time.perf_counter() - start
        score = float(reward(parts.y_test, model.predict(parts.x_test), num_classes=num_classes))
        found[label] = (round(score, 4), round(seconds, 2))
    return found


def fit_all(names, folder, seeds, epochs) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Of each set and method, reward and seconds on every split."""
    table = {}
    for name in names:
        print(f"fitting on {name}", file=sys.stderr)
        runs = [run(name, folder, seed, epochs) for seed in range(seeds)]
        table[name] = {label: [found[label] for found in runs] for label in runs[0]}
    return table


def merged(paths) -> tuple[dict, int, int]:
    """The sets of several outputs, in the catalogue's order, their seeds and epochs.

    Raises:
        SystemExit: the outputs are of different numbers of seeds or epochs.
    """
    outputs = [json.loads(path.read_text()) for path in paths]
    kinds = {(output["seeds"], output["epochs"]) for output in outputs}
    if len(kinds) != 1:
        raise SystemExit(f"the files must agree on seeds and epochs; they are {sorted(kinds)}.")
    sets = {name: row for output in outputs for name, row in output["sets"].items()}
    return {name: sets[name] for name in data.available() if name in sets}, *kinds.pop()


def summary(table) -> dict[str, dict[str, float]]:
    """Mean rank over the sets, by the mean score over seeds, and total seconds."""
    scores = np.array([[np.mean([s for s, _ in runs]) for runs in row.values()] for row in table])
    seconds = np.array([[sum(t for _, t in runs) for runs in row.values()] for row in table])
    ranks = rankdata(-scores.round(4), axis=1).mean(axis=0)
    against = 1.5 + 0.5 * np.sign(scores[:, :1].round(4) - scores.round(4))
    return {
        label: {
            "mean score": round(float(scores[:, i].mean()), 4),
            "mean rank": round(float(ranks[i]), 2),
            f"mean rank against {MLP}": round(float(against[:, i].mean()), 2),
            "seconds": round(float(seconds[:, i].sum()), 1),
        }
        for i, label in enumerate(table[0])
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="two bundled sets, a few epochs")
    parser.add_argument("--data-dir", type=Path, help="folder of the real data sets")
    parser.add_argument("--seeds", type=int, default=3, help="splits, each with its own weights")
    parser.add_argument("--sets", help="names of data sets, with commas between")
    parser.add_argument("--merge", type=Path, nargs="+", metavar="FILE", help="outputs of --json")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    seeds, epochs = (1, 3) if options.quick else (options.seeds, 200)
    names = [name for name in data.available() if name not in LARGE]
    if options.data_dir is None:
        names = [n for n in names if "needs a folder" not in data.available()[n]]
    if options.quick:
        names = ["iris", "breast_cancer_36"]
    if options.sets:
        names = options.sets.split(",")
    if options.merge:
        table, seeds, epochs = merged(options.merge)
    else:
        table = fit_all(names, options.data_dir, seeds, epochs)
    total = summary(list(table.values()))
    if options.json:
        print(json.dumps({"seeds": seeds, "epochs": epochs, "sets": table, "summary": total}))
        return
    print("| set | " + " | ".join(total) + " |")
    print("| --- |" + " ---: |" * len(total))
    for name, row in table.items():
        cells = (f"{np.mean([s for s, _ in runs]):.3f}" for runs in row.values())
        print(f"| {name} | " + " | ".join(cells) + " |")
    for key in next(iter(total.values())):
        print(f"| {key} | " + " | ".join(f"{values[key]:g}" for values in total.values()) + " |")


if __name__ == "__main__":
    main()
