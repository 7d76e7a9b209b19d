"""What constraints keep, and what they cost: against published problems.

    python benchmarks/constraints.py [--json] [--quick] [--data-dir FOLDER]

"recall": ten features, 1,000 examples of a linear rule, 200 labels flipped, a linear model scored
on the data it is trained on: as few errors as possible with a recall of at least .9. That is the
recipe of TensorFlow Constrained Optimization's notebook Recall_constraint_keras, whose own figures
are a recall of .902 (and .782 without the constraint). "expected" is the rate of the policy that
was trained, "decided" that of its labels with the threshold of `DecisionTuner(subject_to=)`, and
"excess" the largest violation of the expected rate over the last third of training, on all data.
"logistic" is scikit-learn's logistic regression with the same tuner.

"large": constraints whose multiplier must become large, or with few positives: 20 features, a
network of 64 units, 944 steps of 256 examples ("whole": of all examples). "mean" is the mean
violation over the last third of training and "reward" the mean expected reward; the largest excess
and the means of 3 draws.

"h_mean": the harmonic mean of the classes' recalls on page_blocks (with --data-dir), 70/30 splits
of random state 0 to 9. Published: logistic .584, balanced .871, Frank-Wolfe .883.
"""

from __future__ import annotations

import argparse
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import policygrad_metrics as pgm
from policygrad_metrics.rewards.inequalities import Constraints

FLOOR = "recall >= 0.9"


def flipped_rule(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """1,000 examples of a linear rule with 200 flipped labels."""
    rng = np.random.default_rng(seed)
    rule = rng.normal(size=10) / np.sqrt(10)
    x = rng.normal(size=(1000, 10))
    y = (x @ rule > 0.0).astype(np.int64)
    wrong = rng.choice(1000, 200, replace=False)
    y[wrong] = 1 - y[wrong]
    return x.astype(np.float32), y


def rates(y: np.ndarray, p: np.ndarray) -> tuple[float, float]:
    """Recall and error of labels that are 1 with probability p."""
    return float(p[y == 1].mean()), float(np.mean(np.where(y == 1, 1.0 - p, p)))


class Watch(keras.callbacks.Callback):
    """Keeps the expected recall on all data after each epoch."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y, self.recalls = x, y, []

    def on_epoch_end(self, epoch, logs=None):
        """Measure."""
        self.recalls.append(rates(self.y, probabilities(self.model, self.x))[0])


def probabilities(model, x: np.ndarray) -> np.ndarray:
    """Of class 1, `[N]`."""
    return keras.ops.convert_to_numpy(keras.ops.sigmoid(model(x)))[:, 0].astype(np.float64)


def recall_row(seed: int, epochs: int, *, constrained: bool) -> dict[str, object]:
    """Train on one draw of the recipe, with the constraint or without."""
    x, y = flipped_rule(seed)
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(1)])
    floor = FLOOR if constrained else None
    loss = pgm.PolicyGradientLoss("accuracy", subject_to=floor)
    model.compile(keras.optimizers.Adam(0.02), loss=loss)
    watch = Watch(x, y)
    model.fit(x, y, batch_size=100, epochs=epochs, verbose=0, callbacks=[watch])
    p = probabilities(model, x)
    expected, decided = rates(y, p), tuned(p, y, floor)
    last = watch.recalls[-epochs // 3 :]
    name = "policy gradient, recall >= .9" if constrained else "policy gradient"
    excess = 0.9 - min(last) if constrained else None
    return row(name, expected, decided, excess)


def tuned(p: np.ndarray, y: np.ndarray, floor: str | None) -> tuple[float, float]:
    """Recall and error of tuned decisions."""
    tuner = pgm.DecisionTuner("accuracy", "threshold", subject_to=floor).fit(p, y)
    return rates(y, tuner.predict(p).astype(np.float64))


def logistic_row(seed: int) -> dict[str, object]:
    """The threshold of logistic regression under the constraint."""
    x, y = flipped_rule(seed)
    p = LogisticRegression().fit(x, y).predict_proba(x)[:, 1]
    return row("logistic, recall >= .9", rates(y, p), tuned(p, y, FLOOR), None)


def row(model, expected, decided, excess) -> dict[str, object]:
    """One line of the table."""
    return {
        "model": model,
        "expected_recall": expected[0],
        "decided_recall": decided[0],
        "decided_error": decided[1],
        "excess": excess,
    }


#: Reward, constraint, share of positives, examples, batch size.
LARGE = (
    ("accuracy", "recall >= 0.8", 0.02, 4000, 256),
    ("f1", "recall >= 0.8", 0.02, 4000, 256),
    ("precision", "recall >= 0.8", 0.02, 4000, 256),
    ("precision", "recall >= 0.8", 0.02, 4000, 4000),
    ("recall", "precision >= 0.9", 0.1, 2000, 256),
    ("recall", "false_positive_rate <= 0.01", 0.1, 2000, 256),
    ("recall", "coverage <= 0.05", 0.1, 2000, 256),
)


class Rates(keras.callbacks.Callback):
    """Keeps the excess and the reward expected on all data after each epoch."""

    def __init__(self, x, y, reward, constraint):
        super().__init__()
        self.x, self.y, self.kept = x, y, []
        self.reward = pgm.get_reward(reward)
        self.constraints = Constraints.of(constraint)

    def on_epoch_end(self, epoch, logs=None):
        """Measure."""
        p = probabilities(self.model, self.x)
        counts = np.array([[np.sum(q[self.y == t]) for q in (1.0 - p, p)] for t in (0, 1)])
        excess = float(self.constraints.excess(counts[None, None])[0])
        self.kept.append((excess, float(self.reward.score_counts(counts))))


def large_row(reward, constraint, positives, size, batch_size, seed, steps) -> dict[str, object]:
    """Train under a constraint with a large multiplier."""
    x, y = make_classification(
        size,
        20,
        n_informative=6,
        weights=[1.0 - positives],
        flip_y=positives / 2,
        random_state=seed,
    )
    keras.utils.set_random_seed(seed)
    network = [keras.Input((20,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(1)]
    model = keras.Sequential(network)
    model.compile("adam", loss=pgm.PolicyGradientLoss(reward, subject_to=constraint))
    watch = Rates(x.astype(np.float32), y, reward, constraint)
    epochs = steps // -(-size // batch_size)
    settings = {"batch_size": batch_size, "epochs": epochs, "callbacks": [watch]}
    model.fit(watch.x, y, verbose=0, **settings)
    excess, scores = np.array(watch.kept[-epochs // 3 :]).T
    whole = ", whole" if batch_size == size else ""
    return {
        "model": f"{reward}, {constraint}, {positives:.0%}{whole}",
        "excess": float(excess.max()),
        "mean": float(excess.mean()),
        "reward": float(scores.mean()),
    }


def h_mean_rows(folder: str, splits: int) -> list[dict[str, object]]:
    """Harmonic mean of recalls on page_blocks, for each model and split."""
    data = pgm.data.load("page_blocks", folder=folder)
    reward, rows = pgm.get_reward("h_mean"), []
    for split in range(splits):
        x, xt, y, yt = train_test_split(data.numeric, data.y, test_size=0.3, random_state=split)
        network = pgm.PolicyGradientClassifier("h_mean", random_state=split)
        models = {
            "logistic": LogisticRegression(max_iter=1000),
            "logistic, balanced": LogisticRegression(max_iter=1000, class_weight="balanced"),
            "policy gradient": network,
        }
        for name, model in models.items():
            labels = make_pipeline(StandardScaler(), model).fit(x, y).predict(xt)
            rows.append({"model": name, "h_mean": float(reward(yt, labels))})
    return rows


def means(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """The mean of each number over the rows of a model."""
    names = dict.fromkeys(one["model"] for one in rows)
    found = []
    for name in names:
        mine = [one for one in rows if one["model"] == name]
        numbers = {key: [one[key] for one in mine] for key in mine[0] if key != "model"}
        worst = {"excess": np.max}
        found.append(
            {"model": name, "runs": len(mine)}
            | {
                key: round(float(worst.get(key, np.mean)(values)), 4)
                for key, values in numbers.items()
                if None not in values
            }
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="one draw, few epochs")
    parser.add_argument("--data-dir", help="folder of page_blocks.csv")
    options = parser.parse_args()
    draws, epochs = (1, 5) if options.quick else (10, 100)
    rows = [
        recall_row(seed, epochs, constrained=constrained)
        for constrained in (False, True)
        for seed in range(draws)
    ]
    table = {"recall": means(rows + [logistic_row(seed) for seed in range(draws)])}
    few, steps = (1, 96) if options.quick else (3, 944)
    table["large"] = means([large_row(*one, seed, steps) for one in LARGE for seed in range(few)])
    if options.data_dir is not None:
        table["h_mean"] = means(h_mean_rows(options.data_dir, draws))
    if options.json:
        print(json.dumps(table))
        return
    for problem, lines in table.items():
        print(problem)
        for line in lines:
            print("  " + "  ".join(f"{key} {value}" for key, value in line.items()))


if __name__ == "__main__":
    main()
