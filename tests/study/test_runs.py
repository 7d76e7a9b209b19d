"""Runs on disk, and the settings of a study: all that needs no training."""

import dataclasses
import io
import json
import os
import random
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies
from rich.console import Console
from study_cases import a_run

from policygrad_metrics.cli import main as cli
from policygrad_metrics.cli import options as cli_options
from policygrad_metrics.data import Reading, load
from policygrad_metrics.study.progress import Bar, PlainLines
from policygrad_metrics.study.records import StudyError
from policygrad_metrics.study.runs import RUNS, SETTINGS, RunStore
from policygrad_metrics.study.settings import (
    StudySettings,
    directory_name,
    fingerprint,
)
from policygrad_metrics.study.table_file import TableFile

SETTINGS_RECORD = {
    "fixed": {"epochs": 5, "hidden": [64, 64]},
    "data": {"air": {"fingerprint": "a"}},
}


def fill(directory, runs, record=SETTINGS_RECORD):
    with RunStore.open(directory, record) as store:
        for run in runs:
            store.append(run)


def stored(directory, record=SETTINGS_RECORD):
    with RunStore.open(directory, record) as store:
        return store.runs, store.repaired


# --- runs on disk -----------------------------------------------------------------------------


def test_a_run_comes_back_as_it_was_written(tmp_path):
    run = a_run(
        score=1 / 3,
        confusion_plain=[[3, 1], [0, 2]],
        history={"loss": [0.7, None], "val_reward": [0.1, 0.2]},
        decision="p > 0.15 ≤ ü",
    )
    fill(tmp_path, [run])
    assert stored(tmp_path) == ({run.key: run}, 0)


def test_numbers_that_are_not_finite_are_written_as_null(tmp_path):
    fill(tmp_path, [a_run(history={"loss": [float("nan"), float("inf")]})])
    runs, _ = stored(tmp_path)
    assert runs["air", "focal", 0].history == {"loss": [None, None]}
    assert "NaN" not in (tmp_path / RUNS).read_text()


def test_a_run_is_on_the_disk_when_append_returns(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(os.fstat(file)), real(file)))
    with RunStore.open(tmp_path, SETTINGS_RECORD) as store:
        for seed in range(3):
            synced.clear()
            store.append(a_run(seed=seed))
            now = (tmp_path / RUNS).stat()
            assert (now.st_ino, now.st_size) in [(s.st_ino, s.st_size) for s in synced]


def test_settings_are_written_before_the_first_run(tmp_path):
    with RunStore.open(tmp_path, SETTINGS_RECORD):
        assert json.loads((tmp_path / SETTINGS).read_text()) == SETTINGS_RECORD
        assert not (tmp_path / RUNS).exists()


def test_a_line_torn_anywhere_is_removed_and_the_others_stay(tmp_path):
    whole, last = a_run(seed=0), a_run(seed=1, decision="ä")
    fill(tmp_path, [whole, last])
    content = (tmp_path / RUNS).read_bytes()
    start = content.index(b"\n") + 1
    for end in range(start, len(content)):
        (tmp_path / RUNS).write_bytes(content[:end])
        with RunStore.open(tmp_path, SETTINGS_RECORD) as store:
            assert (list(store.runs.values()), store.repaired) == ([whole], end - start)
            store.append(last)
        assert (tmp_path / RUNS).read_bytes() == content


@pytest.mark.parametrize("line", [b"nonsense", b"[1]", b'{"data": "air"}', b"\xff\xfe", b""])
def test_a_damaged_line_in_the_middle_is_named(tmp_path, line):
    fill(tmp_path, [a_run(seed=0), a_run(seed=1)])
    first, second = (tmp_path / RUNS).read_bytes().splitlines()
    (tmp_path / RUNS).write_bytes(b"\n".join([first, line, second, b""]))
    with pytest.raises(StudyError, match=r"line 2 is no run .*delete that line"):
        stored(tmp_path)


def test_other_settings_are_refused_by_name(tmp_path):
    fill(tmp_path, [a_run()])
    other = {**SETTINGS_RECORD, "fixed": {"epochs": 6, "hidden": [64, 64]}}
    with pytest.raises(StudyError, match=r"other settings: epochs was 5, now 6\. .*--no-resume"):
        stored(tmp_path, other)
    assert stored(tmp_path)[0].keys() == {("air", "focal", 0)}
    assert json.loads((tmp_path / SETTINGS).read_text()) == SETTINGS_RECORD


def test_other_rows_in_a_data_set_of_the_same_name_are_refused(tmp_path):
    fill(tmp_path, [a_run()])
    with pytest.raises(StudyError, match='data air was "a", now "b"'):
        stored(tmp_path, {**SETTINGS_RECORD, "data": {"air": {"fingerprint": "b"}}})


def test_another_horizon_of_the_same_series_is_refused(tmp_path):
    """What persistence says depends on it."""
    about = {"fingerprint": "a", "horizon": 3}
    fill(tmp_path, [a_run()], {**SETTINGS_RECORD, "data": {"air": about}})
    with pytest.raises(StudyError, match=r"horizon of air was 3, now 24\."):
        stored(tmp_path, {**SETTINGS_RECORD, "data": {"air": {**about, "horizon": 24}}})


def test_methods_and_data_sets_may_come_later(tmp_path):
    fill(tmp_path, [a_run()])
    more = {**SETTINGS_RECORD, "methods": ["x"], "data": {"wine": {"fingerprint": "w"}}}
    fill(tmp_path, [a_run(data="wine")], more)
    assert stored(tmp_path, more)[0].keys() == {("air", "focal", 0), ("wine", "focal", 0)}
    assert json.loads((tmp_path / SETTINGS).read_text())["data"].keys() == {"air", "wine"}


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"fixed": {}}'])
def test_runs_without_readable_settings_are_refused(tmp_path, text):
    fill(tmp_path, [a_run()])
    (tmp_path / SETTINGS).unlink()
    if text is not None:
        (tmp_path / SETTINGS).write_text(text)
    with pytest.raises(StudyError, match=r"settings\.json.*--no-resume"):
        stored(tmp_path)
    assert (tmp_path / RUNS).read_bytes().count(b"\n") == 1


def test_starting_again_moves_the_earlier_runs_aside(tmp_path):
    fill(tmp_path, [a_run()])
    earlier = (tmp_path / RUNS).read_bytes()
    for number in (1, 2):
        with RunStore.open(tmp_path, {"fixed": {}, "data": {}}, resume=False) as store:
            assert store.runs == {}
            store.append(a_run(seed=7))
        if number == 1:
            assert (tmp_path / "runs.1.jsonl").read_bytes() == earlier
    assert (tmp_path / "runs.2.jsonl").exists()


def test_a_second_process_is_told_who_holds_the_directory(tmp_path):
    script = f"""
        import sys
        from policygrad_metrics.study.runs import RunStore
        with RunStore.open({str(tmp_path)!r}, {SETTINGS_RECORD!r}):
            print("open", flush=True)
            sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        try:
            assert first.stdout.readline() == "open\n"
            with pytest.raises(StudyError, match=f"in use by process {first.pid};"):
                stored(tmp_path)
        finally:
            first.kill()  # the lock must not outlive its holder
    assert stored(tmp_path) == ({}, 0)


def test_a_full_disk_keeps_what_was_written(tmp_path):
    """A limit on the size of files makes the kernel write a part of the line and then refuse."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    line = len(a_run().to_line())
    script = f"""
        import resource, signal
        from policygrad_metrics.study.records import Run, StudyError
        from policygrad_metrics.study.runs import RunStore
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        scores = dict.fromkeys(("plain", "tuned", "valid_plain", "valid_tuned"), 0.5)
        with RunStore.open({str(tmp_path)!r}, {SETTINGS_RECORD!r}) as store:
            resource.setrlimit(resource.RLIMIT_FSIZE, ({3 * line - 40}, resource.RLIM_INFINITY))
            for seed in range(9):
                try:
                    store.append(Run("air", "focal", seed, **scores))
                except StudyError as error:
                    print(seed, error.running, error)
                    break
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("2 True ")
    assert "runs.jsonl cannot be written: File too large" in done.stdout
    assert "Finished runs are kept" in done.stdout
    runs, repaired = stored(tmp_path)
    assert ([seed for _, _, seed in runs], repaired) == ([0, 1], 0)


def test_a_directory_that_cannot_be_made_is_an_error_before_any_run(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StudyError, match="cannot be made") as raised:
            stored(directory)
        assert not raised.value.running


def test_a_directory_that_may_not_be_written_is_an_error_before_any_run(tmp_path):
    """In a process that gives up the rights of root, if it has them."""
    study = Path(tempfile.mkdtemp())  # others may not look into tmp_path
    fill(study, [a_run()])
    (study / "lock").unlink()
    study.chmod(0o555)
    before = (study / RUNS).read_bytes()
    script = f"""
        import os
        from policygrad_metrics.study.records import StudyError
        from policygrad_metrics.study.runs import RunStore
        if os.geteuid() == 0:
            os.setuid(65534)
        try:
            with RunStore.open({str(study)!r}, {SETTINGS_RECORD!r}):
                print("open")
        except StudyError as error:
            print(error.running, error)
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        assert done.stdout == (
            f"False {study} cannot be used: Permission denied. Make room there, or choose another "
            "directory with --out.\n"
        )
        assert (study / RUNS).read_bytes() == before
    finally:
        shutil.rmtree(study)


def test_killed_at_random_moments_no_finished_run_is_lost(tmp_path):
    """A writer is killed again and again; what it said was written must be there."""
    script = f"""
        import sys
        from policygrad_metrics.study.records import Run
        from policygrad_metrics.study.runs import RunStore
        with RunStore.open({str(tmp_path)!r}, {SETTINGS_RECORD!r}) as store:
            for seed in range(400):
                if ("air", "focal", seed) not in store.runs:
                    store.append(Run("air", "focal", seed, history={{"loss": [seed / 7] * 200}}))
                    print(seed, flush=True)
    """
    rng, told = random.Random(0), set()
    for attempt in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
        ) as writer:
            if attempt < 7:
                told.add(int(writer.stdout.readline()))  # it is writing now
                time.sleep(rng.uniform(0.0, 0.05))
                writer.send_signal(signal.SIGKILL)
            told.update(int(line) for line in writer.stdout.read().splitlines())
        runs, _ = stored(tmp_path)
        assert told <= {seed for _, _, seed in runs}
    assert sorted(seed for _, _, seed in runs) == list(range(400))
    assert all(run.history == {"loss": [seed / 7] * 200} for (_, _, seed), run in runs.items())


# --- settings ---------------------------------------------------------------------------------


def parsed(command_line):
    words = shlex.split(command_line)
    assert words[:2] == ["policygrad", "compare"]
    return cli_options.read_settings(cli.build_parser().parse_args(words[1:]))


NAMES = strategies.text(
    strategies.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")),
    min_size=1,
    max_size=8,
).filter(lambda name: name == name.strip())
NUMBERS = strategies.floats(-1e6, 1e6)


@strategies.composite
def files_read_alike(draw, **fields):
    """No file, one or several, of which only the paths differ."""
    first = draw(strategies.builds(TableFile, **fields))
    paths = draw(strategies.lists(NAMES, max_size=3))
    return tuple(dataclasses.replace(first, path=path) for path in paths)


@settings(deadline=None, max_examples=200)
@given(
    strategies.builds(
        StudySettings,
        data=strategies.sampled_from([("iris",), ("pima", "car:accuracy")]),
        suite=strategies.none() | strategies.just("standard"),
        files=files_read_alike(
            path=strategies.just("a.csv"),
            target=strategies.lists(NAMES, min_size=1, max_size=3).map(tuple),
            bins=strategies.none()
            | strategies.integers(2, 9)
            | strategies.lists(NUMBERS, min_size=1, max_size=4).map(tuple),
            time_split=strategies.booleans() | NAMES,
            drop=strategies.lists(NAMES, max_size=3).map(tuple),
            positive=strategies.none() | NAMES,
            horizon=strategies.none(),
            reading=strategies.builds(
                Reading,
                missing=strategies.lists(NAMES | strategies.just("-200"), max_size=3).map(tuple),
                text=strategies.lists(NAMES, max_size=2).map(tuple),
                sep=strategies.none() | strategies.sampled_from([";", "tab", "-"]),
                decimal=strategies.none() | strategies.sampled_from(".,"),
                encoding=strategies.none() | strategies.just("latin-1"),
                header=strategies.none() | strategies.booleans(),
                skip_lines=strategies.none() | strategies.integers(0, 9),
            ),
        ),
        tables=strategies.none() | NAMES,
        data_dir=strategies.none() | NAMES,
        methods=strategies.sampled_from([("focal",), ("soft_f1", "majority")]),
        reward=strategies.none() | NAMES,
        seeds=strategies.just(12),
        folds=strategies.none() | strategies.sampled_from([2, 3, 12]),
        trials=strategies.integers(1, 99),
        members=strategies.integers(1, 9),
        seed=strategies.integers(0, 1000),
        epochs=strategies.none() | strategies.integers(1, 1000),
        batch_size=strategies.integers(1, 1000),
        hidden=strategies.lists(strategies.integers(1, 999), max_size=3).map(tuple),
        optimizer=strategies.sampled_from(["adam", "adamw"]),
        learning_rate=strategies.floats(1e-9, 10),
    )
)
@pytest.mark.slow
def test_the_printed_command_asks_for_the_same_comparison(asked):
    assert parsed(asked.command()) == asked


def test_the_optimizer_is_part_of_what_makes_runs_the_same():
    plain, other = StudySettings(), StudySettings(optimizer="sgd")
    assert plain.fixed()["optimizer"] == "adam"
    assert other.fixed() == {**plain.fixed(), "optimizer": "sgd"}
    for wrong in ("adamv", None, "{}", '{"class_name": "Dense", "config": {}}'):
        with pytest.raises(ValueError, match="optimizer"):
            StudySettings(optimizer=wrong)


def test_the_printed_command_keeps_the_horizon():
    table = TableFile("air.csv", ("pm",), (35.0,), "date", horizon=24)
    asked = StudySettings(data=(), files=(table,))
    assert parsed(asked.command()) == asked
    with pytest.raises(ValueError, match="horizon is for a series"):
        TableFile("air.csv", ("pm",), horizon=24)


def test_the_fingerprint_follows_the_rows_and_nothing_else():
    iris = load("iris")
    changed = iris.numeric.copy()
    changed[7, 2] += 1e-9
    assert fingerprint(dataclasses.replace(iris, numeric=changed)) != fingerprint(iris)
    assert fingerprint(dataclasses.replace(iris, time_ordered=True)) != fingerprint(iris)
    assert fingerprint(dataclasses.replace(iris, notes=("other",))) == fingerprint(iris)


def test_every_setting_has_a_directory_of_its_own():
    sets = [load("iris")]
    names = {
        directory_name(dataclasses.replace(StudySettings(data=("iris",)), **change), sets)
        for change in ({}, {"seeds": 6}, {"epochs": 7}, {"methods": ("focal",)}, {"seed": 1})
    }
    assert len(names) == 5
    assert all(re.fullmatch(r"iris-[0-9a-f]{8}", name) for name in names)
    series = load("pm25")
    later = dataclasses.replace(series, horizon=24)
    assert directory_name(StudySettings(), [series]) != directory_name(StudySettings(), [later])


def test_progress_lines_stay_between_nothing_and_all():
    """Shares are sums of floats: what is left of 1 may be a hair below zero."""
    console = Console(file=io.StringIO(), width=80)
    lines = PlainLines(console, clock=lambda: 7.0)
    for share, text in ((-1e-17, "first"), (0.5, "second"), (0.5 + 1e-15, "third")):
        lines.advance(share)
        lines.working_on(text)
    assert console.file.getvalue() == "  0%  first\n 50%  second\n100%  third\n"


def test_progress_lines_tell_the_time_that_is_left():
    """What was done before takes no time; a piece that takes long is shown every minute."""
    console, now = Console(file=io.StringIO(), width=80), [1000.0]
    lines = PlainLines(console, clock=lambda: now[0])
    lines.advance(0.5)
    for seconds, share in ((0, 0.1), (30, 0.1), (30, 0.0), (31, 0.1)):
        now[0] += seconds
        lines.advance(share)
        if share == 0.1:
            lines.working_on(f"{seconds}")
    assert console.file.getvalue().splitlines() == [
        " 60%  0",
        " 70%  about 90 s left  30",
        " 80%  about 90 s left  30",
        " 80%  about 90 s left  31",
    ]


def test_a_bar_tells_the_share_and_the_time_that_is_left():
    console, now = Console(file=io.StringIO(), width=80, force_terminal=True), [0.0]
    bar = Bar(console, clock=lambda: now[0])
    bar.working_on("air: focal")
    now[0] = 30.0
    bar.advance(0.25)
    with console.capture() as shown:
        console.print(bar.bar.get_renderable())
    assert re.search(r"25%.* about 90 s left  air: focal", shown.get())
