"""The error of a command that was given bad input."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


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
