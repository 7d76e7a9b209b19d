"""The content of the reports of a comparison, the same for HTML and Markdown."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from policygrad_metrics.study.grid import Grid, Text, interval_text, p_text, p_words
from policygrad_metrics.study.overall import Overall
from policygrad_metrics.study.pairs import PairMatrix
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.table import (
    Row,
    Summary,
    columns_of,
    method_text,
    part_shares,
    score_grid,
    score_text,
    summarise,
)
from policygrad_metrics.study.verdict import FEW_SETS, Verdict, judge

if TYPE_CHECKING:
    from policygrad_metrics.study.plots import Picture


@dataclasses.dataclass(frozen=True)
class Extras:
    """What a report of one kind of data adds to every report.

    Args:
        title: Of the report.
        protocol: How it was done, instead of `plan.protocol`.
        tables: `(summary, runs) -> grids` of a data set, below its scores.
        pictures: `(summary, runs) -> pictures`, before the usual ones.
        colours: "#RRGGBB" of each class.
        answer: `(summary, runs) -> sentence` that the report begins with, instead of a verdict.
        shown: `(summary, runs) -> methods` of which confusions are shown.
        features: What the features are made of, and their names.
    """

    title: str
    protocol: Sequence[str]
    tables: Callable[[Summary, Sequence[Run]], Sequence[Grid]]
    pictures: Callable[[Summary, Sequence[Run]], Sequence[Picture]]
    colours: Sequence[str]
    answer: Callable[[Summary, Sequence[Run]], str]
    shown: Callable[[Summary, Sequence[Run]], Sequence[str]]
    features: Sequence[str]

    def added_to(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of `settings.json` with what the reports say beyond the usual."""
        more = {"feature_names": [*self.features]}
        data = {name: {**about, **more} for name, about in record["data"].items()}
        return {**record, "title": self.title, "protocol": [*self.protocol], "data": data}


def summaries(settings: Mapping[str, Any], runs: Iterable[Run]) -> list[Summary]:
    """Return the tables of all data sets of a study.

    Args:
        settings: As `compare.settings_record` makes them.
        runs: All runs.
    """
    runs, fixed = list(runs), settings["fixed"]
    shares = part_shares(fixed.get("folds"), fixed.get("test_share"))
    return [
        summarise(
            name,
            about["reward"],
            runs,
            settings["methods"],
            shares=None if about["time_ordered"] else shares,
            subject_to=about.get("subject_to") or fixed.get("subject_to", ()),
            ranks=about.get("ranks", False),
        )
        for name, about in chosen_data(settings)
    ]


def verdicts(settings: Mapping[str, Any], tables: Sequence[Summary]) -> list[Verdict]:
    """Return the verdict on every data set.

    Args:
        settings: As for `summaries`.
        tables: What that gives.
    """
    families = {name: settings["families"][name] for name in settings["methods"]}
    return [judge(summary, families) for summary in tables]


def chosen_data(settings: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the name and the description of every data set that was asked for."""
    return [(name, settings["data"][name]) for name in settings["chosen_data"]]


def content(
    settings: Mapping[str, Any],
    tables: Sequence[Summary],
    over: Sequence[Overall] = (),
    more: Mapping[str, Sequence[Grid]] = MappingProxyType({}),
    answers: Mapping[str, str] = MappingProxyType({}),
    concluded: Sequence[str] = (),
) -> dict[str, Any]:
    """Return everything that the reports say but the pictures, as plain texts and `Grid`s.

    Args:
        settings: As for `summaries`.
        tables: What that gives.
        over: Each column over all data sets, if there are several.
        more: Data set -> what is shown below its scores.
        answers: Data set -> what came out, in words.
        concluded: The lines that the report begins with.
    """
    fixed, chosen = settings["fixed"], settings["chosen_data"]
    sets = []
    for number, (summary, (name, about)) in enumerate(
        zip(tables, chosen_data(settings), strict=True), start=1
    ):
        sets.append(
            {
                "name": name,
                "anchor": f"set-{number}",
                "heading": f"{name}: {about['title']}",
                "answer": answers.get(name, ""),
                "facts": _facts(about),
                "features": about.get("feature_names", ()),
                "notes": about["notes"],
                "tables": (
                    score_grid(summary),
                    *more.get(name, ()),
                    *published_grids(settings, [summary]),
                ),
                "last_tables": (_test_grid(summary), _cost_grid(summary)),
            }
        )
    flat = [(key, value) for key, value in fixed.items() if key != "versions"]
    flat += [(f"{name} version", version) for name, version in fixed["versions"].items()]
    return {
        "title": settings.get("title")
        or f"Comparison of {len(settings['methods'])} methods on "
        + (", ".join(chosen) if len(chosen) <= FEW_SETS else f"{len(chosen)} data sets"),
        "conclusion": concluded,
        "lead": f"{fixed['seeds']} {'run' if fixed['seeds'] == 1 else 'runs'} of every method. In "
        "each table the methods are sorted by "
        f'the mean of "{tables[0].columns["tuned"]}", the best of each column is bold, and ± gives '
        "half the 95 % interval of the mean."
        + " Methods that break a constraint on average stand below those that keep all."
        * any(table.subject_to for table in tables),
        "warnings": _warnings(tables),
        "command": settings["command"],
        "sets": sets,
        "folded": len(sets) > FEW_SETS,
        "overview": overview_grid(tables, [one["anchor"] for one in sets]) if over else None,
        "overall": tuple(
            one
            for found in over
            for one in (
                (overall_grid(found), ranks_name(found)),
                *([(pairs_grid(found), pairs_name(found))] if found.pairs else []),
            )
        ),
        "overall_words": overall_words(over) if over else "",
        "method": settings["protocol"],
        "settings": [(name, _plain(name, value)) for name, value in flat],
    }


def _plain(name: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if value is None:
        return "none" if name in ("folds", "test_share") else f"each data set's own {name}"
    return str(value)


def _facts(about: Mapping[str, Any]) -> str:
    counts = ", ".join(
        f"{name} {count}" for name, count in zip(about["class_names"], about["counts"], strict=True)
    )
    kind = "labels" if about["task"] == "multilabel" else "classes"
    how = "split by time" if about["time_ordered"] else "a stratified split for every seed"
    sizes = "/".join(map(str, about["parts"]))
    return (
        f"{about['rows']} rows, {about['features']} features, {about['task']}; {kind}: {counts}. "
        f"Reward: {about['reward']}. Training/validation/test rows: {sizes}, {how}. "
        f"Epochs: {about['epochs']}."
    )


def _warnings(tables: Sequence[Summary]) -> list[str]:
    return [
        f"{row.diverged} of {row.runs} runs of {row.method} on {table.data} diverged (weights or "
        "outputs stopped being finite): it is ranked last, its numbers are of the other runs."
        for table in tables
        for row in table.rows
        if row.diverged
    ] + [
        f"{row.unreached} of {row.runs} runs of {row.method} on {table.data} have no decision that "
        "keeps the constraints by a standard error on the validation part: the nearest was taken."
        for table in tables
        for row in table.rows
        if row.unreached
    ]


def _test_grid(summary: Summary) -> Grid:
    header = ["method"]
    for title in summary.columns.values():
        header += [f"p, {title}", f"Holm's p, {title}"]
    rows = [
        (
            Text(method_text(row)),
            *(
                p_text(p)
                for column in summary.columns
                for p in (getattr(row, column).p_value, getattr(row, column).p_holm)
            ),
        )
        for row in summary.rows
        if row.method != summary.reference
    ]
    test = (
        "Nadeau and Bengio's corrected t-test, as the splits share rows"
        if summary.own_splits
        else "the exact sign-flip test over seeds (k seeds cannot give less than 2 / 2^k)"
    )
    below = f"Two-sided p of the paired difference by {test}; Holm's correction over the methods."
    title = f"{summary.data}: tests of the difference to {summary.reference or 'no reference'}"
    return Grid(title, tuple(header), tuple(rows) if summary.reference else (), below)


def _cost_grid(summary: Summary) -> Grid:
    def row_of(row: Row) -> tuple[Text, ...]:
        return (
            Text(method_text(row)),
            Text(f"{row.steps:,.0f}"),
            Text(f"{row.seconds:.2f}"),
            Text(f"{row.reward_evaluations:,.0f}"),
        )

    header = ("method", "optimizer steps", "seconds", "rewards evaluated")
    rows = tuple(row_of(row) for row in summary.rows)
    return Grid(f"{summary.data}: cost of one run", header, rows)


def published_grids(settings: Mapping[str, Any], tables: Sequence[Summary]) -> list[Grid]:
    """Return published figures beside the measured ones, a table for each set that has some."""
    grids = []
    for summary in tables:
        cells = {
            row.method: [getattr(row, column) for column in summary.columns] for row in summary.rows
        }
        known = settings.get("published", {}).get(summary.data, [])
        lines = [
            (
                Text(method),
                Text(f"{figure:.4g}"),
                *(Text(score_text(cell.score)) for cell in cells[method]),
                Text(source),
            )
            for method, figure, source in known
            if method in cells
        ]
        if lines:
            header = ("method", "published", *summary.columns.values(), "where")
            title = f"{summary.data}: published {summary.reward} beside the measured"
            grids.append(Grid(title, header, tuple(lines)))
    return grids


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
    return Grid(f"All data sets: {found.title}", tuple(header), tuple(rows), below)


def pairs_grid(found: Overall) -> Grid:
    """Return the matrix of every two methods of one column over all data sets."""
    matrix = PairMatrix.of(found)
    rows = tuple(
        (Text(name), *(Text(", ".join(cell.lines), cell.bold) for cell in cells))
        for name, cells in zip(matrix.methods, matrix.cells, strict=True)
    )
    title = f"Every two methods: {found.title}"
    return Grid(title, ("method", *matrix.methods), rows, matrix.words)


def pairs_name(found: Overall) -> str:
    """Return the name of the picture of every two methods."""
    return f"pairs_{found.column}"


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
        "ran on all of them; one of which any run diverged, or that breaks a constraint on "
        "average, is last there, and has no mean difference. p: Wilcoxon's exact signed-rank test "
        "over the data sets, with Holm's correction over the methods; data sets made of the same "
        "rows are taken for independent. Interquartile mean: of all scores; chance: that a run is "
        "better than one of the reference, averaged over data sets; both with 95 % bootstrap "
        "intervals for other seeds on the same data sets."
    )


def overview_grid(tables: Sequence[Summary], anchors: Sequence[str]) -> Grid:
    """Return one line for each data set: its reward, the best method of each column.

    Args:
        tables: One per data set.
        anchors: Where the report says more of it.
    """
    ranks = all(table.ranks for table in tables)
    reference, columns = tables[0].reference, columns_of(ranks)
    header = ["data set", "reward", *(f"best {title}" for title in columns.values())]
    if reference:
        header.append(f"{reference}, {columns['tuned']}")
    rows = []
    for table, anchor in zip(tables, anchors, strict=True):
        texts = [Text(table.data, link=anchor), Text(table.reward)]
        texts += [Text(_best_text(table.rows, column)) for column in columns]
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
