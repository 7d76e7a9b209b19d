"""Methods compared over data sets: one number per data set, never one per seed.

What is computed is fixed before any data is seen, for each column:

    ranks         by the mean over the seeds on every data set; a method of which any run diverged,
                  or that breaks a constraint on average, is last there; Friedman's test by
                  permutation and Nemenyi's critical difference, level 95 %
    difference    to the reference method, the mean over data sets; data sets won, tied and lost
    p             of the differences: Wilcoxon's exact signed-rank test over data sets, two-sided;
                  Holm's correction over the methods
    pairs         the same difference, data sets and p of every two methods, without a correction,
                  so that no pair's numbers depend on which other methods ran (the multi-comparison
                  matrix of Ismail-Fawaz et al. 2023)
    improvement   the chance that a run beats a run of the reference, averaged over data sets
                  (Agarwal et al. 2021), with its stratified bootstrap interval
    middle        the interquartile mean over data sets and seeds, likewise
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from policygrad_metrics.study.records import Run
from policygrad_metrics.study.statistics import (
    Interval,
    average_ranks,
    cliques,
    critical_difference,
    friedman_permutation,
    interquartile_mean_interval,
    probability_of_improvement,
    ranks,
    wilcoxon,
)
from policygrad_metrics.study.table import REFERENCE, Row, Summary, columns_of, holm_by_method


@dataclasses.dataclass(frozen=True)
class Standing:
    """One method in one column, over all data sets; None where there is nothing to say.

    Args:
        method: Its name.
        rank: Mean rank, 1 is the best.
        won: Data sets on which it has a higher mean than the reference.
        tied: On which it has the same.
        lost: On which it has a lower one, diverged, or breaks a constraint.
        difference: Mean over data sets of the difference to the reference.
        p_value: Wilcoxon's, of the differences.
        p_holm: The same corrected for the number of methods.
        improvement: Chance that one of its runs beats one of the reference.
        middle: Interquartile mean of its scores.
    """

    method: str
    rank: float
    won: int | None = None
    tied: int | None = None
    lost: int | None = None
    difference: float | None = None
    p_value: float | None = None
    p_holm: float | None = None
    improvement: Interval | None = None
    middle: Interval | None = None


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two methods in one column, over all data sets.

    Args:
        method: The one.
        other: The other, of no better mean rank.
        won: Data sets on which the one has a higher mean.
        tied: On which both have the same.
        lost: On which it has a lower one, diverged, or breaks a constraint.
        difference: Mean over data sets of the one's means less the other's; None if any diverged or
            breaks a constraint.
        p_value: Wilcoxon's, of the differences, not corrected; None likewise.
    """

    method: str
    other: str
    won: int
    tied: int
    lost: int
    difference: float | None = None
    p_value: float | None = None


@dataclasses.dataclass(frozen=True)
class Overall:
    """One column over all data sets, the best mean rank first.

    Args:
        column: "plain" or "tuned".
        data_sets: How many.
        reference: The method that the others are compared with, if it ran.
        standings: One per method that ran on all data sets.
        friedman_p: Of all methods being alike; None with a single method.
        critical: Mean ranks that differ by so much differ significantly; None likewise.
        cliques: Places in `standings` that cannot be told apart, each from the first to the last.
        pairs: Every two methods, in the order of `standings`.
        constrained: Whether methods that break a constraint are last.
        ranks: Whether all data sets have rankings instead of labels.
    """

    column: str
    data_sets: int
    reference: str | None
    standings: tuple[Standing, ...]
    friedman_p: float | None
    critical: float | None
    cliques: tuple[tuple[int, int], ...]
    pairs: tuple[Pair, ...] = ()
    constrained: bool = False
    ranks: bool = False

    @property
    def title(self) -> str:
        """What the column is called."""
        return columns_of(self.ranks)[self.column]


def overall(tables: Sequence[Summary], runs: Sequence[Run], column: str) -> Overall:
    """Return the standing of every method that ran on all data sets.

    Args:
        tables: One per data set, two or more.
        runs: All runs.
        column: "plain" or "tuned".
    """
    rows = [{row.method: row for row in table.rows} for table in tables]
    methods = [method for method in rows[0] if all(method in table for table in rows)]
    if not methods:
        return Overall(column, len(tables), None, (), None, None, ())
    scores = np.array([[_score(table[m], column) for m in methods] for table in rows])
    by_method = dict(zip(methods, scores.T, strict=True))
    seeds = _by_method(tables, runs, methods, column)
    reference = REFERENCE if REFERENCE in methods else None
    fields = {method: _against(method, reference, by_method, seeds) for method in methods}
    p_values = {method: own["p_value"] for method, own in fields.items() if "p_value" in own}
    corrected = holm_by_method(p_values)
    ranked = zip(methods, average_ranks(scores).tolist(), strict=True)
    found = [
        Standing(method, rank, p_holm=corrected.get(method), **fields[method])
        for method, rank in ranked
    ]
    found.sort(key=lambda one: one.rank)
    if len(found) < 2:
        return Overall(column, len(tables), reference, tuple(found), None, None, ())
    critical = critical_difference(len(found), len(tables))
    groups = cliques([one.rank for one in found], critical)
    return Overall(
        column,
        len(tables),
        reference,
        tuple(found),
        friedman_permutation(ranks(scores), seed=0),
        critical,
        tuple((min(group), max(group)) for group in groups),
        tuple(
            Pair(one.method, other.method, **_duel(by_method[one.method], by_method[other.method]))
            for one, other in itertools.combinations(found, 2)
        ),
        any(table.subject_to for table in tables),
    )


def all_overall(tables: Sequence[Summary], runs: Sequence[Run]) -> list[Overall]:
    """Return every column over all data sets; nothing if there is one data set only."""
    if len(tables) < 2:
        return []
    ranks = all(table.ranks for table in tables)
    return [dataclasses.replace(overall(tables, runs, c), ranks=ranks) for c in columns_of(ranks)]


def _score(row: Row, column: str) -> float:
    cell = getattr(row, column)
    if cell.score is None or row.diverged or not cell.keeps:
        return math.nan
    return cell.score.estimate


def _by_method(
    tables: Sequence[Summary], runs: Sequence[Run], methods: Sequence[str], column: str
) -> Mapping[str, np.ndarray]:
    """Scores `[seeds, data sets]` of the methods of which no run is missing or diverged."""
    scores = {
        (run.method, run.data, run.seed): getattr(run, column) for run in runs if not run.diverged
    }
    seeds = sorted({run.seed for run in runs})
    found = {}
    for method in methods:
        table = [[scores.get((method, t.data, seed)) for t in tables] for seed in seeds]
        if seeds and all(score is not None for row in table for score in row):
            found[method] = np.array(table, np.float64)
    return found


def _duel(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """The fields of a `Pair` and of a `Standing` that two methods' means have."""
    # What diverged or breaks a constraint is worse than anything; two that do are equal.
    a, b = (np.nan_to_num(means, nan=-np.inf) for means in (ours, theirs))
    fields: dict[str, Any] = {
        "won": int((a > b).sum()),
        "tied": int((a == b).sum()),
        "lost": int((a < b).sum()),
    }
    if np.isfinite([ours, theirs]).all():
        fields["difference"] = float(np.mean(ours - theirs))
        fields["p_value"] = wilcoxon(ours, theirs).p_value
    return fields


def _against(
    method: str,
    reference: str | None,
    scores: Mapping[str, np.ndarray],
    seeds: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """The fields of a `Standing` that tell of its runs, and compare them with the reference."""
    fields: dict[str, Any] = {}
    if method in seeds:
        fields["middle"] = interquartile_mean_interval(seeds[method], seed=0)
    if reference is None or method == reference:
        return fields
    fields |= _duel(scores[method], scores[reference])
    if method in seeds and reference in seeds:
        improvement = probability_of_improvement(seeds[method], seeds[reference], seed=0)
        fields["improvement"] = improvement
    return fields
