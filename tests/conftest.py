"""What every test needs: a quiet TensorFlow, real data sets where they are at hand, and parts.

`@pytest.mark.few(n)` leaves the first n cases of a test in the default run; the others are slow.
`pytest -m slow --part 2/8` runs an eighth of the tests that are chosen, all cases of one together.
"""

import collections
import os
import re
import zlib
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


def pytest_addoption(parser):
    parser.addoption("--part", metavar="K/N", help="run the K-th of N parts of the tests")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    cases = collections.Counter()
    for item in items:
        few = item.get_closest_marker("few")
        if few:
            name = item.nodeid.split("[")[0]
            if cases[name] >= few.args[0]:
                item.add_marker(pytest.mark.slow)
            cases[name] += 1
    part = config.getoption("--part")
    if part is None:
        return
    found = re.fullmatch(r"(\d+)/(\d+)", part)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise pytest.UsageError(
            f"--part must be K/N with K from 1 to N, such as 2/8; it is {part}."
        )
    number, parts = map(int, found.groups())
    chosen = [
        zlib.crc32(item.nodeid.split("[")[0].encode()) % parts + 1 == number for item in items
    ]
    config.hook.pytest_deselected(
        items=[i for i, mine in zip(items, chosen, strict=True) if not mine]
    )
    items[:] = [item for item, mine in zip(items, chosen, strict=True) if mine]
