"""What a trained model is worth on the test rows, how surely, and what drives its decisions."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.inspection import permutation_importance

from policygrad_metrics.data import Dataset
from policygrad_metrics.decision.scorer import Scorer as DecisionScorer
from policygrad_metrics.study.evaluate import Scorer
from policygrad_metrics.study.statistics import Interval
from policygrad_metrics.study.trained.decider import Decider

#: Of rewards of confusion counts, and of others, which take longer.
_RESAMPLES, _FEW_RESAMPLES = 500, 200
#: Most test rows whose columns are shuffled, and how often each is.
_ROWS, _REPEATS = 2000, 5


def bootstrap_interval(scorer: Scorer, y_true: np.ndarray, labels: np.ndarray) -> Interval:
    """Return the reward and its 95 % percentile interval over other test rows of the same kind.

    Rows are drawn again one by one; of a series blocks of neighbours, as long as the root of the
    number of rows (Kuensch 1989); by hand, as `scipy.stats.bootstrap` draws no blocks, and counts
    of all draws are scored at once.

    Args:
        scorer: How labels are scored.
        y_true: The truth.
        labels: Shaped like it.

    >>> scorer = Scorer.of("accuracy", "binary", 2)
    >>> y = np.arange(400) % 2
    >>> bootstrap_interval(scorer, y, np.where(np.arange(400) < 100, 0, y)).format(2)
    '0.88 [0.84, 0.91]'
    """
    N = len(y_true)
    length = max(round(N**0.5), 1) if scorer.series else 1
    starts = np.random.default_rng(0).integers(0, N, [_RESAMPLES, -(-N // length)])
    rows = ((starts[..., None] + np.arange(length)) % N).reshape(_RESAMPLES, -1)[:, :N]
    truth, found = y_true.reshape(N, -1), labels.reshape(N, -1)
    fast = DecisionScorer(scorer.reward, truth, None, scorer.num_classes)
    if fast.by_counts:
        K = scorer.num_classes
        cells = (K * truth + found).T
        shape = len(rows), len(cells), K, K
        counts = [np.bincount(one[some], minlength=K * K) for some in rows for one in cells]
        scores = fast.of_tables(np.reshape(counts, shape))
    else:
        scores = [scorer.score(y_true[some], labels[some]) for some in rows[:_FEW_RESAMPLES]]
    low, high = np.quantile(scores, [0.025, 0.975])
    return Interval(scorer.score(y_true, labels), float(low), float(high), 0.95)


class _OnRows:
    """A model on the table of row numbers that says from which row each column is taken."""

    def __init__(self, decider: Decider, dataset: Dataset):
        self.decider = decider
        self.dataset = dataset

    def fit(self, X: Any, y: Any) -> None:
        """It is fitted."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        numeric, texts = self.dataset.numeric, self.dataset.categorical
        split = numeric.shape[1]
        places = np.arange(split), np.arange(texts.shape[1])
        taken = numeric[X[:, :split], places[0]], texts[X[:, split:], places[1]]
        return self.decider.decide(self.decider.probabilities(*taken))


def importances(
    decider: Decider, scorer: Scorer, dataset: Dataset, rows: np.ndarray, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return by how much the reward falls where a column is shuffled, the largest first.

    Args:
        decider: The model.
        scorer: How labels are scored.
        dataset: All rows.
        rows: The test rows; of more than 2,000 as many are drawn.
        seed: Of what is drawn.

    Returns:
        Column -> mean and standard deviation over five shuffles. Columns that tell the same share
        what they are worth, so that each may seem to be worth little.
    """
    if len(rows) > _ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _ROWS, replace=False))
    names = [*dataset.numeric_names, *dataset.categorical_names]
    found: Any = permutation_importance(
        _OnRows(decider, dataset),
        np.repeat(rows[:, None], len(names), axis=1),
        dataset.y[rows],
        scoring=lambda model, X, y: scorer.score(y, model.predict(X)),
        n_repeats=_REPEATS,
        random_state=seed,
    )
    pairs = zip(names, found.importances_mean, found.importances_std, strict=True)
    drops = {name: (float(mean), float(spread)) for name, mean, spread in pairs}
    return dict(sorted(drops.items(), key=lambda item: -item[1][0]))
