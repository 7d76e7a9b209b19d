"""scikit-learn: a pipeline with grid search, trained on, tuned by and judged on macro-F1.

A table with words and numbers, five classes, the rarest 3 %. `PolicyGradientClassifier` is the
last step of a pipeline like any other classifier; the grid chooses how much cross-entropy to mix
in and whether to tune class offsets, by three-fold cross-validation of the reward itself.

    python examples/sklearn_pipeline.py
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import classification_report, f1_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from policygrad_metrics.data import load
from policygrad_metrics.losses.policy_gradient import DEFAULT_CROSS_ENTROPY
from policygrad_metrics.tabular import PolicyGradientClassifier


def table(rows):
    """Six numbers and one word for each row; the word is the first number, in three ranges."""
    dataset = load("imbalanced5", seed=0)
    words = np.array(["low", "middle", "high"])[np.digitize(dataset.numeric[:, 0], [-0.5, 0.5])]
    x = np.empty([len(dataset), 7], object)
    x[:, :6], x[:, 6] = dataset.numeric, words
    return train_test_split(
        x[:rows], dataset.y[:rows], test_size=0.4, stratify=dataset.y[:rows], random_state=0
    )


def pipeline(classifier):
    columns = make_column_transformer(
        (StandardScaler(), [0, 1, 2, 3, 4, 5]), (OneHotEncoder(), [6]), sparse_threshold=0
    )
    return Pipeline([("columns", columns), ("classifier", classifier)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rows and epochs")
    parser.add_argument("--out", help="not used: nothing is written")
    quick = parser.parse_args().quick
    x, x_test, y, y_test = table(1000 if quick else 4000)
    epochs = 20 if quick else 100

    model = pipeline(PolicyGradientClassifier("f1_macro", epochs=epochs, random_state=0))
    grid = {
        "classifier__cross_entropy": [0.1, DEFAULT_CROSS_ENTROPY],
        "classifier__tune_decision": [False, True],
    }
    start = time.perf_counter()
    search = GridSearchCV(model, grid, scoring="f1_macro", cv=3).fit(x, y)
    seconds = time.perf_counter() - start
    results = search.cv_results_
    print("cross_entropy  tune_decision  macro-F1, mean of 3 folds")
    for settings, score in zip(results["params"], results["mean_test_score"], strict=True):
        print("{:13}  {!s:13}  {:.3f}".format(*settings.values(), score))

    other = pipeline(MLPClassifier((64, 64), max_iter=epochs, random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # both have the same epochs
        other.fit(x, y)
    print(f"\n{len(y)} rows, {3 * len(results['params']) + 1} fits in {seconds:.1f} s")
    print("macro-F1 on the test rows:")
    for name, fitted in (("MLPClassifier, same layers", other), ("the best of the grid", search)):
        print(f"  {name:27} {f1_score(y_test, fitted.predict(x_test), average='macro'):.3f}")
    print()
    print(classification_report(y_test, search.predict(x_test), zero_division=0))


if __name__ == "__main__":
    main()
