"""What commands say: results on standard output, all else on standard error; and bad input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from policygrad_metrics.study.progress import say
from policygrad_metrics.study.quiet import start_tensorflow

#: No table is as wide.
_ANY = 10**6


class BadInputError(Exception):
    """What a person asked for cannot be done; the message says why."""


@contextmanager
def bad_input() -> Iterator[None]:
    """Turn the errors of a person's input into `BadInputError`; others keep their traceback.

    A package of an extra that is not installed is one of them; a pipe that nobody reads is none.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except (ValueError, OSError, ImportError) as error:
        raise BadInputError(str(error)) from error


def say_about(datasets: Sequence[Any]) -> Any:
    """Describe the data on standard error; return its console, for all output but results."""
    from rich.console import Console

    notes = Console(stderr=True)
    for one in datasets:
        counts = zip(one.class_names, one.counts, strict=True)
        found = ", ".join(f"{name} {count}" for name, count in counts)
        lines = [f"{one.name}: {one.title}; {len(one)} rows, {one.task} ({found})"]
        for line in (*lines, *(f"  - {note}" for note in one.notes)):
            say(notes, line, soft_wrap=not notes.is_terminal)
    return notes


def starting(notes: Any = None) -> Any:
    """Start TensorFlow, and return the console of what is no result, `notes` if it is given."""
    notes = notes or say_about(())
    if notes.is_terminal:
        notes.print("starting TensorFlow", end="\r")
    start_tensorflow()
    return notes


def results() -> Any:
    """Return the console of results, wide enough for a table where it is no terminal."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=110)


def print_grid(grid: Any) -> None:
    """Print a table and what stands below it, and say which columns are too many for the width."""
    from policygrad_metrics.study.grid import MOST_COLUMNS, rich_grid

    console = results()
    columns, unbounded = len(grid.header), console.options.update(width=_ANY)
    while (
        columns > MOST_COLUMNS
        and console.measure(rich_grid(grid, columns), options=unbounded).maximum > console.width
    ):
        columns -= 1
    console.print(rich_grid(grid, columns))
    if lost := ", ".join(grid.header[columns:]):
        say(console, f"Not shown, for the width: {lost}; the files have them.")
    say(console, grid.below)
    console.print()
