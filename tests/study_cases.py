"""What the tests of the study share: runs, a small series as a file, the command."""

import csv
import gzip
import subprocess
import sys

import numpy as np

from policygrad_metrics.cli import main as cli
from policygrad_metrics.study.records import Run


def a_run(method="focal", seed=0, score=0.5, data="air", **fields):
    """A finished run whose scores are all the same."""
    scores = dict.fromkeys(("plain", "tuned", "valid_plain", "valid_tuned"), score)
    return Run(data, method, seed, **{**scores, **fields})


def run_command(*words, cwd=None, check=True):
    """Run `policygrad` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "policygrad_metrics", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=check,
    )


def refusal(words, capsys):
    """The one message, and nothing else, with which the command refuses words in this process."""
    try:
        code = cli.main(words)
    except SystemExit as end:
        code = end.code
    shown = capsys.readouterr()
    messages = [text for text in shown.err.splitlines() if text.startswith("policygrad")]
    assert code == 2
    assert len(messages) == 1
    assert "Traceback" not in shown.err
    assert shown.out == ""
    return messages[0]


def write_series(file):
    """Write 240 hours of a made-up series, some cells missing, names that need escaping."""
    rng = np.random.default_rng(0)
    with gzip.open(file, "wt", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["hour", "wind", "side", "pm"])
        for hour in range(240):
            wind = rng.normal()
            pm = 60 - 30 * wind + 8 * rng.normal()
            shown = "" if hour % 20 == 0 else f"{wind:.3f}"
            writer.writerow([hour, shown, rng.choice(["N|S", "<i>E</i>"]), f"{pm:.1f}"])
    return file
