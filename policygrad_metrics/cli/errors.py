"""The error of a command that was given bad input."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class BadInputError(Exception):
    """What a person asked for cannot be done; the message says why."""


@contextmanager
def bad_input() -> Iterator[None]:
    """Turn the errors of a person's input into `BadInputError`; others keep their traceback."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise BadInputError(str(error)) from error
