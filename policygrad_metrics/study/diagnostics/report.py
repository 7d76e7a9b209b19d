"""What was measured of the estimators: records, a table and a picture."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

#: Column of the table -> key of the record.
_COLUMNS = {
    "error": "error",
    "bias": "bias",
    "variance": "variance",
    "cosine": "cosine",
    "signal/noise": "signal_to_noise",
    "ms": "milliseconds",
    "calls": "reward_calls",
    "flipped": "flipped_sets",
    "soft": "soft_scores",
}


@dataclasses.dataclass(frozen=True)
class GradientReport:
    """Estimators side by side on one batch.

    Args:
        records: a dictionary for each estimator, see `measure_gradients`; `reward_calls` are
            label sets scored, `flipped_sets` those of which all relabellings of one site were,
            `soft_scores` scorings of soft labels; all for one gradient.
        skipped: name -> why an estimator cannot serve the reward.
        setting: reward, sites, classes, draws, seed, E[R] and where the truth comes from.
    """

    records: list[dict[str, Any]]
    skipped: dict[str, str]
    setting: dict[str, Any]

    def table(self) -> str:
        """The records as an aligned Markdown table, the smallest error first."""
        rows = [["estimator", *_COLUMNS]]
        for record in sorted(self.records, key=lambda r: r["error"]):
            cells = [_cell(record, key) for key in _COLUMNS.values()]
            rows.append([record["estimator"] + ("" if record["unbiased"] else " (biased)"), *cells])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"| {' | '.join(_aligned(row, widths))} |" for row in rows]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        return "\n".join([lines[0], f"| {' | '.join(rule)} |", *lines[1:]])

    def figure(self) -> Any:
        """The picture, a `matplotlib.figure.Figure`."""
        from policygrad_metrics.study.diagnostics.picture import draw_report

        return draw_report(self.records, self.setting)

    def save(self, folder: str | Path) -> tuple[Path, Path]:
        """Write `gradients.json` and `gradients.png` into a folder; return their paths."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        data, picture = folder / "gradients.json", folder / "gradients.png"
        data.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n", encoding="utf-8")
        self.figure().savefig(picture, dpi=150)
        return data, picture


def _cell(record, key):
    value = record[key]
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    if key == "bias" and value <= 2.0 * record["bias_noise"]:
        return "-"  # no more than its own noise
    if key == "cosine":
        return f"{value:.3f}"
    return "0" if value == 0.0 else f"{value:.{1 if abs(math.log10(value)) > 2 else 2}g}"


def _aligned(row, widths):
    first, *rest = widths
    return [row[0].ljust(first), *(c.rjust(w) for c, w in zip(row[1:], rest, strict=True))]
