"""Progress of a comparison: a bar on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def printable(text: str) -> str:
    r"""Return the text without characters that would command a terminal; lines stay lines.

    >>> printable("a\x1b[31mb\n")
    'a\ufffd[31mb\n'
    """
    return "".join(c if c == "\n" or c.isprintable() else "\ufffd" for c in text)


def say(console: Console, text: str, **how: Any) -> None:
    """Print a text as it is: nothing in it is markup, or a command to the terminal.

    Args:
        console: Where to.
        text: What.
        how: Other arguments of `Console.print`.
    """
    console.print(printable(text), markup=False, highlight=False, **how)


class Progress:
    """Progress that is shown to nobody: the default of `compare`."""

    def working_on(self, text: str) -> None:
        """Say what is done now."""

    def advance(self, share: float) -> None:
        """Say how much of the whole, from 0 to 1, was done since the last call."""

    def say(self, text: str) -> None:
        """Say something that is to stay on the screen."""

    def part(self, share: float) -> Progress:
        """Return the progress of a part that counts for this share of the whole."""
        return _Part(self, share)


class _Part(Progress):
    def __init__(self, whole: Progress, share: float):
        self._whole, self._share = whole, share
        self.working_on, self.say = whole.working_on, whole.say

    def advance(self, share: float) -> None:
        self._whole.advance(self._share * share)


def time_left(seconds: float) -> str:
    """Return a time as people say it, in seconds, minutes or hours.

    >>> time_left(41), time_left(200), time_left(9000)
    ('about 40 s left', 'about 3 min left', 'about 2.5 h left')
    """
    if seconds < 95:
        return f"about {max(10, round(seconds, -1)):.0f} s left"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} min left"
    return f"about {seconds / 3600:.1f} h left"


class PlainLines(Progress):
    """One line for each piece of work: the share that is done, the time that is left.

    A piece that takes long has a line every minute.
    """

    #: Seconds from line to line of one piece of work.
    _patience = 60.0

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic):
        self._console = console
        self._clock = clock
        self._done = 0.0
        self._text = ""
        #: Time and share when work began: what was done before took no time now.
        self._start: tuple[float, float] | None = None
        self._shown = 0.0

    def working_on(self, text: str) -> None:
        self._start = self._start or (self._clock(), self._done)
        self._text = text
        self._show()

    def advance(self, share: float) -> None:
        # A share can be a rounding error below zero, as the rest of 1 after a sum.
        self._done = max(0.0, min(1.0, self._done + share))
        if self._text and self._clock() - self._shown > self._patience:
            self._show()

    def say(self, text: str) -> None:
        say(self._console, text, soft_wrap=True)

    def _show(self) -> None:
        self._shown = self._clock()
        self.say(f"{self._done:4.0%}  {self._left()}{self._text}")

    def _left(self) -> str:
        began, before = self._start or (0.0, 1.0)
        if self._done <= before or self._shown <= began:
            return ""
        seconds = (self._shown - began) / (self._done - before) * (1 - self._done)
        return f"{time_left(seconds)}  "


class Bar(PlainLines):
    """A bar with the time that is left, below the messages."""

    _patience = 0.2

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic):
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as RichProgress

        super().__init__(console, clock)
        self.bar = RichProgress(
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
        )
        self._task = self.bar.add_task("", total=1.0)

    def _show(self) -> None:
        self._shown = self._clock()
        text = printable(f"{self._left()}{self._text}")
        self.bar.update(self._task, completed=self._done, description=text)


@contextlib.contextmanager
def showing(console: Console) -> Iterator[Progress]:
    """Show progress on the console for as long as the context lasts."""
    if not console.is_terminal:
        yield PlainLines(console)
        return
    bar = Bar(console)
    with bar.bar:
        yield bar
