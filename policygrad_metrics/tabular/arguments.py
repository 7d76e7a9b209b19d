"""What the estimators accept, checked before any work (floor 4)."""

from __future__ import annotations

import math
import numbers
from typing import Any


def check_whole(argument: str, value: Any, least: int, or_none: bool = False) -> None:
    """Raise unless `value` is a whole number of at least `least`.

    Raises:
        ValueError: it is not.

    >>> check_whole("epochs", 0, 1)
    Traceback (most recent call last):
    ValueError: epochs must be a whole number, 1 or more; it is 0.
    """
    if or_none and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        none = " (or None)" if or_none else ""
        raise ValueError(
            f"{argument} must be a whole number, {least} or more{none}; it is {value!r}."
        )


def check_number(argument: str, value: Any, most: float = float("inf"), zero: bool = False) -> None:
    """Raise unless `value` is a finite number in (0, most], or [0, most].

    Raises:
        ValueError: it is not.

    >>> check_number("validation_fraction", 0.9, most=0.5)
    Traceback (most recent call last):
    ValueError: validation_fraction must be a number greater than 0, at most 0.5; it is 0.9.
    """
    number = math.nan
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        number = float(value)
    inside = math.isfinite(number) and number <= most
    if not inside or number < 0.0 or (number == 0.0 and not zero):
        low = "not negative" if zero else "greater than 0"
        high = "" if most == float("inf") else f", at most {most}"
        raise ValueError(f"{argument} must be a number {low}{high}; it is {value!r}.")


def check_hidden(hidden: Any) -> Any:
    """Sizes of layers as a tuple of ints, or the function itself.

    Raises:
        ValueError: it is neither.

    >>> check_hidden([64, 32])
    (64, 32)
    >>> check_hidden("64")
    Traceback (most recent call last):
    ValueError: hidden must be sizes of layers such as (64, 64), or a function ...; it is '64'.
    """
    if callable(hidden):
        return hidden
    sizes = [hidden] if isinstance(hidden, numbers.Integral) else hidden
    if not isinstance(sizes, (list, tuple)) or not all(
        isinstance(size, numbers.Integral) and not isinstance(size, bool) and int(size) > 0
        for size in sizes
    ):
        raise ValueError(
            "hidden must be sizes of layers such as (64, 64), or a function (n_features, "
            f"n_outputs) -> keras.Model; it is {hidden!r}."
        )
    return tuple(int(size) for size in sizes)
