"""A trained model of a table: labels for new rows, saved as plain files and loaded again."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from policygrad_metrics.core import durable
from policygrad_metrics.data.cells import to_number
from policygrad_metrics.data.frames import frame_cells
from policygrad_metrics.data.reading import coded_cells
from policygrad_metrics.study.trained.card import Card, read_card
from policygrad_metrics.study.trained.decider import Decider
from policygrad_metrics.study.trained.drift import Ranges, ranges_from_json
from policygrad_metrics.study.trained.schema import Schema

PREPARATION, DECISION, CARD = "preparation.json", "decision.json", "model_card"
#: Of the files; a reader of another format would misread them.
_FORMAT = 1
#: What the preparation of a kind of model holds -> what such a model is for.
_KINDS = {
    "schema": ", but one of policygrad train: give it to policygrad predict or export",
    "station": ", but one of policygrad aqi --save: give it to policygrad forecast",
}


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedTable:
    """A model that was trained on a table, with its preparation and its decision.

    Args:
        schema: The columns.
        decider: From columns to labels.
        ranges: What the training rows held.
        card: What is to be known of it.

    See `train_table` for an example.
    """

    schema: Schema
    decider: Decider
    ranges: Ranges
    card: Card

    @property
    def classes_(self) -> np.ndarray:
        """The classes in the order of the probabilities, numbers or booleans if they all are."""
        names = self.schema.class_names
        numbers: list[Any] = [to_number(name) for name in names]
        texts = set(self.schema.target) & set(self.schema.reading.text)
        if not texts and set(names) == {"False", "True"}:
            return np.array([name == "True" for name in names])
        if None in numbers or texts:
            return np.array(names)
        return np.array([int(n) if n == int(n) else n for n in numbers])

    def predict_proba(self, frame: Any) -> np.ndarray:
        """Return probabilities, float64 `[N, K]`; of label columns `[N, L]`, of label 1.

        Args:
            frame: A frame of pandas, polars or Arrow, or column -> values.

        Raises:
            ValueError: A column is missing or of another type.
        """
        chances = self._chances(frame)
        if self.schema.task == "binary":
            return np.stack([1.0 - chances, chances], axis=1)
        return chances

    def predict(self, frame: Any) -> np.ndarray:
        """Return labels `[N]`; of label columns 0 or 1, `[N, L]`; arguments as before."""
        labels = self.decider.decide(self._chances(frame))
        return labels if self.schema.task == "multilabel" else self.classes_[labels]

    def _chances(self, frame: Any) -> np.ndarray:
        columns, _ = coded_cells(frame_cells(frame), self.schema.reading)
        return self.decider.probabilities(*self.schema.arrays(columns))

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model, its preparation, its decision and its card.

        A folder of an earlier model is replaced, and no other one is touched.

        Args:
            folder: Where to write.

        Raises:
            FileExistsError: The folder holds something else.
            OSError: It cannot be written.
        """
        folder = Path(folder)
        check_folder(folder, "schema")
        parts = self.decider.save
        about = {
            "schema": dataclasses.asdict(self.schema),
            "ranges": dataclasses.asdict(self.ranges),
        }
        write_folder(folder, parts, about, self.card)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> TrainedTable:
        """Return the model of a folder; nothing in it is run.

        Raises:
            FileNotFoundError: There is no model.
            ValueError: It is none of a table, or damaged.
        """
        folder = Path(folder)
        about, decision = read_folder(folder, "schema", "policygrad train")
        with understood(folder):
            return cls(
                Schema.from_json(about["schema"]),
                Decider.load(folder, about, decision),
                ranges_from_json(about["ranges"]),
                read_card(about["card"]),
            )


def check_folder(folder: Path, kind: str) -> None:
    """Raise unless a model can be written there.

    Args:
        folder: Where to write.
        kind: What the preparation of such a model holds; a model of another kind is kept.

    Raises:
        FileExistsError: It holds something else, or is a file.
        OSError: Nothing can be written there.
    """
    durable.refuse_unwritable(folder)
    if folder.is_dir() and any(folder.iterdir()) and not _holds(folder, kind):
        raise FileExistsError(
            f"out={str(folder)!r} (where to write) exists and is no model of this command: name a "
            "folder that is new or empty."
        )


def _holds(folder: Path, kind: str) -> bool:
    try:
        return kind in json.loads((folder / PREPARATION).read_text("utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def write_folder(folder: Path, save: Any, about: Mapping[str, Any], card: Card) -> None:
    """Write a model's files beside the folder, and put them in its place when all are there.

    Args:
        folder: Where to write.
        save: Writes the models; returns preparation and decision as plain values.
        about: What else the preparation's file holds.
        card: What is to be known of it.
    """
    folder = folder.resolve()  # "." has no name
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    preparation, decision = save(made)
    record = {"format": _FORMAT, **about, "card": dataclasses.asdict(card)}
    for name, content in ((PREPARATION, {**record, **preparation}), (DECISION, decision)):
        durable.write_atomically(made / name, json.dumps(content, indent=1).encode())
    for suffix, text in card.texts().items():
        durable.write_atomically(made / f"{CARD}.{suffix}", text.encode())
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    made.rename(folder)
    durable.sync_directory(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def read_folder(folder: Path, kind: str, command: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the files of preparation and decision hold.

    Args:
        folder: Where they are.
        kind: What the preparation of such a model holds.
        command: What writes such a model.

    Raises:
        FileNotFoundError: There is no model.
        ValueError: It is of another kind, of another version, or damaged.
    """
    try:
        about, decision = (
            json.loads((folder / name).read_text("utf-8")) for name in (PREPARATION, DECISION)
        )
    except OSError as error:
        raise FileNotFoundError(
            f"model={str(folder)!r} holds no model: {error.strerror}, {error.filename}. Give the "
            f"folder that {command} wrote."
        ) from error
    except ValueError as error:
        raise ValueError(f"model={str(folder)!r} is damaged: {error}.") from error
    if not isinstance(about, dict) or not isinstance(decision, dict):
        raise ValueError(f"model={str(folder)!r} is damaged: its files hold no records.")
    if kind not in about:
        others = [hint for other, hint in _KINDS.items() if other in about]
        raise ValueError(f"model={str(folder)!r} is no model of {command}{''.join(others)}.")
    if about["format"] != _FORMAT:
        raise ValueError(
            f"model={str(folder)!r} is of another version of this package (format "
            f"{about['format']}, expected {_FORMAT}): train it anew."
        )
    return about, decision


@contextlib.contextmanager
def understood(folder: Path) -> Iterator[None]:
    """Turn what a model's files lack, or hold of another kind, into a `ValueError`."""
    try:
        yield
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"model={str(folder)!r} is damaged: {error!r}; train it anew.") from error
