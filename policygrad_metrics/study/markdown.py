"""The report of a comparison as Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from policygrad_metrics.study.grid import Grid, Text
from policygrad_metrics.study.plots import Picture

#: Stands for all data sets together where pictures are looked up; no data set has this name.
OVERALL = ""


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


def render_markdown(
    shown: Mapping[str, Any],
    pictures: Mapping[str, Sequence[Picture]],
    files: Mapping[tuple[str, str], str],
) -> str:
    """Return the Markdown report.

    Args:
        shown: As `content` gives it.
        pictures: Data set -> its pictures.
        files: (data set, picture) -> path of the picture's file, relative to the report.
    """
    escape = escape_markdown
    lines = [f"# {escape(shown['title'])}", "", escape(shown["lead"]), ""]
    lines += [f"**{escape(warning)}**\n" for warning in shown["warnings"]]
    drawn = {one.name: one for one in pictures.get(OVERALL, ())}
    for table, name in shown["overall"]:
        lines += _markdown_grid(table, "##")
        if name in drawn:
            lines += [f"![{escape(drawn[name].alt)}]({files[OVERALL, name]})", ""]
    if shown["overview"]:
        lines += [escape(shown["overall_words"]), "", *_markdown_grid(shown["overview"], "##")]
    for one in shown["sets"]:
        lines += [f'<a id="{one["anchor"]}"></a>', ""]
        lines += [f"## {escape(one['heading'])}", "", escape(one["facts"]), ""]
        lines += [f"- {escape(note)}" for note in one["notes"]] + [""]
        for table in one["tables"]:
            lines += _markdown_grid(table, "###")
        for picture in pictures[one["name"]]:
            file = files[one["name"], picture.name]
            lines += [f"![{escape(picture.alt)}]({file})", ""]
        for table in one["last_tables"]:
            lines += _markdown_grid(table, "###")
    lines += ["## How it was done", "", *(f"- {escape(line)}" for line in shown["method"]), ""]
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", shown["command"])), default=0))
    lines += ["The command that makes this report again:", ""]
    lines += [f"{fence}sh", shown["command"], fence, ""]
    lines += ["| setting | value |", "| --- | --- |"]
    lines += [f"| {escape(name)} | {escape(value)} |" for name, value in shown["settings"]]
    return "\n".join(lines) + "\n"


def _markdown_grid(grid: Grid, level: str) -> list[str]:
    def cell(text: Text) -> str:
        shown = escape_markdown(text.text)
        shown = f"[{shown}](#{text.link})" if text.link else shown
        return f"**{shown}**" if text.bold else shown

    lines = [f"{level} {escape_markdown(grid.title)}", ""]
    lines += ["| " + " | ".join(map(escape_markdown, grid.header)) + " |"]
    lines += ["| --- |" + " ---: |" * (len(grid.header) - 1)]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in grid.rows]
    return [*lines, "", *([escape_markdown(grid.below), ""] if grid.below else [])]
