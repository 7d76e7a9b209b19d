"""What the tests of the level regressor share."""

import numpy as np

from policygrad_metrics.tabular import PolicyGradientLevelRegressor

EDGES = (35.0, 75.0)


def quick_levels(edges=EDGES, **arguments):
    small = {"hidden": (16,), "epochs": 40, "learning_rate": 0.02, "random_state": 0}
    return PolicyGradientLevelRegressor(edges, **{**small, **arguments})


def smog(N=200, seed=0):
    """Features, and concentrations that follow two of them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=[N, 4]).astype(np.float32)
    y = np.exp(3.6 + 0.8 * X[:, 0] - 0.4 * X[:, 1] + 0.1 * rng.normal(size=N))
    return X, y
