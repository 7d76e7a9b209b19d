"""How the pictures of a comparison look, and what they call a method."""

from __future__ import annotations

import textwrap
from typing import Any

from policygrad_metrics.study.table import Row

WIDTH = 5.2
FONT = 11
#: Colours of the main marks, of bands, of lines behind, of what diverged; they differ in grey too.
DARK, MIDDLE, LIGHT, GONE = "#1b3a57", "#c8641e", "#b8bec4", "#8a9097"
STYLE: dict[Any, Any] = {
    "font.size": FONT,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "policygrad_metrics",
    # Names of columns and classes are text, not mathematics: a $ must stay one.
    "text.parse_math": False,
}


def row_label(row: Row) -> str:
    """Return the method, long names on several lines, and below what puts it last."""
    name = textwrap.fill(row.method.replace("_", " "), 24)
    if row.diverged:
        return f"{name}\n({row.diverged} of {row.runs} diverged)"
    return name if row.tuned.keeps else f"{name}\n(breaks a constraint)"


def short_label(row: Row) -> str:
    """Return the method, and whether it diverged."""
    return row.method.replace("_", " ") + (" (diverged)" if row.diverged else "")


def shortened(name: str, longest: int = 20) -> str:
    """Return a name that is not longer than that.

    >>> shortened("abcdef", 4)
    'abc…'
    """
    return name if len(name) <= longest else name[: longest - 1] + "…"
