"""The standards, read from the data file `standards.toml`, which names their sources."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

from policygrad_metrics.aqi.tables import Column, Document, Scale


def _read() -> dict[str, Scale]:
    text = (
        resources.files("policygrad_metrics.aqi")
        .joinpath("standards.toml")
        .read_text(encoding="utf-8")
    )
    return {key: _scale(key, entry) for key, entry in tomllib.loads(text).items()}


def _scale(key: str, entry: dict[str, Any]) -> Scale:
    rounding = entry.pop("rounding", "none")
    columns = tuple(
        Column(pollutant, rounding=rounding, **_with_tuples(column))
        for pollutant, column in entry.pop("columns").items()
    )
    document = Document(**entry.pop("document"))
    return Scale(key=key, document=document, columns=columns, **_with_tuples(entry))


def _with_tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()
    }


SCALES: dict[str, Scale] = _read()
