"""Errors that name the argument, what is allowed, what came, and the way out (floor 0)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
