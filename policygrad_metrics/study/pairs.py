"""Every two methods over data sets: the multi-comparison matrix, as texts and as a picture.

Source: Ismail-Fawaz et al. (2023), "An approach to multiple comparison benchmark evaluations that
is stable under manipulation of the comparate set".
"""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Self

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from policygrad_metrics.study.grid import p_words
from policygrad_metrics.study.overall import Overall
from policygrad_metrics.study.style import STYLE

#: The matrix shows the best methods by mean rank, no more than this.
MOST_METHODS = 16
ALPHA = 0.05
#: Inches of a cell, and beside and above all of them.
_CELL, _BESIDE, _ABOVE = (0.92, 0.56), 1.9, 1.5


@dataclasses.dataclass(frozen=True)
class PairCell:
    """The row's method against the column's: mean difference, lines of text, whether bold."""

    difference: float = 0.0
    lines: tuple[str, ...] = ("-",)
    bold: bool = False


@dataclasses.dataclass(frozen=True)
class PairMatrix:
    """The cells `[methods][methods]`, the best mean rank first, and how to read them."""

    methods: tuple[str, ...]
    cells: tuple[tuple[PairCell, ...], ...]
    words: str

    @classmethod
    def of(cls, found: Overall) -> Self:
        """Return the matrix of one column over all data sets.

        Args:
            found: The column, of two methods or more.
        """
        methods = tuple(one.method for one in found.standings[:MOST_METHODS])
        cells, without = {}, "not kept" if found.constrained else "diverged"
        for pair in found.pairs:
            counts = pair.won, pair.tied, pair.lost
            difference, p = pair.difference, pair.p_value
            cells[pair.method, pair.other] = _cell(difference, counts, p, without)
            mirrored = None if difference is None else -difference
            cells[pair.other, pair.method] = _cell(mirrored, counts[::-1], p, without)
        rows = tuple(tuple(cells.get((a, b), PairCell()) for b in methods) for a in methods)
        words = (
            "The row's method against the column's: mean difference over the data sets, data sets "
            "won / tied / lost, p of Wilcoxon's exact signed-rank test, bold below 0.05. No p is "
            "corrected, so that no cell depends on which other methods ran: of many cells some are "
            "bold by chance."
        )
        if found.constrained:
            words += " Not kept: one of the two breaks a constraint on average, or diverged."
        if len(found.standings) > MOST_METHODS:
            words += f" Of {len(found.standings)} methods the {MOST_METHODS} of best mean rank."
        return cls(methods, rows, words)


def _cell(
    difference: float | None, counts: tuple[int, ...], p: float | None, without: str
) -> PairCell:
    lines = (without if difference is None else f"{difference:+z.3f}",)
    lines += (" / ".join(map(str, counts)),)
    if p is not None:
        lines += (f"p {p_words(p)}",)
    return PairCell(difference or 0.0, lines, p is not None and p < ALPHA)


def draw_pairs(found: Overall) -> Figure:
    """Draw the matrix; a shade tells which of two methods has the higher mean, and by how much."""
    matrix = PairMatrix.of(found)
    K = len(matrix.methods)
    values = np.array([[cell.difference for cell in row] for row in matrix.cells])
    size = (_BESIDE + _CELL[0] * K, _ABOVE + _CELL[1] * K)
    names = [textwrap.fill(name.replace("_", " "), 16) for name in matrix.methods]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        # One method that fails must not make all other differences look alike.
        widest = max(float(np.quantile(np.abs(values), 0.75)), 1e-9)
        axes.imshow(values, cmap="PuOr", vmin=-2 * widest, vmax=2 * widest, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            cell = matrix.cells[row][column]
            axes.text(
                column, row, "\n".join(cell.lines), ha="center", va="center", fontsize=8,
                weight="bold" if cell.bold else "normal",
                color="white" if abs(value) > 1.3 * widest else "black",
            )  # fmt: skip
        axes.set_xticks(range(K), names, rotation=40, ha="left", rotation_mode="anchor", fontsize=9)
        axes.set_yticks(range(K), names, fontsize=9)
        axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
        axes.spines[:].set_visible(False)
        figure.supxlabel(
            f"row less column, {found.title}, {found.data_sets} data sets;\n"
            "won / tied / lost; Wilcoxon's p, bold below 0.05",
            fontsize=9,
        )
    return figure
