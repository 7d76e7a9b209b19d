"""What every test needs: a quiet TensorFlow and the real data sets where they are at hand."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets, which is not part of the repository."""
    if not REAL_DATA.is_dir():
        pytest.skip("the folder of real data sets is not here")
    return REAL_DATA
