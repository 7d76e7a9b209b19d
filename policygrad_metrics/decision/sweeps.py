"""Searches that move one number at a time over all its distinct effects.

A threshold, a class offset or a cut-point matters only through the order in which it makes
examples change their label. Sorting that order once and adding up the changes gives the confusion
counts of *every* distinct choice; `paths.py` says which of them are scored. A sweep over one number
takes O(N log N) and the scoring. Several numbers are tuned in turn until none of them improves.
"""

from __future__ import annotations

import numpy as np

from policygrad_metrics.decision.paths import score_stops
from policygrad_metrics.decision.rules import (
    SPREAD,
    CutPoints,
    Offsets,
    Thresholds,
    expected_level,
    relative,
)
from policygrad_metrics.decision.scorer import Scorer

#: Scores closer than this are equal: a function of your own is computed in float32.
TIE = 2e-7
_MAX_PASSES = 20
#: Logarithms closer than this are equal: they round, but equal odds must stay equal.
_SAME_LOG = 1e-11
_LOG_4 = float(np.log(4.0))


def best_thresholds(p: np.ndarray, scorer: Scorer) -> Thresholds:
    """Return the best threshold, or one per label column.

    No single threshold can be moved to improve, as far as `paths.py` scores every candidate. So
    the thresholds are the best of all for one column, and for rewards that are sums over columns.
    Of equally good thresholds the nearest to 1/2 wins, so that nothing is tuned without need.

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
    plain = int(np.searchsorted(-ranked, -0.5, side="left"))
    ends = np.union1d(ends, plain)  # the default decision is always a candidate
    start = labels.copy()
    start[:, column] = 0
    stops, scores = score_stops(scorer, start, column, order, 1, ends, plain)
    lower = np.concatenate([ranked, [-1.0 if ranked[-1] <= 0.0 else 0.0]])[stops]
    upper = np.concatenate([[1.0], ranked])[stops]
    thresholds = _between(lower, upper)
    thresholds[stops == plain] = 0.5
    best = _nearest_best(scores, np.abs(thresholds - 0.5))
    return float(thresholds[best]), float(scores[best])


def best_offsets(p: np.ndarray, scorer: Scorer) -> Offsets:
    """Return class weights w for arg-max_k w_k p_k, by coordinate ascent on log w.

    Never worse on these data than the arg-max: w = 1 is the first start (inverse class
    frequencies the second), and only what scores better is taken.

    Args:
        p: `[N, 1, K]`.
        scorer: of the same data.
    """
    K = p.shape[-1]
    frequency = np.bincount(scorer.truth[:, 0], weights=scorer.weight[:, 0], minlength=K)
    inverse = -np.log(np.maximum(frequency / frequency.sum(), 1.0 / len(p)))
    logs = np.log(relative(p[:, 0]))
    best = Offsets((1.0,) * K)
    best_score = scorer.score(best.decide(p))
    for start in (np.zeros(K), inverse):
        offsets = _ascend_offsets(logs, start, scorer)
        rule = Offsets(tuple(np.exp(offsets - offsets.mean()).tolist()))
        score = scorer.score(rule.decide(p))
        if score > best_score + TIE:
            best, best_score = rule, score
    return best


def _ascend_offsets(logs, offsets, scorer):
    """Offsets `[K]` from which no sweep finds better ones, for log-probabilities `[N, K]`."""
    K = len(offsets)
    labels = np.argmax(logs + offsets, axis=-1)
    score = scorer.score(labels[:, None])
    in_vain = 0  # sweeps since the last gain
    for _ in range(_offset_passes(K)):
        tuned, found = offsets.copy(), score
        for k in range(K):
            before = found
            labels, found = _sweep_offset(logs, tuned, labels, k, scorer, found)
            in_vain = 0 if found > before else in_vain + 1
            if in_vain >= K:
                break
        # What lies further below is never chosen.
        tuned = np.maximum(tuned, tuned.max() - SPREAD)
        labels = np.argmax(logs + tuned, axis=-1)
        found = scorer.score(labels[:, None])
        if found <= score + TIE:
            break
        offsets, score = tuned, found
    return offsets


def _offset_passes(num_classes):
    """20 passes for up to 10 classes, 6 for more than 33: what more of them gain is little."""
    return int(np.clip(200 // num_classes, 6, _MAX_PASSES))


def _sweep_offset(logs, offsets, labels, k, scorer, score):
    """Set the best offset of class k; return the labels `[N]` and the score then.

    Example i joins the class above max_{j != k} (o_j + log p_ij) - log p_ik. Its rival is its
    label, unless that is k.
    """
    own = np.flatnonzero(labels == k)
    others = logs[own] + offsets
    others[:, k] = -np.inf
    rival = labels.copy()
    rival[own] = np.argmax(others, axis=-1)
    needed = logs[np.arange(len(logs)), rival] + offsets[rival] - logs[:, k]
    order = np.argsort(needed)
    ranked = needed[order]
    ends = _run_ends(ranked, _SAME_LOG)
    kept = int(ends[np.searchsorted(ends, np.searchsorted(ranked, offsets[k]))])
    stops, scores = score_stops(scorer, rival[:, None], 0, order, k, ends, kept)
    lower = np.concatenate([[ranked[0] - 2.0 * _LOG_4], ranked])[stops]
    upper = np.concatenate([ranked, [ranked[-1] + 2.0 * _LOG_4]])[stops]
    candidates = lower + (upper - lower) / 2.0
    best = _nearest_best(scores, np.abs(candidates - offsets[k]))
    if scores[best] <= score + TIE:
        return labels, score
    offsets[k] = candidates[best]
    rival[order[: stops[best]]] = k
    return rival, scores[best]


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
    cuts, ranking = cuts.copy(), level[order]
    labels = np.searchsorted(cuts, level, side="left")[:, None]
    score = scorer.score(labels)
    for _ in range(_MAX_PASSES):
        before = score
        for j in range(len(cuts)):
            low = cuts[j - 1] if j else -np.inf
            high = cuts[j + 1] if j + 1 < len(cuts) else np.inf
            inside = slice(*np.searchsorted(ranking, [low, high], side="right"))
            ranked, moved = ranking[inside], order[inside]
            if not len(ranked):
                continue
            ends = _run_ends(ranked)
            kept = int(np.searchsorted(ranked, cuts[j], side="right"))
            start = labels.copy()
            start[moved] = j + 1
            stops, scores = score_stops(scorer, start, 0, moved, j, ends, kept)
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


def _run_ends(ranked: np.ndarray, apart: float = 0.0) -> np.ndarray:
    """0, and the numbers of leading entries that end a run of values up to `apart` distant."""
    changes = np.flatnonzero(np.abs(np.diff(ranked)) > apart) + 1
    return np.concatenate([[0], changes, [len(ranked)]])


def _between(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Numbers half-way, but never the upper one: labels change *above* a threshold."""
    middle = lower + (upper - lower) / 2.0
    return np.where(middle < upper, middle, lower)


def _nearest_best(scores: np.ndarray, distance: np.ndarray) -> int:
    """The candidate of the best score; of equally good ones the nearest to what is."""
    good = np.flatnonzero(scores >= scores.max() - TIE)
    return int(good[np.argmin(distance[good])])
