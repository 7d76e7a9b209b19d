"""Runs summed up: a row per method, two columns, the paired difference to a reference.

What is computed is fixed before any data is seen:

    interval     95 %, Student's t over the runs; where every run has its own random split the
                 variance is that of Nadeau and Bengio (2003), as the splits share rows
    difference   to the reference method, paired by seed, with the interval of the same kind
    p            of that difference: Nadeau and Bengio's t-test, or for a split by time the exact
                 sign-flip test; Holm's correction over the methods of one data set
    order        by the mean of the column "tuned decision"; a method whose tuned decisions break
                 a constraint on average stands below those that keep all, one of which any run
                 diverged comes last

The runs of one data set say nothing of other data sets, however many runs there are.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

from policygrad_metrics.study.grid import Grid, Text
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.statistics import (
    Interval,
    holm,
    mean_interval,
    nadeau_bengio,
    sign_flip,
)

REFERENCE = "cross_entropy"
#: What the columns of scores of labels are called.
COLUMNS = {"plain": "default decision", "tuned": "tuned decision"}
#: Of the rows that train and test unless a share or folds are asked for.
USUAL_SHARES = (0.6, 0.2)


def part_shares(folds: int | None, test_share: float | None = None) -> tuple[float, float]:
    """Return the shares of the rows that train and test.

    Args:
        folds: None for shuffled splits, or the number of folds of a cross-validation.
        test_share: Of shuffled splits; None for a fifth. Where either is given, a fifth of the
            other rows validates.

    >>> part_shares(None), part_shares(2), part_shares(None, 0.5)
    ((0.6, 0.2), (0.4, 0.5), (0.4, 0.5))
    """
    if folds is None and test_share is None:
        return USUAL_SHARES
    test = test_share if folds is None else 1 / folds
    assert test is not None
    return 0.8 * (1 - test), test


@dataclasses.dataclass(frozen=True)
class Cell:
    """One column of one method: None where there is nothing to say.

    Args:
        score: Mean test reward and its interval.
        difference: Mean paired difference to the reference and its interval.
        p_value: Two-sided, of the difference.
        p_holm: The same corrected for the number of methods.
        best: Whether no method that finished, and keeps the constraints, has a higher mean.
        broken: By how much the worst constraint is broken on the test part, the mean over the runs;
            None without constraints.
        kept: Share of the runs that keep all constraints there.
    """

    score: Interval | None = None
    difference: Interval | None = None
    p_value: float | None = None
    p_holm: float | None = None
    best: bool = False
    broken: float | None = None
    kept: float | None = None

    @property
    def keeps(self) -> bool:
        """Whether all constraints are kept on average, as they are where there are none."""
        return self.broken is None or self.broken <= 0.0


@dataclasses.dataclass(frozen=True)
class Row:
    """One method on one data set.

    Args:
        method: Its name.
        plain: The column of the default decisions.
        tuned: That of the tuned ones.
        runs: How many.
        diverged: How many of them diverged.
        steps, seconds, reward_evaluations: Means over the runs.
        unreached: Runs of which no decision keeps the constraints on the validation part.
    """

    method: str
    plain: Cell
    tuned: Cell
    runs: int
    diverged: int
    steps: float
    seconds: float
    reward_evaluations: float
    unreached: int = 0


@dataclasses.dataclass(frozen=True)
class Summary:
    """The table of one data set, the best method first.

    Args:
        data: Its name.
        reward: Name of the reward.
        own_splits: Whether each seed has a random split of its own, and not all the one by time.
        reference: See `REFERENCE`.
        rows: One per method.
        subject_to: The constraints, as texts.
        ranks: Whether rankings are scored instead of labels.
    """

    data: str
    reward: str
    own_splits: bool
    reference: str | None
    rows: tuple[Row, ...]
    subject_to: tuple[str, ...] = ()
    ranks: bool = False

    @property
    def columns(self) -> dict[str, str]:
        """The columns that say something: column -> title."""
        return columns_of(self.ranks)


def columns_of(ranks: bool) -> dict[str, str]:
    """The columns of tables: column -> title.

    A ranking has no decision: its one score stands in the column of tuned ones.
    """
    return {"tuned": "ranking"} if ranks else COLUMNS


def summarise(
    data: str,
    reward: str,
    runs: Iterable[Run],
    methods: Sequence[str],
    *,
    shares: tuple[float, float] | None = USUAL_SHARES,
    subject_to: Sequence[str] = (),
    ranks: bool = False,
) -> Summary:
    """Return the table of one data set.

    Args:
        data: Name of the data set; runs of others are passed over.
        reward: Name of the reward.
        runs: Finished and diverged runs.
        methods: Which methods, in the order that breaks ties.
        shares: Of the rows that train and test in the splits that each seed has of its own (see
            `part_shares`); None for one split by time.
        subject_to: The constraints that the runs were made under, as texts.
        ranks: Whether the reward scores rankings instead of labels.

    >>> runs = [Run("toy", m, s, plain=p + s / 9, tuned=p + s / 9, valid_plain=0, valid_tuned=0)
    ...         for s in (0, 1, 2) for m, p in (("cross_entropy", 0.5), ("focal", 0.25))]
    >>> table = summarise("toy", "f1", runs, ["focal", "cross_entropy"], shares=None)
    >>> [(row.method, row.tuned.difference.format(2)) for row in table.rows if row.tuned.difference]
    [('focal', '-0.25 [-0.25, -0.25]')]
    >>> table.rows[0].method
    'cross_entropy'
    """
    by_method: dict[str, list[Run]] = {method: [] for method in methods}
    for run in sorted(runs, key=lambda run: run.seed):
        if run.data == data and run.method in by_method:
            by_method[run.method].append(run)
    by_method = {method: found for method, found in by_method.items() if found}
    reference = by_method.get(REFERENCE, [])
    cells = {column: _cells(column, by_method, reference, shares) for column in COLUMNS}
    rows = [
        Row(
            method=method,
            plain=cells["plain"][method],
            tuned=cells["tuned"][method],
            runs=len(found),
            diverged=sum(run.diverged for run in found),
            steps=_mean([run.steps for run in found]),
            seconds=_mean([run.seconds for run in found]),
            reward_evaluations=_mean([run.reward_evaluations for run in found]),
            unreached=sum(not run.kept for run in found),
        )
        for method, found in by_method.items()
    ]
    rows.sort(key=_order)
    named, own_splits = REFERENCE if reference else None, shares is not None
    return Summary(data, reward, own_splits, named, tuple(rows), tuple(subject_to), ranks)


def _order(row: Row) -> tuple[int, bool, float]:
    score = row.tuned.score
    return row.diverged, not row.tuned.keeps, math.inf if score is None else -score.estimate


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _cells(
    column: str,
    by_method: Mapping[str, Sequence[Run]],
    reference: Sequence[Run],
    shares: tuple[float, float] | None,
) -> dict[str, Cell]:
    against = _scores(column, reference)
    scores = {method: _scores(column, runs) for method, runs in by_method.items()}
    means = {method: _interval([*own.values()], shares) for method, own in scores.items() if own}
    broken = {method: _broken(column, runs) for method, runs in by_method.items()}
    whole = {
        method
        for method, runs in by_method.items()
        if Cell(broken=broken[method][0]).keeps and not any(run.diverged for run in runs)
    }
    top = max((found.estimate for m, found in means.items() if m in whole), default=None)
    differences, p_values = {}, {}
    for method, own in scores.items():
        common = sorted(own.keys() & against.keys())
        if common and method != REFERENCE:
            ours, theirs = ([values[seed] for seed in common] for values in (own, against))
            difference = [a - b for a, b in zip(ours, theirs, strict=True)]
            differences[method] = _interval(difference, shares)
            if len(common) > 1:
                p_values[method] = (
                    nadeau_bengio(difference, *shares[::-1]).p_value
                    if shares
                    else sign_flip(ours, theirs, seed=0)[0]
                )
    corrected = holm_by_method(p_values)
    return {
        method: Cell(
            score=means.get(method),
            difference=differences.get(method),
            p_value=p_values.get(method),
            p_holm=corrected.get(method),
            best=method in whole and method in means and means[method].estimate == top,
            broken=broken[method][0],
            kept=broken[method][1],
        )
        for method in by_method
    }


def holm_by_method(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return the p of each method that has one, corrected for the number of them."""
    if not p_values:
        return {}
    return dict(zip(p_values, holm([*p_values.values()]).tolist(), strict=True))


def _scores(column: str, runs: Sequence[Run]) -> dict[int, float]:
    return {run.seed: getattr(run, column) for run in runs if not run.diverged}


def _broken(column: str, runs: Sequence[Run]) -> tuple[float | None, float | None]:
    """By how much the worst constraint is broken on average, and the share of runs that keep all.

    Sums are rounded: a constraint that every run keeps just so is kept.
    """
    found = [getattr(run, f"broken_{column}") for run in runs]
    known = [one for one in found if one is not None]
    if not known:
        return None, None
    return round(_mean(known), 9), _mean([one <= 0.0 for one in known])


def _interval(values: list[float], shares: tuple[float, float] | None) -> Interval:
    if shares and len(values) > 1:
        return nadeau_bengio(values, *shares[::-1]).difference
    return mean_interval(values)


def score_text(interval: Interval | None, *, signed: bool = False) -> str:
    """Return "mean ± half the interval"; the mean alone where all runs agree, or there is one.

    >>> score_text(Interval(0.8123, 0.79, 0.8346, 0.95)), score_text(None)
    ('0.812 ± 0.022', '-')
    >>> score_text(Interval(0.01, float("nan"), float("nan"), 0.95), signed=True)
    '+0.010'
    """
    if interval is None:
        return "-"
    text = f"{interval.estimate:{'+' if signed else ''}z.3f}"
    half = (interval.high - interval.low) / 2
    return f"{text} ± {half:.3f}" if half > 0 else text


def broken_text(cell: Cell) -> str:
    """Return by how much constraints are broken, and how often they are kept.

    >>> broken_text(Cell(broken=0.0123, kept=0.4)), broken_text(Cell())
    ('+0.012, kept in 40 %', '-')
    """
    if cell.broken is None or cell.kept is None:
        return "-"
    return f"{cell.broken:+z.3f}, kept in {100 * cell.kept:.0f} %"


def method_text(row: Row) -> str:
    """Return the method's name, and how many of its runs diverged if any did."""
    return f"{row.method} ({row.diverged} of {row.runs} diverged)" if row.diverged else row.method


def score_grid(summary: Summary, differences: Sequence[str] | None = None) -> Grid:
    """Return the table of the scores.

    Args:
        summary: The table of one data set.
        differences: The columns of which the difference to the reference is shown as well, and by
            how much they break the constraints; None: all.

    >>> score_grid(Summary("iris", "f1_macro", True, None, ())).title
    'iris: test f1_macro, sorted by "tuned decision"'
    """
    columns = summary.columns
    shown = [column for column in columns if differences is None or column in differences]
    broken = shown if summary.subject_to else ()
    against = shown if summary.reference else ()
    header = ["method", *columns.values()]
    header += [f"{columns[column]} - {summary.reference}" for column in against]
    header += [f"broken by, {columns[column]}" for column in broken]
    rows = []
    for row in summary.rows:
        texts = [Text(method_text(row), row.tuned.best)]
        cells = [getattr(row, column) for column in columns]
        texts += [Text(score_text(cell.score), cell.best) for cell in cells]
        found = [getattr(row, column).difference for column in against]
        texts += [Text(score_text(difference, signed=True)) for difference in found]
        texts += [Text(broken_text(getattr(row, column))) for column in broken]
        rows.append(tuple(texts))
    title = f'{summary.data}: test {summary.reward}, sorted by "{columns["tuned"]}"'
    below = ""
    if summary.subject_to:
        below = (
            f"Subject to {', '.join(summary.subject_to)} on the test part. Broken by: the mean of "
            "the worst constraint over the runs, 0 or less where it is kept, and the share of runs "
            "that keep all. Methods that break one on average stand below those that keep them."
        )
    return Grid(title, tuple(header), tuple(rows), below)
