"""Searches that move one number at a time over all its distinct effects.

A threshold, a class weight or a cut-point matters only through the order in which it makes
examples change their label. Sorting that order once and adding up the changes scores *every*
distinct choice in O(N log N). Several numbers are tuned in turn until none of them improves.
"""

from __future__ import annotations

import numpy as np

from policygrad_metrics.decision.rules import CutPoints, Offsets, Thresholds, expected_level
from policygrad_metrics.decision.scorer import Scorer

#: Scores closer than this are equal: a function of your own is computed in float32.
TIE = 2e-7
_MAX_PASSES = 20


def best_thresholds(p: np.ndarray, scorer: Scorer) -> Thresholds:
    """Return the best threshold, or one per label column.

    Exact for one column, and for rewards that are sums over columns; else no single threshold
    can be moved to improve. Of equally good thresholds the nearest to 1/2 wins, so that nothing
    is tuned without need.

    Args:
        p: `[N, C, 2]`.
        scorer: of the same data.
    """
    positive = p[..., 1]
    thresholds = np.full(positive.shape[1], 0.5)
    labels = (positive > thresholds).astype(np.int64)
    score = scorer.score(labels)
    order = np.argsort(-positive, axis=0, kind="stable")
    for _ in range(_MAX_PASSES):
        before = score
        for c in range(len(thresholds)):
            found, value = _sweep_threshold(positive[:, c], order[:, c], labels, c, scorer)
            if value > score + TIE:
                thresholds[c] = found
                labels[:, c] = positive[:, c] > found
                score = value
        if len(thresholds) == 1 or score <= before:
            break
    return Thresholds(tuple(thresholds.tolist()))


def _sweep_threshold(p, order, labels, column, scorer):
    """The best threshold of one column and its score, from "none" to "all" of the ranking."""
    ranked = p[order]
    ends = _run_ends(ranked)
    plain = np.searchsorted(-ranked, -0.5, side="left")
    stops = np.union1d(scorer.stops(ends), plain)  # the plain decision is always a candidate
    start = labels.copy()
    start[:, column] = 0
    scores = scorer.along(start, column, order, 1, stops)
    lower = np.concatenate([ranked, [-1.0 if ranked[-1] <= 0.0 else 0.0]])[stops]
    upper = np.concatenate([[1.0], ranked])[stops]
    thresholds = _between(lower, upper)
    thresholds[stops == plain] = 0.5
    best = _nearest_best(scores, np.abs(thresholds - 0.5))
    return float(thresholds[best]), float(scores[best])


def best_offsets(p: np.ndarray, scorer: Scorer) -> Offsets:
    """Return class weights w for arg-max_k w_k p_k, by coordinate ascent on log w.

    Never worse on these data than the plain arg-max: w = 1 is the first start (inverse class
    frequencies the second), and only what scores better is taken.

    Args:
        p: `[N, 1, K]`.
        scorer: of the same data.
    """
    K = p.shape[-1]
    frequency = np.bincount(scorer.truth[:, 0], weights=scorer.weight[:, 0], minlength=K)
    inverse = 1.0 / np.maximum(frequency / frequency.sum(), 1.0 / len(p))
    found = [_ascend_offsets(p, start, scorer) for start in (np.ones(K), inverse)]
    return Offsets(tuple(_better(*found).tolist()))


def _ascend_offsets(p, weights, scorer):
    labels = np.argmax(p * weights, axis=-1)
    score = scorer.score(labels)
    for _ in range(_MAX_PASSES):
        before = score
        for k in range(len(weights)):
            trial = weights.copy()
            trial[k] = _sweep_weight(p[:, 0], weights, k, scorer)
            tried = np.argmax(p * trial, axis=-1)
            value = scorer.score(tried)
            if value > score + TIE:
                weights, score = trial, value
        if score <= before:
            break
    if (weights != 1.0).any():
        weights = weights / np.exp(np.mean(np.log(weights)))
    return weights, score


def _sweep_weight(p, weights, k, scorer):
    """The best weight of class k: example i joins it above max_{j != k} w_j p_ij / p_ik."""
    rivals = p * weights
    rivals[:, k] = -1.0
    rival = np.argmax(rivals, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        needed = rivals[np.arange(len(p)), rival] / p[:, k]
    needed = np.where(np.isfinite(needed), needed, np.inf)
    order = np.argsort(needed, kind="stable")
    order = order[: np.count_nonzero(np.isfinite(needed))]
    ranked = np.maximum(needed[order], 1e-300)
    if not len(ranked):
        return weights[k]
    stops = scorer.stops(_run_ends(ranked))
    scores = scorer.along(rival[:, None], 0, order, k, stops)
    lower = np.concatenate([[ranked[0] / 4.0], ranked])[stops]
    upper = np.concatenate([ranked, [ranked[-1] * 4.0]])[stops]
    candidates = np.sqrt(lower) * np.sqrt(upper)
    best = _nearest_best(scores, np.abs(np.log(candidates / weights[k])))
    return float(candidates[best])


def best_cut_points(p: np.ndarray, scorer: Scorer) -> CutPoints:
    """Return K - 1 cut-points on the expected level, by coordinate ascent.

    Starts: half-way between levels, and the cuts that give each level its true frequency.

    Args:
        p: `[N, 1, K]`.
        scorer: of the same data.
    """
    K = p.shape[-1]
    level = expected_level(p)[:, 0]
    order = np.argsort(level, kind="stable")
    frequency = np.bincount(scorer.truth[:, 0], weights=scorer.weight[:, 0], minlength=K)
    share = np.cumsum(frequency)[:-1] / frequency.sum()
    mass = np.cumsum(scorer.weight[order, 0])
    matched = level[order][np.minimum(np.searchsorted(mass, share * mass[-1]), len(level) - 1)]
    starts = (np.arange(K - 1) + 0.5, matched)
    found = [_ascend_cuts(level, order, cuts, scorer) for cuts in starts]
    return CutPoints(tuple(_better(*found).tolist()))


def _ascend_cuts(level, order, cuts, scorer):
    cuts = cuts.copy()
    labels = np.searchsorted(cuts, level, side="left")[:, None]
    score = scorer.score(labels)
    for _ in range(_MAX_PASSES):
        before = score
        for j in range(len(cuts)):
            low = cuts[j - 1] if j else -np.inf
            high = cuts[j + 1] if j + 1 < len(cuts) else np.inf
            inside = order[(level[order] > low) & (level[order] <= high)]
            if not len(inside):
                continue
            ranked = level[inside]
            stops = scorer.stops(_run_ends(ranked))
            start = labels.copy()
            start[inside] = j + 1
            scores = scorer.along(start, 0, inside, j, stops)
            lower = np.concatenate([[max(low, ranked[0] - 1.0)], ranked])[stops]
            upper = np.concatenate([ranked, [min(high, ranked[-1] + 1.0)]])[stops]
            candidates = _between(lower, upper)
            best = _nearest_best(scores, np.abs(candidates - cuts[j]))
            if scores[best] > score + TIE:
                cuts[j], score = candidates[best], scores[best]
                labels = np.searchsorted(cuts, level, side="left")[:, None]
        if score <= before:
            break
    return cuts, score


def _better(first, second):
    """Of two (numbers, score) the numbers of the better one; the first if they are level."""
    return second[0] if second[1] > first[1] + TIE else first[0]


def _run_ends(ranked: np.ndarray) -> np.ndarray:
    """0, and the numbers of leading entries that end a run of equal values."""
    changes = np.flatnonzero(np.diff(ranked)) + 1
    return np.concatenate([[0], changes, [len(ranked)]])


def _between(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Numbers half-way, but never the upper one: labels change *above* a threshold."""
    middle = lower + (upper - lower) / 2.0
    return np.where(middle < upper, middle, lower)


def _nearest_best(scores: np.ndarray, distance: np.ndarray) -> int:
    """The candidate of the best score; of equally good ones the nearest to what is."""
    good = np.flatnonzero(scores >= scores.max() - TIE)
    return int(good[np.argmin(distance[good])])
