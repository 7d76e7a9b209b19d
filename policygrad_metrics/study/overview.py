"""All data sets together, in the words of the reports."""

from __future__ import annotations

from collections.abc import Sequence

from policygrad_metrics.study.grid import Grid, Text, interval_text, p_text, p_words
from policygrad_metrics.study.overall import Overall
from policygrad_metrics.study.table import COLUMNS, Row, Summary, score_text


def overall_grid(found: Overall) -> Grid:
    """Return the table of one column over all data sets."""
    header = ["method", "mean rank"]
    if found.reference:
        header += [
            f"won / tied / lost against {found.reference}",
            "mean difference",
            "p",
            "Holm's p",
            "chance that a run is better",
        ]
    header.append("interquartile mean")
    best = found.standings[0].rank if found.standings else None
    rows = []
    for one in found.standings:
        texts = [
            Text(one.method, one.rank == best),
            Text(f"{one.rank:.2f}", one.rank == best),
        ]
        if found.reference == one.method:
            texts += [Text("-")] * 5
        elif found.reference:
            texts += [
                Text(f"{one.won} / {one.tied} / {one.lost}"),
                Text("-" if one.difference is None else f"{one.difference:+z.3f}"),
                p_text(one.p_value),
                p_text(one.p_holm),
                Text(interval_text(one.improvement)),
            ]
        texts.append(Text(interval_text(one.middle)))
        rows.append(tuple(texts))
    below = ""
    if found.critical is not None:
        below = (
            "Friedman's test of all methods being alike, by permutation: p "
            f"{p_words(found.friedman_p)}; critical difference of two mean ranks (Nemenyi, 95 %): "
            f"{found.critical:.2f}."
        )
    return Grid(f"All data sets: {COLUMNS[found.column]}", tuple(header), tuple(rows), below)


def ranks_name(found: Overall) -> str:
    """Return the name of the picture of the mean ranks.

    >>> ranks_name(Overall("tuned", 2, None, (), None, None, ()))
    'ranks_tuned'
    """
    return f"ranks_{found.column}"


def overall_words(over: Sequence[Overall]) -> str:
    """Return how to read those tables."""
    return (
        f"{over[0].data_sets} data sets, each counted once; 1 is the best rank. Only methods that "
        "ran on all of them; one of which any run diverged is last there, and has no mean "
        "difference. p: Wilcoxon's exact signed-rank test over the data sets, with Holm's "
        "correction over the methods; data sets made of the same rows are taken for independent. "
        "Interquartile mean: of all scores; chance: that a run is better than one of "
        "the reference, averaged over data sets; both with 95 % bootstrap intervals for other "
        "seeds on the same data sets."
    )


def overview_grid(tables: Sequence[Summary], anchors: Sequence[str]) -> Grid:
    """Return one line for each data set: its reward, the best method of each column.

    Args:
        tables: One per data set.
        anchors: Where the report says more of it.
    """
    reference = tables[0].reference
    header = ["data set", "reward", *(f"best {title}" for title in COLUMNS.values())]
    if reference:
        header.append(f"{reference}, {COLUMNS['tuned']}")
    rows = []
    for table, anchor in zip(tables, anchors, strict=True):
        texts = [Text(table.data, link=anchor), Text(table.reward)]
        texts += [Text(_best_text(table.rows, column)) for column in COLUMNS]
        if reference:
            scores = [row.tuned.score for row in table.rows if row.method == reference]
            texts.append(Text(score_text(scores[0]) if scores else "-"))
        rows.append(tuple(texts))
    below = "A name leads to the data set's tables, pictures, tests and cost."
    return Grid("The data sets", tuple(header), tuple(rows), below)


def _best_text(rows: Sequence[Row], column: str) -> str:
    best = [row for row in rows if getattr(row, column).best]
    if not best:
        return "-"
    more = f" and {len(best) - 1} more" if len(best) > 1 else ""
    return f"{best[0].method}{more} {score_text(getattr(best[0], column).score)}"
