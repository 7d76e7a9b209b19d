"""What the tests of the data sets share: the folder of files, and a small set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from policygrad_metrics import data
from policygrad_metrics.data import Dataset
from policygrad_metrics.data.real import TITLES as FILE_SETS

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data"
NAMES = [name for name in data.available() if name not in FILE_SETS]
needs_files = pytest.mark.skipif(not FOLDER.is_dir(), reason="the data folder is not here")


def load_set(name: str) -> Dataset:
    if name in FILE_SETS and not FOLDER.is_dir():
        pytest.skip("the data folder is not here")
    return data.load(name, folder=FOLDER)


def toy(N: int = 60, rare: int = 6, **changes) -> Dataset:
    rng = np.random.default_rng(0)
    parts = {
        "name": "toy",
        "title": "Toy",
        "numeric": rng.normal(size=[N, 2]),
        "categorical": rng.choice(np.array(["a", "b", ""], dtype=object), size=[N, 1]),
        "numeric_names": ["u", "v"],
        "categorical_names": ["kind"],
        "y": np.repeat([0, 1], [N - rare, rare]),
        "class_names": ["no", "yes"],
        "task": "binary",
        "reward": "f1",
    }
    return Dataset(**{**parts, **changes})
