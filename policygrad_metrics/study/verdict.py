"""What a comparison says in words: whether training on the metric paid, and what to use.

The rules are fixed before any data is seen, and speak of the column "tuned decision":

    trained on the metric   `policy_gradient`, or the first method of its family if that did not run
    paid, cost              its difference to the reference is above or below zero: certainly if
                            Holm's p is below 0.05, probably if only the 95 % interval says so;
                            else undecided
    use                     the highest mean among the methods that are better than the reference,
                            probably at least; else the reference; a trivial method if the
                            reference is not better than that
    over several data sets  a method is ahead of the reference if Holm's p of Wilcoxon's test is
                            below 0.05
    constraints             a method that breaks one on average, on the test part, is neither used
                            nor compared: the outcome is then unknown
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeGuard

from policygrad_metrics.study.grid import p_words
from policygrad_metrics.study.overall import Overall
from policygrad_metrics.study.statistics import Interval
from policygrad_metrics.study.table import REFERENCE, Cell, Row, Summary, score_text

#: The method that stands for training on the metric, and the family of the others that do.
METRIC, FAMILY = "policy_gradient", "policy gradient"
#: A difference is certain if Holm's p is below it.
ALPHA = 0.05
#: So many data sets get a line each in the conclusion; more are only counted.
FEW_SETS = 4


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What was found on one data set.

    Args:
        data: Its name.
        method: The method that stands for training on the metric; None if none ran.
        outcome: "paid", "cost", "undecided", or "unknown" if there is nothing to compare.
        certain: Whether Holm's p says so too.
        difference: Of that method to the reference, tuned decisions.
        p_holm: Of that difference.
        use: The method to use; None if all diverged.
        text: All this as sentences.
    """

    data: str
    method: str | None
    outcome: str
    certain: bool
    difference: Interval | None
    p_holm: float | None
    use: str | None
    text: str


def judge(summary: Summary, families: Mapping[str, str]) -> Verdict:
    """Return the verdict on one data set.

    Args:
        summary: Its table.
        families: Method -> its family, see `study.methods.Method`.

    >>> judge(Summary("air", "f1", True, None, ()), {}).text
    'air: no method that trains on f1 ran. Every method diverged: there is none to use.'
    """
    rows = {row.method: row for row in summary.rows}
    metric = _metric_method(summary, families)
    reference = summary.reference if _can_use(rows.get(summary.reference or "")) else None
    outcome, certain = "unknown", False
    cell = rows[metric].tuned if metric else Cell()
    if metric and reference and _can_use(rows[metric]):
        outcome, certain = _outcome(cell)
    use, why = _to_use(summary, metric, reference, families)
    found = _finding(summary, metric, reference, outcome, certain)
    return Verdict(
        summary.data,
        metric,
        outcome,
        certain,
        cell.difference,
        cell.p_holm,
        use,
        f"{summary.data}: {found} {why}",
    )


def conclusion(verdicts: Sequence[Verdict], over: Sequence[Overall]) -> tuple[str, ...]:
    """Return the lines that a report begins with: over all data sets, then each, if they are few.

    Args:
        verdicts: One per data set.
        over: Each column over all data sets, if there are several.
    """
    if len(verdicts) < 2:
        return tuple(one.text for one in verdicts)
    lines = [_summed_up(verdicts, over), *_certain_over(over)]
    if len(verdicts) <= FEW_SETS:
        return (*lines, *(one.text for one in verdicts))
    by_method: dict[str, list[str]] = {}
    for one in verdicts:
        by_method.setdefault(one.use or "none", []).append(one.data)
    chosen = sorted(by_method.items(), key=lambda item: -len(item[1]))
    parts = [f"{_called(name)} on {len(sets)} ({', '.join(sets)})" for name, sets in chosen]
    return (*lines, f"To use: {'; '.join(parts)}.")


def _metric_method(summary: Summary, families: Mapping[str, str]) -> str | None:
    ran = {row.method for row in summary.rows}
    own = [name for name, family in families.items() if family == FAMILY and name in ran]
    return METRIC if METRIC in ran else next(iter(own), None)


def _ran_whole(row: Row | None) -> TypeGuard[Row]:
    return row is not None and not row.diverged and row.tuned.score is not None


def _can_use(row: Row | None) -> TypeGuard[Row]:
    return _ran_whole(row) and row.tuned.keeps


def _outcome(cell: Cell) -> tuple[str, bool]:
    """Return the outcome of a difference to the reference, and whether it is certain."""
    found = cell.difference
    if found is None:
        return "unknown", False
    certain = cell.p_holm is not None and cell.p_holm < ALPHA
    # Bounds are NaN where a single run gives none; these comparisons are then false.
    if (certain and found.estimate > 0) or found.low > 0:
        return "paid", certain
    if (certain and found.estimate < 0) or found.high < 0:
        return "cost", certain
    return "undecided", False


def _finding(
    summary: Summary, metric: str | None, reference: str | None, outcome: str, certain: bool
) -> str:
    """Return the sentence on the method that trains on the metric."""
    reward, rows = summary.reward, {row.method: row for row in summary.rows}
    if metric is None:
        return f"no method that trains on {reward} ran."
    if not _ran_whole(rows[metric]):
        return f"{metric}, which trains on {reward}, diverged in {rows[metric].diverged} runs."
    if not rows[metric].tuned.keeps:
        return f"{metric}, which trains on {reward}, {_breaks(summary, rows[metric])}."
    if reference is None:
        why = f"{REFERENCE} did not run, or diverged"
        if _ran_whole(rows.get(REFERENCE)):
            why = f"{REFERENCE} {_breaks(summary, rows[REFERENCE])}"
        return f"nothing tells whether training on {reward} paid: {why}."
    verb = {
        "paid": "paid" if certain else "probably paid",
        "cost": "cost" if certain else "probably cost",
        "undecided": "neither paid nor cost beyond chance",
    }[outcome]
    under = f" subject to {', '.join(summary.subject_to)}" if summary.subject_to else ""
    text = (
        f"training on {reward}{under} {verb}: {metric} {_difference(rows[metric].tuned)} against "
        f"{reference}" + ", both with tuned decisions" * (not summary.ranks)
    )
    plain, sure = _outcome(rows[metric].plain)
    keep = rows[metric].plain.keeps and rows[reference].plain.keeps
    if not summary.ranks and keep and plain != outcome and plain in ("paid", "cost"):
        text += f"; with default decisions it {'' if sure else 'probably '}{plain}: "
        text += _difference(rows[metric].plain)
    return f"{text}."


def _to_use(
    summary: Summary, metric: str | None, reference: str | None, families: Mapping[str, str]
) -> tuple[str | None, str]:
    """Return the method to use, and the sentence that says why."""
    rows = [row for row in summary.rows if _ran_whole(row)]
    if not rows:
        return None, "Every method diverged: there is none to use."
    rows, broken = [row for row in rows if row.tuned.keeps], rows
    if not rows:
        nearest = min(broken, key=lambda row: row.tuned.broken or 0.0)
        return None, (
            "No method keeps the constraints on average: there is none to use. The nearest, "
            f"{nearest.method}, {_breaks(summary, nearest)}."
        )
    kept = " of those that keep the constraints" * (len(rows) < len(broken))
    if reference is None:
        method, mean = rows[0].method, score_text(rows[0].tuned.score)
        return method, f"Use {_called(method)}, which has the highest mean{kept}, {mean}."
    better = [row for row in rows if _outcome(row.tuned)[0] == "paid"]
    if better:
        sure = _outcome(better[0].tuned)[1]
        method, why = better[0].method, f"better than {reference}"
        told = "" if method == metric else f": {_difference(better[0].tuned)}"
        return method, f"Use {_called(method)}, {'' if sure else 'probably '}{why}{told}."
    for row in rows:
        found = row.tuned.difference
        if families.get(row.method) == "trivial" and found and found.low <= 0 <= found.high:
            return row.method, (
                f"Use {row.method}: {reference} is not better than it beyond chance, and nothing "
                f"is better than {reference}."
            )
    decided = "" if summary.ranks else " with a tuned decision"
    text = f"Use {reference}{decided}: nothing is better beyond chance"
    if rows[0].method != reference:
        highest = score_text(rows[0].tuned.difference, signed=True)
        text += f" (highest mean: {rows[0].method}, {highest})"
    return reference, f"{text}."


def _breaks(summary: Summary, row: Row) -> str:
    """Return how a method breaks the constraints."""
    cell = row.tuned
    often = f"{100 * (cell.kept or 0.0):.0f} % of the runs keep it"
    return (
        f"breaks {', '.join(summary.subject_to)} by {cell.broken:.3g} on average on the test part "
        f"({often})"
    )


def _difference(cell: Cell) -> str:
    text = score_text(cell.difference, signed=True)
    known = cell.p_holm is not None
    return f"{text} (Holm's p {p_words(cell.p_holm)})" if known else f"{text} (a single run)"


def _called(method: str) -> str:
    """Return a method's name, and what it is where that decides what to install and serve."""
    return f"{method} (boosted trees)" if "boosting" in method else method


def _summed_up(verdicts: Sequence[Verdict], over: Sequence[Overall]) -> str:
    """Return how often training on the metric paid, and by how much on average."""
    named = sorted({one.method for one in verdicts if one.method})
    if not named:
        return f"Over {len(verdicts)} data sets: no method that trains on the metric ran."
    counts = []
    for outcome in ("paid", "cost", "undecided", "unknown"):
        sets = [_marked(one) for one in verdicts if one.outcome == outcome]
        if sets or outcome in ("paid", "cost"):
            names = f" ({', '.join(sets)})" if sets else ""
            verb = outcome if outcome in ("paid", "cost") else f"is {outcome}"
            counts.append(f"{verb} on {len(sets)}{names}")
    text = f"Over {len(verdicts)} data sets training on the metric ({', '.join(named)}) "
    text += ", ".join(counts[:-1]) + f" and {counts[-1]}."
    return text + (_on_average(named[0], over) if len(named) == 1 else "")


def _certain_over(over: Sequence[Overall]) -> list[str]:
    """Return a line on the methods that are ahead of the reference over the data sets together."""
    for found in over:
        ahead = [
            f"{_called(one.method)} ({one.difference:+z.3f}, Holm's p {p_words(one.p_holm)})"
            for one in found.standings
            if one.difference is not None and one.difference > 0.0
            if one.p_holm is not None and one.p_holm < ALPHA
        ]
        if found.column == "tuned" and ahead:
            sets = "Over the data sets together"
            return [f"{sets} ahead of {found.reference}, {found.title}s: {', '.join(ahead)}."]
    return []


def _marked(verdict: Verdict) -> str:
    unsure = verdict.outcome in ("paid", "cost") and not verdict.certain
    return f"{verdict.data}, probably" if unsure else verdict.data


def _on_average(method: str, over: Sequence[Overall]) -> str:
    for found in over:
        for one in found.standings:
            if (found.column, one.method) == ("tuned", method) and one.difference is not None:
                return (
                    f" Against {found.reference}, {found.title}s, it has the higher mean on "
                    f"{one.won} and the lower one on {one.lost}, {one.difference:+z.3f} on average "
                    f"(Wilcoxon's p over data sets {p_words(one.p_value)}, Holm's p "
                    f"{p_words(one.p_holm)})."
                )
    return ""
