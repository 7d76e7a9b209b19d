"""A comparison on a Dask cluster of this machine's loopback interface, and what executors lose."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Future

import pytest
from deadly import die
from study_cases import write_series

from policygrad_metrics.cli import main as cli
from policygrad_metrics.study.comparison import compare, plan
from policygrad_metrics.study.processes import Processes
from policygrad_metrics.study.records import StudyError
from policygrad_metrics.study.settings import StudySettings

METHODS = ("majority", "logistic_regression", "cross_entropy", "focal", "policy_gradient")
#: Seconds that a busy machine may take to start a worker.
PATIENCE = 240


def comparison(table, out):
    return (
        "compare", "--csv", str(table), "--target", "pm", "--bins", "40,80", "--time-split",
        "hour", "--methods", ",".join(METHODS), "--seeds", "2", "--epochs", "3", "--batch-size",
        "64", "--hidden", "8", "--out", str(out), "--json",
    )  # fmt: skip


def told(text):
    """The tables that were printed, without the times."""
    tables = json.loads(text)["tables"]
    for row in (row for table in tables for row in table["rows"]):
        row["seconds"] = None
    return tables


def until(answer, process):
    """What a function returns as soon as it is something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, process.returncode
        if found := answer():
            return found
        time.sleep(0.1)
    raise TimeoutError


@pytest.fixture
def started(tmp_path):
    """Start `dask` with words, in a process of its own; all end with the test."""
    processes = []

    def start(name, *words):
        command = [sys.executable, "-m", "dask", *words, "--host", "127.0.0.1", "--no-dashboard"]
        with (tmp_path / f"{name}.log").open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_worker_of_a_cluster_is_killed_and_the_table_is_the_local_one(tmp_path, started, capsys):
    pytest.importorskip("distributed")
    table, file = write_series(tmp_path / "air.csv.gz"), tmp_path / "scheduler.json"
    scheduler = started("scheduler", "scheduler", "--port", "0", "--scheduler-file", str(file))
    address = until(lambda: file.exists() and json.loads(file.read_text())["address"], scheduler)
    assert address.startswith("tcp://127.0.0.1:")
    alone = ("--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path))
    workers = [started(f"worker {n}", "worker", address, *alone) for n in range(2)]

    out = tmp_path / "cluster"
    words = [*comparison(table, out), "--scheduler", address]
    with subprocess.Popen(
        [sys.executable, "-m", "policygrad_metrics", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as study:  # fmt: skip
        runs = out / "runs.jsonl"
        until(lambda: runs.exists() and runs.read_bytes().count(b"\n") >= 2, study)
        workers[0].send_signal(signal.SIGKILL)
        before = runs.read_bytes().count(b"\n")
        shown, said = study.communicate(timeout=PATIENCE)
    assert study.returncode == 0, said
    assert before < 2 * len(METHODS)  # in the middle
    assert workers[0].wait() == -signal.SIGKILL
    assert workers[1].poll() is None

    assert cli.main([*comparison(table, tmp_path / "local"), "--workers", "0"]) == 0
    assert told(shown) == told(capsys.readouterr().out)
    # TensorFlow's start-up lines are not in the workers' logs.
    logs = "".join((tmp_path / f"worker {n}.log").read_text() for n in range(2))
    assert "Starting established connection" in logs
    assert "cudart" not in logs
    assert "WARNING: All log" not in logs


def test_a_scheduler_that_does_not_answer_is_told_with_the_way_out(tmp_path, monkeypatch, capsys):
    pytest.importorskip("distributed")
    monkeypatch.setattr("policygrad_metrics.study.workers.PATIENCE", 0.2)
    words = ("compare", "--data", "iris", "--methods", "majority", "--out", str(tmp_path / "out"))
    assert cli.main([*words, "--scheduler", "tcp://127.0.0.1:9"]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("policygrad: no Dask scheduler answers at 'tcp://127.0.0.1:9'")
    assert "dask worker ADDRESS" in told
    assert not (tmp_path / "out").exists()


class Lost(Processes):
    """An executor that loses every call."""

    def __init__(self, error):
        self.error = error

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_exception(self.error)
        return future


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (BrokenExecutor("all gone."), "was lost: all gone. Finished runs are kept"),
        (OSError(), "was lost: OSError. Finished runs are kept"),
    ],
)
def test_what_an_executor_loses_is_told_with_the_way_out(error, message, tmp_path):
    asked = StudySettings(data=("iris",), methods=("majority",))
    with pytest.raises(StudyError, match=f"^iris: majority {message}") as told:
        compare(asked, plan(asked, asked.datasets()), tmp_path, executor=Lost(error))
    assert told.value.running


# --- processes of this machine --------------------------------------------------------------------


def test_the_call_of_a_process_that_dies_is_made_again_by_another(tmp_path):
    with Processes(2, calls_per_process=2, most_deaths=3) as pool:
        first = pool.submit(die, tmp_path / "twice", 2)
        assert len({pool.submit(os.getpid).result() for _ in range(3)}) >= 2  # worn out after two
        pids = (first.result(), *map(int, (tmp_path / "twice").read_text().split()))
        assert len(set(pids)) == 3
        assert pids[0] == pids[3]
        with pytest.raises(BrokenExecutor, match=r"^3 processes ended .*--workers 1"):
            pool.submit(die, tmp_path / "always", 99).result()
        assert len((tmp_path / "always").read_text().split()) == 3
        assert pool.submit(os.getpid).result() != os.getpid()  # and the others live on


def test_processes_end_at_once_in_the_middle_of_their_work(tmp_path):
    began = time.monotonic()
    with Processes(1, calls_per_process=9, most_deaths=3) as pool:
        pool.submit(os.getpid).result()
        endless = pool.submit(time.sleep, 600)
    with pytest.raises(BrokenExecutor):
        endless.result()
    assert time.monotonic() - began < 60


@pytest.mark.slow
def test_a_job_that_kills_its_processes_is_told_and_the_others_are_kept(tmp_path):
    script = tmp_path / "study.py"
    script.write_text(
        "import dataclasses, os, signal, sys\n"
        "from policygrad_metrics.study.comparison import compare, plan\n"
        "from policygrad_metrics.study.methods import METHODS as TABLE\n"
        "from policygrad_metrics.study.settings import StudySettings\n"
        "def deadly(info, hyper, seed):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "def main():\n"
        "    asked = StudySettings(data=('iris',), methods=('majority', 'logistic_regression'))\n"
        "    one, two = plan(asked, asked.datasets())\n"
        "    bad = dataclasses.replace(two.method, predictor=deadly)\n"
        "    jobs = [one, dataclasses.replace(two, method=bad)]\n"
        "    compare(asked, jobs, sys.argv[1], workers=1)\n"
        "if __name__ == '__main__':\n"
        "    main()\n"
    )
    done = subprocess.run(
        [sys.executable, script, tmp_path / "out"], capture_output=True, text=True, check=False
    )
    assert "iris: logistic_regression was lost: 3 processes ended in the middle" in done.stderr
    lines = (tmp_path / "out" / "runs.jsonl").read_text().splitlines()
    assert [json.loads(line)["method"] for line in lines] == ["majority"] * 5


def test_the_command_and_the_executor_agree(tmp_path):
    """Workers are how many jobs an executor has at a time."""
    most = []

    class Counted(Processes):
        def __init__(self):
            self.begun = 0

        def submit(self, fn, /, *args, **kwargs):
            most.append(self.begun)
            future = Future()
            future.set_result(fn(*args, **kwargs))
            return future

    asked = StudySettings(data=("iris",), methods=("majority", "logistic_regression"), seeds=2)
    jobs = plan(asked, asked.datasets())
    there = compare(asked, jobs, tmp_path / "there", executor=Counted(), workers=1)
    here = compare(asked, jobs, tmp_path / "here")
    assert len(most) == 2
    assert [(run.key, run.plain, run.tuned) for run in there.runs] == [
        (run.key, run.plain, run.tuned) for run in here.runs
    ]
