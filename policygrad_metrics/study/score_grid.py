"""The table of the scores of one data set."""

from __future__ import annotations

from collections.abc import Sequence

from policygrad_metrics.study.grid import Grid, Text
from policygrad_metrics.study.table import Summary, broken_text, method_text, score_text


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
