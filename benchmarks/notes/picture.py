"""The picture of docs/results.md and of the README, from the tables of the standard suite's note.

python benchmarks/notes/picture.py
"""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
PICTURE = HERE.parents[1] / "docs" / "standard_suite.png"
OTHERS = ("logistic_regression", "gradient_boosting", "boosting_cross_entropy")


def scores(note):
    """For each data set the default and the tuned score of each method."""
    found = {}
    for part in note.split("\n### ")[1:]:
        rows = re.findall(r"^\| \**(\w+)\** \| \**([\d.-]+).*? \| \**([\d.-]+)", part, re.MULTILINE)
        found[part.split(":", 1)[0]] = {name: (float(d), float(t)) for name, d, t in rows}
    return found


def differences(found):
    """Scores minus those of cross-entropy with a tuned decision, one row a data set."""
    rows = []
    for methods in found.values():
        reference = methods["cross_entropy"][1]
        best = max(methods[name][1] for name in OTHERS)
        tuned, plain = methods["policy_gradient"][1], methods["cross_entropy"][0]
        rows.append([tuned - reference, plain - reference, best - reference])
    return np.array(rows)


def main():
    found = scores((HERE / "standard_suite.md").read_text())
    moved = differences(found)
    order = np.argsort(moved[:, 0])
    names = np.array(list(found))[order]
    figure, axes = plt.subplots(figsize=(6.6, 6.4), layout="constrained")
    axes.axvline(0.0, color="0.4", linewidth=1)
    places = np.arange(len(order))
    axes.hlines(places, 0.0, moved[order, 0], color="#00695c", linewidth=2)
    drawn = [("policy gradient, tuned decision", "o", "#00695c", "#00695c")]
    drawn += [("cross-entropy, most probable class", "o", "none", "#b00020")]
    drawn += [
        ("linear model or boosted trees, tuned, whichever tests better", "x", "#555555", None)
    ]
    for column, (label, marker, face, edge) in enumerate(drawn):
        axes.scatter(
            moved[order, column], places, 36, face, marker=marker, edgecolors=edge, label=label
        )
    axes.set_yticks(places, names)
    axes.set_xlabel("test score minus that of cross-entropy with a tuned decision (0)")
    axes.grid(axis="x", color="0.9")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.38, 1.16), ncols=1, frameon=False)
    figure.savefig(PICTURE, dpi=130)


if __name__ == "__main__":
    main()
