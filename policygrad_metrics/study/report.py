"""The reports of a comparison: one HTML file that needs no other, and Markdown.

Made from `settings.json` and the runs alone: no network, no data set, no TensorFlow. Both reports
show the same content; every text is escaped where it is put in.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from policygrad_metrics.study.content import Extras, chosen_data, content, summaries
from policygrad_metrics.study.grid import Grid
from policygrad_metrics.study.markdown import OVERALL, render_markdown
from policygrad_metrics.study.overall import Overall, all_overall
from policygrad_metrics.study.overview import ranks_name
from policygrad_metrics.study.plots import Picture, draw_all, picture
from policygrad_metrics.study.rank_plot import draw_ranks
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.runs import make_directory, write_atomically
from policygrad_metrics.study.table import COLUMNS, Summary

PLOTS = "plots"
#: What needs no escape in the address of a picture, beside letters and digits.
_PLAIN = " /:;=,()+-.!*@?"


@dataclasses.dataclass(frozen=True)
class Results:
    """All runs summed up: a table for each data set, and each column over several data sets."""

    tables: tuple[Summary, ...]
    overall: tuple[Overall, ...]


def sum_up(settings: Mapping[str, Any], runs: Sequence[Run]) -> Results:
    """Return what the runs of a study say; arguments as for `write_reports`."""
    tables = summaries(settings, runs)
    return Results(tuple(tables), tuple(all_overall(tables, runs)))


def write_reports(
    directory: Path,
    settings: Mapping[str, Any],
    runs: Sequence[Run],
    results: Results | None = None,
    extras: Extras | None = None,
) -> tuple[Path, Path]:
    """Write `report.html`, `report.md` and the pictures; return the paths of the two reports.

    Args:
        directory: Where to write.
        settings: What `settings.json` holds.
        runs: All runs.
        results: What `sum_up` gives, if it is known already.
        extras: What is said beside the usual.

    Raises:
        StudyError: The disk is full or the directory cannot be written.
    """
    results = results or sum_up(settings, runs)
    pictures = {
        summary.data: draw_all(
            summary, runs, about["class_names"], multilabel=about["task"] == "multilabel"
        )
        for summary, (_, about) in zip(results.tables, chosen_data(settings), strict=True)
    }
    more: dict[str, Sequence[Grid]] = {}
    if extras is not None:
        for summary in results.tables:
            more[summary.data] = extras.tables(summary, runs)
            own = {one.name: one for one in extras.pictures(summary, runs)}
            usual = {one.name: one for one in pictures[summary.data]}
            pictures[summary.data] = [*(own | (usual | own)).values()]
    pictures[OVERALL] = [
        picture(ranks_name(found), _rank_words(found), draw_ranks(found))
        for found in results.overall
        if found.critical is not None
    ]
    shown = content(settings, results.tables, results.overall, more)
    return write_pages(directory, shown, pictures)


def _rank_words(found: Overall) -> str:
    return (
        f"Mean ranks over {found.data_sets} data sets, {COLUMNS[found.column]}, the best on top; "
        "bars join methods that the critical difference cannot tell apart."
    )


def write_pages(
    directory: Path, shown: Mapping[str, Any], pictures: Mapping[str, Sequence[Picture]]
) -> tuple[Path, Path]:
    """Write the reports and pictures of what `content` gives, or of something like it.

    Args:
        directory: Where to write.
        shown: As `content` gives it.
        pictures: Data set -> its pictures; `OVERALL` -> those of all data sets, if there are any.
            Those of an earlier report that are not among them are removed.

    Raises:
        StudyError: The disk is full or the directory cannot be written.
    """
    files = _file_names(pictures)
    make_directory(directory / PLOTS, running=True)
    for name, drawn in pictures.items():
        for one in drawn:
            write_atomically(directory / files[name, one.name], one.svg, running=True)
    markdown, page = directory / "report.md", directory / "report.html"
    write_atomically(markdown, render_markdown(shown, pictures, files), running=True)
    write_atomically(page, _html(shown, pictures), running=True)
    _remove_pictures_but(directory, {*files.values()})
    return page, markdown


def _remove_pictures_but(directory: Path, shown: set[str]) -> None:
    """Remove what reports of earlier sittings, of other data sets perhaps, have left behind."""
    for path in (directory / PLOTS).glob("*.svg"):
        if re.match(r"\d+_", path.name) and f"{PLOTS}/{path.name}" not in shown:
            # A picture too many does no harm where a file cannot be removed.
            with contextlib.suppress(OSError):
                path.unlink()


def _file_names(pictures: Mapping[str, Sequence[Picture]]) -> dict[tuple[str, str], str]:
    """Paths relative to the reports, from names of data sets, which may hold anything."""
    names: dict[tuple[str, str], str] = {}
    for number, (data, drawn) in enumerate(pictures.items(), start=1):
        ascii_only = unicodedata.normalize("NFKD", data).encode("ascii", "ignore").decode()
        slug = re.sub(r"[^A-Za-z0-9]+", "_", ascii_only).strip("_")[:40] or "all"
        for one in drawn:
            names[data, one.name] = f"{PLOTS}/{number}_{slug}_{one.name}.svg"
    return names


def _html(shown: Mapping[str, Any], pictures: Mapping[str, Sequence[Picture]]) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("policygrad_metrics.study", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    sets = [{**one, "pictures": _embedded(pictures[one["name"]])} for one in shown["sets"]]
    ranks = {one.name: _embedded([one])[0] for one in pictures.get(OVERALL, ())}
    return environment.get_template("report.html.jinja").render(
        **{**shown, "sets": sets, "rank_pictures": ranks}
    )


def _embedded(pictures: Sequence[Picture]) -> list[dict[str, str]]:
    return [
        # Shorter than base64, which takes a third more than the picture.
        {"alt": drawn.alt, "address": f"data:image/svg+xml,{quote(drawn.svg, safe=_PLAIN)}"}
        for drawn in pictures
    ]
