"""A comparison that is killed at random moments, for test_kills.py: prints one line of JSON.

    python study_kills.py KILLS WORKERS FOLDER TABLE

Sittings are forks of this process, in which TensorFlow is imported and not used, so that a kill
costs no second import; the processes of `--workers` start Python anew. A directory that came to
its end is compared with the uninterrupted one, and the next one is begun.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

METHODS = ("majority", "logistic_regression", "cross_entropy", "focal")
#: What is left of a killed comparison has so many seconds to end.
PATIENCE = 60.0


class Sittings:
    """Sittings of one directory: each goes on where the last one was killed."""

    def __init__(self, folder, table, workers):
        self.folder = folder
        folder.mkdir()
        self.words = (
            "compare", "--csv", str(table), "--target", "pm", "--bins", "40,80", "--time-split",
            "hour", "--methods", ",".join(METHODS), "--seeds", "2", "--epochs", "3",
            "--batch-size", "64", "--hidden", "8", "--workers", str(workers), "--json",
            "--out", str(folder / "study"),
        )  # fmt: skip

    def sit(self, seconds=None):
        """Sit until the end, or be killed after so many seconds; whether it was killed."""
        pid = os.fork()
        if pid == 0:
            for number, name in ((1, "told.json"), (2, "progress")):
                os.dup2(os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            code = 3
            try:
                from policygrad_metrics.cli import main as cli

                code = cli.main(self.words)
                sys.stdout.flush()
            finally:
                os._exit(code)
        if seconds is not None:
            time.sleep(seconds)
            os.kill(pid, signal.SIGSTOP)  # so that it starts no child between the look and the kill
            self.children = children(pid)
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        assert status in (0, signal.SIGKILL), (self.folder / "progress").read_text()
        return status == signal.SIGKILL

    def lines(self):
        """The whole lines of the runs, a torn last one left out."""
        path = self.folder / "study" / "runs.jsonl"
        return path.read_text().split("\n")[:-1] if path.exists() else []

    def lost(self):
        """How many jobs the last sitting had begun and not written down."""
        begun = {
            line.rsplit(": ", 1)[1]
            for line in (self.folder / "progress").read_text().split("\n")[:-1]
            if line.endswith(METHODS) and "%  " in line
        }
        seeds = [json.loads(line)["method"] for line in self.lines()]
        return sum(seeds.count(method) < 2 for method in begun)

    def end(self):
        """The runs and the tables, without the times they took."""
        runs = [{**json.loads(line), "seconds": None} for line in self.lines()]
        tables = json.loads((self.folder / "told.json").read_text())["tables"]
        for row in (row for table in tables for row in table["rows"]):
            row["seconds"] = None
        return sorted(map(json.dumps, runs)), tables


def processes():
    """Process -> its state and its parent, of Linux."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rsplit(") ", 1)[1].split()[:2]
        except OSError:  # it has ended since
            continue
        found[int(path.parent.name)] = state, int(parent)
    return found


def children(pid):
    """The processes that a process started, and theirs."""
    own = [one for one, (_, parent) in processes().items() if parent == pid]
    return own + [deeper for one in own for deeper in children(one)]


def left(pids):
    """How many of the processes have not ended after a while."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        now = processes()
        alive = [pid for pid in pids if pid in now and now[pid][0] != "Z"]
        if not alive:
            return 0
        time.sleep(0.1)
    return len(alive)


def main(kills, workers, folder, table):
    import keras  # noqa: F401 - so that no sitting has to
    import sklearn.linear_model  # noqa: F401

    began = time.monotonic()
    whole = Sittings(folder / "whole", table, workers)
    assert not whole.sit()
    seconds, expected = time.monotonic() - began, whole.end()
    moments, run = random.Random(0), None
    result = dict.fromkeys(("killed", "ends", "same", "forgotten", "children", "orphans"), 0)
    lost = []
    while run is not None or result["killed"] < kills:
        run = run or Sittings(folder / str(result["ends"]), table, workers)
        kept = set(run.lines())
        wanted = result["killed"] < kills
        was_killed = run.sit(moments.uniform(0.0, 1.0) * seconds if wanted else None)
        result["forgotten"] += len(kept.difference(run.lines()))
        if was_killed:
            result["killed"] += 1
            result["children"] += len(run.children)
            result["orphans"] += left(run.children)
            lost.append(run.lost())
        else:
            result["ends"] += 1
            result["same"] += run.end() == expected
            run = None
    print(json.dumps({**result, "lost": lost, "seconds": round(seconds, 1)}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *map(Path, sys.argv[3:]))
