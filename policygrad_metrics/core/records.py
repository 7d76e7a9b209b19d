"""Plain values, as JSON and TOML hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def as_tuples(value: Any) -> Any:
    """Return a plain value with tuples in the place of its lists, at any depth.

    >>> as_tuples({"edges": [[1, 2], []], "name": "a"})
    {'edges': ((1, 2), ()), 'name': 'a'}
    """
    if isinstance(value, Mapping):
        return {name: as_tuples(one) for name, one in value.items()}
    return tuple(map(as_tuples, value)) if isinstance(value, list | tuple) else value
