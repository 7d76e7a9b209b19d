"""What every run forecast for the test hours, kept beside the runs."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np

from policygrad_metrics.study.records import StudyError

FOLDER = "predictions"


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """Forecasts of the N test hours.

    Args:
        chances: Level probabilities float32 `[N, K]`.
        plain: Levels as they come, int8 `[N]`.
        tuned: Levels of the tuned decision, int8 `[N]`.
        concentration: float32 `[N]`; None of a method that forecasts levels only.
    """

    chances: np.ndarray
    plain: np.ndarray
    tuned: np.ndarray
    concentration: np.ndarray | None = None


def path_of(directory: Path, method: str, seed: int) -> Path:
    """Return the file of one run's forecasts."""
    return directory / FOLDER / f"{method}-{seed}.npz"


def save(path: Path, predictions: Predictions) -> None:
    """Write the forecasts; a crash leaves either the old file or the new one, whole.

    Raises:
        StudyError: The disk is full or the file cannot be written.
    """
    fields = dataclasses.asdict(predictions)
    stream = io.BytesIO()
    np.savez_compressed(stream, **{k: v for k, v in fields.items() if v is not None})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_bytes(stream.getvalue())
        temporary.replace(path)
    except OSError as error:
        raise StudyError(
            f"{path} cannot be written: {error.strerror or error}. Make room there, or choose "
            "another directory with --out. Finished runs are kept.",
            running=True,
        ) from error


def load(path: Path) -> Predictions | None:
    """Return the forecasts of a file; None if it is not there or damaged: train again."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Predictions(**{name: arrays[name] for name in arrays.files})
    except (OSError, ValueError, TypeError, EOFError):
        return None
