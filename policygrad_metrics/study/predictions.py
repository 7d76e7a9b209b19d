"""The predictions of a run for every test row, in a file of their own."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from urllib.parse import quote

import numpy as np

FOLDER = "predictions"


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of the N test rows.

    Args:
        chances: Probabilities float32, as `evaluate.probabilities` gives them.
        plain: Labels of the default decisions, int16, shaped like the truth; None of a ranking.
        tuned: Labels of the tuned decisions; None likewise.
        values: Numbers that the labels are cut from, float32 `[N]`; None of a method that predicts
            labels only.
    """

    chances: np.ndarray
    plain: np.ndarray | None = None
    tuned: np.ndarray | None = None
    values: np.ndarray | None = None

    def to_bytes(self) -> bytes:
        """Return the content of a file."""
        fields = {name: array for name, array in vars(self).items() if array is not None}
        stream = io.BytesIO()
        np.savez_compressed(stream, **fields)
        return stream.getvalue()


def path_of(directory: Path, key: tuple[str, str, int]) -> Path:
    """Return the file of the run of a data set, method and seed.

    >>> path_of(Path("runs"), ("a/b", "focal", 3)).as_posix()
    'runs/predictions/a%2Fb/focal-3.npz'
    """
    data, method, seed = key
    return directory / FOLDER / quote(data, safe=" ") / f"{method}-{seed}.npz"


def load(path: Path) -> Predictions | None:
    """Return the predictions of a file; None if it is not there or damaged: train again."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Predictions(**{name: arrays[name] for name in arrays.files})
    except (OSError, ValueError, TypeError, EOFError):
        return None
