"""Which decisions of a sweep to score: all of them, or the best by an approximation.

A sweep changes the labels of examples one after the other. A confusion table is `K^2` numbers, and
there is one after each change. All of them are scored while that is cheap. Else:

1. The reward and its derivatives are computed at a few stops, the grid.
2. The reward at every stop is approximated in O(N). A change is worth the derivative by the cell
   that it adds to, less the derivative by the cell that it takes from. These worths are added up
   from the grid's stop on the left, and from that on the right. The two sums are mixed by distance.
   The error is of third order in the length of the step between two stops of the grid.
3. The best stops by this approximation are scored exactly.
"""

from __future__ import annotations

import numpy as np

from policygrad_metrics.decision.scorer import Scorer

#: Most numbers in the confusion tables of all sweeps of one pass, if every stop is scored.
PASS_BUDGET = 2**22
#: Most numbers in the confusion tables of one sweep, if stops are chosen.
SWEEP_BUDGET = 2**14
#: Fewest and most stops that are chosen: of the grid, and once more of the best.
_FEWEST, _MOST = 8, 32


def score_stops(
    scorer: Scorer,
    labels: np.ndarray,
    column: int,
    order: np.ndarray,
    after: int,
    ends: np.ndarray,
    kept: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return those stops of a sweep that are worth scoring, increasing, and their rewards.

    Args:
        scorer: of the data.
        labels: int `[N, C]` before the sweep.
        column: the label column.
        order: examples in the order in which they change.
        after: their new label.
        ends: increasing numbers of changes between which to choose, the first 0, the last
            `len(order)`.
        kept: one of `ends`, which is always scored.
    """
    path = (labels, column, order, after)
    if not scorer.by_counts:
        stops = ends
        if not scorer.by_examples and len(ends) > scorer.max_calls:
            stops = np.union1d(_spaced(ends, scorer.max_calls - 1), kept)
        return stops, scorer.along(*path, stops)
    C, K = labels.shape[1], scorer.num_classes
    table = C * scorer.table_rows * K
    most = PASS_BUDGET // (C * (K - 1) * table)
    few = int(np.clip(SWEEP_BUDGET // table, _FEWEST, _MOST))
    if len(ends) <= max(most, 2 * few):
        return ends, scorer.along(*path, ends)
    grid = np.union1d(_dense_at_the_ends(ends, few), kept)
    scores, slopes = _with_slopes(scorer, scorer.tables_along(*path, grid))
    guessed = _interpolated(scorer, path, grid, scores, slopes[:, column])[ends]
    chosen = ends[np.argpartition(-guessed, few)[:few]]
    chosen = np.setdiff1d(chosen, grid)
    if not len(chosen):
        return grid, scores
    stops = np.concatenate([grid, chosen])
    scores = np.concatenate([scores, scorer.along(*path, chosen)])
    place = np.argsort(stops)
    return stops[place], scores[place]


def _spaced(ends: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the ends, evenly spaced ranks, the first and the last among them."""
    return ends[np.unique(np.linspace(0, len(ends) - 1, most).round().astype(int))]


def _dense_at_the_ends(ends: np.ndarray, most: int) -> np.ndarray:
    """As `_spaced`, but denser at both ends: there a class has few examples, or nearly all."""
    t = np.linspace(0.0, 1.0, most)
    place = t**2 / (t**2 + (1.0 - t) ** 2)
    return ends[np.unique((place * (len(ends) - 1)).round().astype(int))]


def _with_slopes(scorer, tables):
    """Rewards and slopes; slopes of zero where TensorFlow knows none."""
    try:
        return scorer.with_slopes(tables)
    except LookupError:
        return scorer.of_tables(tables), np.zeros_like(tables)


def _interpolated(scorer, path, grid, scores, slopes) -> np.ndarray:
    """The approximate reward after 0, 1, ... all changes."""
    labels, column, order, after = path
    K, rows = scorer.num_classes, scorer.table_rows
    segment = np.repeat(np.arange(len(grid) - 1), np.diff(grid))  # of each change
    row = (segment * rows + scorer.row[order, column]) * K
    slopes, weight = slopes.ravel(), scorer.weight[order, column]
    cell, change = row + labels[order, column], row + after

    def totals(shift):
        """What the changes up to each stop are worth, by the derivatives at a stop of the grid."""
        worth = weight * (slopes[change + shift] - slopes[cell + shift])
        return np.concatenate([[0.0], np.cumsum(worth)])

    from_left, from_right = totals(0), totals(rows * K)
    stop = np.arange(len(order) + 1)
    s = np.append(segment, segment[-1])
    left = scores[s] + from_left - from_left[grid[s]]
    right = scores[s + 1] + from_right - from_right[grid[s + 1]]
    share = (stop - grid[s]) / np.diff(grid)[s]
    return np.nan_to_num((1.0 - share) * left + share * right, nan=-np.inf)
