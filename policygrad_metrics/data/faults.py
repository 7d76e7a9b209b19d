"""All faults of a file in one message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Faults:
    """The faults found so far.

    >>> faults = Faults("a.csv")
    >>> with faults.noted():
    ...     raise ValueError("the first.")
    >>> with faults.noted():
    ...     raise ValueError("the second.")
    >>> faults.stop()
    Traceback (most recent call last):
    ValueError: a.csv has 2 faults:
      1. the first.
      2. the second.
    """

    def __init__(self, name: str):
        self._name = name
        self._found: list[ValueError] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Keep the error of a step, and go on behind it."""
        try:
            yield
        except ValueError as error:
            self._found.append(error)

    def stop(self) -> None:
        """Raise what was found, if anything was.

        Raises:
            ValueError: The one fault itself, or a list of all.
        """
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            lines = [f"  {place}. {text}" for place, text in enumerate(self._found, start=1)]
            raise ValueError("\n".join([f"{self._name} has {len(lines)} faults:", *lines]))
