"""The record of one replica in a study, its predictions, and the error of a study."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np


class StudyError(Exception):
    """A study cannot start or go on; the message says why, and the way out.

    Args:
        message: What to show.
        running: Whether runs were already being made: then it is no matter of bad input, and the
            message ends in what becomes of them.
    """

    def __init__(self, message: str, *, running: bool = False):
        kept = " Finished runs are kept, and the same command goes on from them."
        super().__init__(message + kept * running)
        self.running = running


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


def load_predictions(path: Path) -> Predictions | None:
    """Return the predictions of a file; None if it is not there or damaged: train again."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Predictions(**{name: arrays[name] for name in arrays.files})
    except (OSError, ValueError, TypeError, EOFError):
        return None


@dataclasses.dataclass(frozen=True)
class Run:
    """What one replica of one method gave on one data set.

    Args:
        data: Name of the data set.
        method: Name of the method.
        seed: Of the split, the first weights and the order of the data.
        diverged: Whether its weights or outputs stopped being finite; then it has no scores.
        plain: Test reward of the default decisions.
        tuned: Test reward of the tuned decisions.
        valid_plain: Validation reward of the default decisions.
        valid_tuned: Validation reward of the tuned decisions.
        confusion_plain: Test confusion matrix `[K][K]` (multi-label: one `[2][2]` per label) of
            the default decisions; rows are the truth.
        confusion_tuned: That of the tuned decisions.
        broken_plain: By how much default decisions break the worst constraint on the test part,
            0 or less where they keep all; None without constraints.
        broken_tuned: The same of the tuned decisions.
        kept: Whether the tuned decision keeps the constraints on the validation part, by a margin.
        decision: What tuning chose, in words.
        trial_plain: Number of the trial that `plain` is of, the best on the validation part.
        trial_tuned: The same for `tuned`.
        best_epoch: Epoch whose weights were kept, from 1; 0 for a method without epochs. Of several
            members, that of the first; so is the history.
        history: Name -> one number per epoch, None where it was not finite, or where the default
            decisions on the validation part break a constraint.
        steps: Optimizer steps of all trials and members.
        seconds: Its share of the wall-clock time.
        reward_evaluations: Label sets that were scored while training.
        predictions: Of the test rows; not in its line but in a file of its own, if they are kept.
    """

    data: str
    method: str
    seed: int
    diverged: bool = False
    plain: float | None = None
    tuned: float | None = None
    valid_plain: float | None = None
    valid_tuned: float | None = None
    confusion_plain: list[Any] | None = None
    confusion_tuned: list[Any] | None = None
    broken_plain: float | None = None
    broken_tuned: float | None = None
    kept: bool = True
    decision: str = ""
    trial_plain: int = 0
    trial_tuned: int = 0
    best_epoch: int = 0
    history: Mapping[str, Sequence[float | None]] = dataclasses.field(default_factory=dict)
    steps: int = 0
    seconds: float = 0.0
    reward_evaluations: int = 0
    predictions: Predictions | None = dataclasses.field(default=None, compare=False, repr=False)

    @property
    def key(self) -> tuple[str, str, int]:
        """What a resumed study looks for: data set, method and seed."""
        return self.data, self.method, self.seed

    def to_line(self) -> bytes:
        r"""Return the run as one line of JSON, numbers that are not finite as null.

        >>> Run("air", "focal", 0, plain=0.5).to_line()[:43]
        b'{"data": "air", "method": "focal", "seed": '
        """
        fields = {name: getattr(self, name) for name in _in_line()}
        if self.broken_tuned is None:  # lines without constraints are as they always were
            fields = {name: value for name, value in fields.items() if name not in _CONSTRAINED}
        text = json.dumps(finite(fields), allow_nan=False)
        return text.encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Run:
        """The inverse of `to_line`.

        Raises:
            ValueError: It is no JSON object with the fields of a run.
        """
        fields = json.loads(line)
        if not isinstance(fields, dict) or {*fields, *_CONSTRAINED} != {*_in_line()}:
            raise ValueError("it does not have the fields of a run")
        return cls(**fields)


#: The fields of runs under constraints alone.
_CONSTRAINED = ("broken_plain", "broken_tuned", "kept")


def _in_line() -> list[str]:
    return [field.name for field in dataclasses.fields(Run) if field.name != "predictions"]


def finite(value: Any) -> Any:
    """Return plain JSON values: NaN and infinities become None, tuples lists.

    >>> finite({"loss": (1.0, float("nan"))})
    {'loss': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
