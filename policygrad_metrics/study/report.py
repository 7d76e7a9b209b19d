"""The reports of a comparison: one HTML file that needs no other, and Markdown.

Made from `settings.json` and the runs alone: no network, no data set, no TensorFlow. Both reports
show the same content; every text is escaped where it is put in.
"""

from __future__ import annotations

import contextlib
import dataclasses
import html
import itertools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from policygrad_metrics.study.content import (
    Extras,
    chosen_data,
    content,
    pairs_name,
    ranks_name,
    summaries,
    verdicts,
)
from policygrad_metrics.study.grid import Grid
from policygrad_metrics.study.overall import Overall, all_overall
from policygrad_metrics.study.pairs import draw_pairs
from policygrad_metrics.study.plots import Picture, draw_all, picture
from policygrad_metrics.study.rank_plot import draw_ranks
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.runs import make_directory, write_atomically
from policygrad_metrics.study.table import Summary
from policygrad_metrics.study.verdict import Verdict, conclusion

PLOTS = "plots"
#: The key of the pictures of all data sets together; no data set has this name.
OVERALL = ""
#: Characters beside letters and digits that need no escape in the address of a picture.
_PLAIN = " /:;=,()+-.!*@?"


@dataclasses.dataclass(frozen=True)
class Reports:
    """The two reports, and what they say of the runs.

    Args:
        html: Path of the HTML report.
        markdown: Path of the Markdown report.
        tables: A table for each data set.
        overall: Each column over all data sets, if there are several.
        verdicts: What was found on each data set: whether training on the metric paid, what to use.
        conclusion: The same in words, the lines that the report begins with.
    """

    html: Path
    markdown: Path
    tables: tuple[Summary, ...]
    overall: tuple[Overall, ...]
    verdicts: tuple[Verdict, ...]
    conclusion: tuple[str, ...]


def write_reports(
    directory: Path,
    settings: Mapping[str, Any],
    runs: Sequence[Run],
    extras: Extras | None = None,
) -> Reports:
    """Write `report.html`, `report.md` and the pictures.

    Args:
        directory: Where to write.
        settings: What `settings.json` holds.
        runs: All runs.
        extras: What the reports contain beyond the usual.

    Raises:
        StudyError: The disk is full or the directory cannot be written.
    """
    tables = summaries(settings, runs)
    over = all_overall(tables, runs)
    pictures: dict[str, list[Picture]] = {}
    more: dict[str, Sequence[Grid]] = {}
    found = verdicts(settings, tables)
    answers = {one.data: one.text for one in found}
    concluded = conclusion(found, over)
    for summary, (name, about) in zip(tables, chosen_data(settings), strict=True):
        drawn = draw_all(
            summary,
            runs,
            about["class_names"],
            multilabel=about["task"] == "multilabel",
            colours=extras.colours if extras else None,
            shown=extras.shown(summary, runs) if extras else (),
        )
        pictures[name] = [*extras.pictures(summary, runs), *drawn] if extras else drawn
        more[name] = extras.tables(summary, runs) if extras else ()
        if extras:
            answers[name] = extras.answer(summary, runs)
            concluded = tuple(filter(None, answers.values()))
    pictures[OVERALL] = [drawn for found in over for drawn in _overall_pictures(found)]
    pictures = _with_files(pictures)
    shown = content(settings, tables, over, more, answers, concluded)
    make_directory(directory / PLOTS, running=True)
    for one in itertools.chain(*pictures.values()):
        write_atomically(directory / one.file, one.svg, running=True)
    environment = templates()
    paths = directory / "report.html", directory / "report.md"
    for path in paths:
        template = environment.get_template(f"{path.name}.jinja")
        write_atomically(path, template.render(**shown, pictures=pictures), running=True)
    _remove_pictures_but(directory, {one.file for one in itertools.chain(*pictures.values())})
    return Reports(*paths, tuple(tables), tuple(over), tuple(found), concluded)


def _overall_pictures(found: Overall) -> list[Picture]:
    if found.critical is None:
        return []
    words = f"Every two methods over {found.data_sets} data sets, {found.title}: "
    words += "the numbers are those of the table."
    matrix = picture(pairs_name(found), words, draw_pairs(found))
    words = (
        f"Mean ranks over {found.data_sets} data sets, {found.title}, the best on top; "
        "bars join methods that the critical difference cannot tell apart."
    )
    ranks = picture(ranks_name(found), words, draw_ranks(found))
    return [ranks, dataclasses.replace(matrix, wide=True)]


def _remove_pictures_but(directory: Path, shown: set[str]) -> None:
    """Remove what reports of earlier sittings, of other data sets perhaps, have left behind."""
    for path in (directory / PLOTS).glob("*.svg"):
        if re.match(r"\d+_", path.name) and f"{PLOTS}/{path.name}" not in shown:
            # A picture that cannot be removed does no harm.
            with contextlib.suppress(OSError):
                path.unlink()


def _with_files(pictures: Mapping[str, Sequence[Picture]]) -> dict[str, list[Picture]]:
    """The pictures with paths relative to the reports; a data set's name may hold anything."""
    found = {}
    for number, (data, drawn) in enumerate(pictures.items(), start=1):
        ascii_only = unicodedata.normalize("NFKD", data).encode("ascii", "ignore").decode()
        slug = re.sub(r"[^A-Za-z0-9]+", "_", ascii_only).strip("_")[:40] or "all"
        found[data] = [
            dataclasses.replace(one, file=f"{PLOTS}/{number}_{slug}_{one.name}.svg")
            for one in drawn
        ]
    return found


def templates() -> jinja2.Environment:
    """Return the templates of reports, with the filters they use."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("policygrad_metrics.study", "."),
        autoescape=jinja2.select_autoescape(["html.jinja"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # Percent-encoding is shorter here than base64.
    environment.filters["address"] = lambda svg: f"data:image/svg+xml,{quote(svg, safe=_PLAIN)}"
    environment.filters |= {"md": escape_markdown, "fence": fence_of}
    return environment


def escape_markdown(text: str) -> str:
    r"""Return text that Markdown and the HTML inside it leave as it is, on one line.

    >>> escape_markdown("a|b <i> *c* soft_f1 _d_")
    'a\\|b &lt;i&gt; \\*c\\* soft_f1 \\_d\\_'
    >>> escape_markdown("- not a list"), escape_markdown("1. nor this")
    ('\\- not a list', '1\\. nor this')
    """
    safe = html.escape(" ".join(text.split()), quote=False)
    safe = re.sub(r"([\\`*{}\[\]|~$])", r"\\\1", safe)
    # Underscores inside a word mean nothing; at its ends they are emphasis.
    safe = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", safe)
    return re.sub(r"^(\d*)([-+.#]) ", r"\1\\\2 ", safe)


def fence_of(text: str) -> str:
    """Return the shortest fence of a code block that the text does not end.

    >>> fence_of("a ```` b")
    '`````'
    """
    return "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
