"""The model card: what a model is, what it is worth, what drives it, how to use it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from policygrad_metrics.core.records import as_tuples
from policygrad_metrics.study.grid import Grid, Text
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.report import templates
from policygrad_metrics.study.settings import versions
from policygrad_metrics.study.statistics import Interval
from policygrad_metrics.study.table import broken_text, part_shares, summarise

#: Most columns that are shown as driving decisions.
SHOWN = 20
_PREDICT = """\
import policygrad_metrics as pgm

model = pgm.study.TrainedTable.load("{folder}")
labels, probabilities = model.predict(frame), model.predict_proba(frame)"""


@dataclasses.dataclass(frozen=True)
class Card:
    """What is to be known of a model, as plain texts and tables.

    Args:
        title: What it is, in a line.
        lead: What it decides, and how well.
        tables: Scores, confusions, what drives decisions.
        method: How it was made, a line each.
        limits: What it is for, and what not.
        use: Words, code and its language, one after the other.
        command: What trains it again.
        notes: On the data.
    """

    title: str
    lead: str
    tables: tuple[Grid, ...]
    method: tuple[str, ...]
    limits: tuple[str, ...]
    use: tuple[tuple[str, str, str], ...]
    command: str
    notes: tuple[str, ...]

    def texts(self) -> dict[str, str]:
        """Return the card as Markdown and as HTML, by suffix."""
        environment = templates()
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            kind: environment.get_template(f"card.{kind}.jinja").render(
                **fields, versions=[*versions().items()]
            )
            for kind in ("md", "html")
        }


def read_card(record: Mapping[str, Any]) -> Card:
    """Return the card that `dataclasses.asdict` and JSON made a record of."""
    fields = {name: as_tuples(value) for name, value in record.items() if name != "tables"}
    tables = [
        Grid(
            one["title"],
            tuple(one["header"]),
            tuple(tuple(Text(**cell) for cell in row) for row in one["rows"]),
            one["below"],
        )
        for one in record["tables"]
    ]
    return Card(**fields, tables=tuple(tables))


def how_to_use(target: str) -> tuple[tuple[str, str, str], ...]:
    """Return how to label new rows and how to serve a model."""
    return (
        (
            f"Labels and probabilities of new rows, which need no column {target}:",
            "policygrad predict model/ new.csv --out labels.csv",
            "sh",
        ),
        ("The same in Python, from a frame of pandas, polars or Arrow:",
         _PREDICT.format(folder="model/"), "python"),
        (
            "As a service, of networks:",
            "policygrad export model/ served/\n"
            "docker run -p 8501:8501 -v $PWD/served:/models/model tensorflow/serving\n"
            "curl -d @served/example_request.json http://localhost:8501/v1/models/model:predict",
            "sh",
        ),
    )  # fmt: skip


def score_grid(scores: Mapping[str, Sequence[Interval]], columns: Sequence[str], N: int) -> Grid:
    """Return the table of test scores.

    Args:
        scores: Name of a score -> its interval for each decision.
        columns: What the decisions are.
        N: How many test rows there are.
    """
    rows = tuple(
        (Text(name), *(Text(one.format(3)) for one in found)) for name, found in scores.items()
    )
    below = f"Of {N} test rows, which chose nothing; in brackets 95 % bootstrap intervals."
    return Grid("Test scores", ("score", *columns), rows, below)


def fold_grids(runs: Sequence[Run], reward: str, folds: int | None) -> tuple[Grid, ...]:
    """Return the table of cross-validated scores; none without any.

    Args:
        runs: What `folds.cross_validated` returns.
        reward: Name of the reward.
        folds: How many folds.
    """
    if not runs:
        return ()
    method = runs[0].method
    same = [dataclasses.replace(run, method=method) for run in runs]
    shares = part_shares(folds)
    (row,) = summarise(runs[0].data, reward, same, [method], shares=shares).rows
    columns = {"tuned decision": row.tuned, "most probable class": row.plain}
    scores = [one.score.format(3) for one in columns.values() if one.score]
    rows = [(Text(reward), *map(Text, scores))]
    if row.tuned.broken is not None:
        rows.append((Text("broken by"), *(Text(broken_text(one)) for one in columns.values())))
    each = ", ".join(f"{run.tuned:.3f}" for run in runs)
    beyond = any(one.score and one.score.high > 1.0 for one in columns.values())
    wide = " An interval beyond 1 says that more folds are needed." if beyond else ""
    below = (
        f"Mean of {len(runs)} folds, each scored by a model that was prepared, trained and tuned "
        "without it; in brackets 95 % intervals of the mean by Nadeau and Bengio's variance. Tuned "
        f"decisions fold by fold: {each}.{wide}"
    )
    return (Grid("Cross-validated scores", ("score", *columns), tuple(rows), below),)


def about_folds(runs: Sequence[Run], folds: int | None, N: int, chosen: bool) -> list[str]:
    """Return what was cross-validated; nothing without folds.

    Args:
        runs: What `folds.cross_validated` returns.
        folds: How many folds.
        N: How many rows.
        chosen: Whether the method was chosen.
    """
    if not runs:
        return []
    counts = Counter(run.method for run in runs).most_common()
    anew = ", ".join(f"{method} for {count}" for method, count in counts)
    return [
        f"Cross-validated over {folds} folds of all {N} rows; of the rows outside a fold a fifth "
        f"validates. {f'The method was chosen anew without each fold: {anew}. ' if chosen else ''}"
        "The models of the folds are not kept; the one that is was not trained on all rows."
    ]


def confusion_grids(
    confusion: Sequence[Any], names: Sequence[str], multilabel: bool
) -> tuple[Grid, ...]:
    """Return the confusion matrix of the test rows.

    Args:
        confusion: As `Scorer.confusion` gives it.
        names: Of the classes; of label columns theirs.
        multilabel: Whether these are label columns.
    """
    if multilabel:
        header = ("label", "rightly not", "false", "missed", "found")
        rows = [[*one[0], *one[1]] for one in confusion]
        below = "Test rows with and without each label."
    else:
        header = ("true \\ predicted", *names)
        rows, below = confusion, "Test rows; each line is a true class."
    cells = tuple(
        (Text(name), *(Text(str(count)) for count in row))
        for name, row in zip(names, rows, strict=True)
    )
    return (Grid("Confusion matrix", header, cells, below),)


def importance_grid(found: Mapping[str, tuple[float, float]], reward: str) -> Grid:
    """Return the table of what drives decisions.

    Args:
        found: As `judge.importances` gives it.
        reward: Name of the reward.
    """
    rows = tuple(
        (Text(name), Text(f"{mean:+z.3f}"), Text(f"{spread:.3f}"))
        for name, (mean, spread) in [*found.items()][:SHOWN]
    )
    more = len(found) - len(rows)
    below = (
        f"By how much {reward} falls on test rows when a column is shuffled (mean and standard "
        "deviation of 5 shuffles). Columns that tell the same share what they are worth. None of "
        "this says what causes the target."
    )
    if more > 0:
        below += f" {more} more columns are worth no more than the last one."
    header = ("column", f"loss of {reward}", "deviation")
    return Grid("What drives the decision", header, rows, below)
