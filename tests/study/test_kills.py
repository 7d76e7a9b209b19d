"""A comparison killed at random moments ends with the table of the uninterrupted one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from study_cases import write_series

KILLS = int(os.environ.get("POLICYGRAD_KILLS", "3"))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_at_random_moments_it_ends_with_the_same_table(tmp_path, workers):
    """Twenty kills: POLICYGRAD_KILLS=20."""
    program = Path(__file__).with_name("study_kills.py")
    table = write_series(tmp_path / "air.csv.gz")
    done = subprocess.run(
        [sys.executable, program, str(KILLS), str(workers), tmp_path, table],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    print(done.stdout)  # shown with -s
    result = json.loads(done.stdout)
    assert result["killed"] == KILLS
    assert result["same"] == result["ends"] >= 1
    assert result["forgotten"] == 0
    # What is lost is in flight: one stack of replicas, or one of each process.
    assert max(result["lost"]) <= max(1, workers)
    assert result["orphans"] == 0
