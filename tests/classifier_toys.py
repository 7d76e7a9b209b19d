"""What the tests of the classifier share: small data sets and a quick model."""

import numpy as np
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.preprocessing import StandardScaler

from policygrad_metrics.tabular import PolicyGradientClassifier


def quick(reward="auto", **arguments):
    return PolicyGradientClassifier(
        reward, **{"hidden": (16,), "epochs": 20, "random_state": 0, **arguments}
    )


def cancer_rows():
    """Standardised features, and labels of which the rare one comes first in the alphabet."""
    X, y = load_breast_cancer(return_X_y=True)
    rows = np.r_[np.flatnonzero(y == 0)[:60], np.flatnonzero(y == 1)[:240]]
    X = StandardScaler().fit_transform(X[rows]).astype(np.float32)
    return X, np.where(y[rows] == 0, "ill", "well")


def iris_rows():
    """Standardised features and three classes."""
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X).astype(np.float32), y
