"""What commands say on standard error, beside their results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def say_about(datasets: Sequence[Any]) -> Any:
    """Describe the data on standard error; return its console, for all output but results."""
    from rich.console import Console

    from policygrad_metrics.study.progress import printable

    notes = Console(stderr=True)
    how: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": not notes.is_terminal}
    for one in datasets:
        counts = zip(one.class_names, one.counts, strict=True)
        found = ", ".join(f"{name} {count}" for name, count in counts)
        notes.print(
            printable(f"{one.name}: {one.title}; {len(one)} rows, {one.task} ({found})"), **how
        )
        for note in one.notes:
            notes.print(printable(f"  - {note}"), **how)
    return notes
