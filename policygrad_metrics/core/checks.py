"""Errors that name the argument, what is allowed, what came, and the way out.

By hand, as scikit-learn's `check_scalar` names no way out and loads slowly.
"""

from __future__ import annotations

import difflib
import json
import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any


def choose(argument: str, name: object, allowed: Iterable[str]) -> str:
    """Return `name` if it is one of `allowed`, else raise an error that offers the nearest one.

    Raises:
        ValueError: `name` is not allowed. The message names `argument`, the nearest known
            name if there is one, and all allowed names.

    >>> choose("reward", "f1", ["f1", "accuracy"])
    'f1'
    >>> choose("reward", "acuracy", ["f1", "accuracy"])
    Traceback (most recent call last):
    ValueError: reward='acuracy' is not known; did you mean 'accuracy'? Allowed: 'accuracy', 'f1'.
    """
    known = sorted(allowed)
    if isinstance(name, str) and name in known:
        return name
    near = difflib.get_close_matches(str(name).lower(), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    listing = ", ".join(repr(k) for k in known)
    raise ValueError(f"{argument}={name!r} is not known{hint} Allowed: {listing}.")


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


def check_truth(argument: str, value: Any) -> None:
    """Raise unless `value` is True or False.

    Raises:
        ValueError: it is not: "no" would be read as yes.

    >>> check_truth("warm_start", "no")
    Traceback (most recent call last):
    ValueError: warm_start must be True or False; it is 'no'.
    """
    if type(value).__name__ not in ("bool", "bool_"):
        raise ValueError(f"{argument} must be True or False; it is {value!r}.")


def differing_setting(old: Any, new: Any, name: str = "") -> str | None:
    """Return "name: old value there, new value now" of the first difference, None if there is none.

    >>> differing_setting({"network": {"hidden": [64]}}, {"network": {"hidden": [32]}})
    'network.hidden was [64], now [32]'
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            inner = f"{name}.{key}" if name else str(key)
            found = differing_setting(old.get(key), new.get(key), inner)
            if found:
                return found
        return None
    return None if old == new else f"{name} was {json.dumps(old)}, now {json.dumps(new)}"
