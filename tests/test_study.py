"""Runs on disk, settings, tables, pictures and reports: all that needs no training."""

import dataclasses
import html.parser
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from hypothesis import given, settings, strategies
from scipy import stats

from policygrad_metrics import cli, cli_options
from policygrad_metrics.data import load
from policygrad_metrics.study.content import summaries
from policygrad_metrics.study.plots import draw_all
from policygrad_metrics.study.records import Run, StudyError
from policygrad_metrics.study.report import write_reports
from policygrad_metrics.study.runs import LOCK, RUNS, SETTINGS, RunStore
from policygrad_metrics.study.settings import (
    StudySettings,
    TableFile,
    directory_name,
    fingerprint,
)
from policygrad_metrics.study.table import heading, mean_ranks, rich_table, summarise

SETTINGS_RECORD = {
    "fixed": {"epochs": 5, "hidden": [64, 64]},
    "data": {"air": {"fingerprint": "a"}},
}


def a_run(method="focal", seed=0, score=0.5, data="air", **fields):
    scores = dict.fromkeys(("plain", "tuned", "valid_plain", "valid_tuned"), score)
    return Run(data, method, seed, **{**scores, **fields})


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
    import shlex

    words = shlex.split(command_line)
    assert words[:2] == ["policygrad", "compare"]
    return cli_options.read_settings(cli.build_parser().parse_args(words[1:]))


NAMES = strategies.text(
    strategies.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")),
    min_size=1,
    max_size=8,
).filter(lambda name: name == name.strip())
NUMBERS = strategies.floats(-1e6, 1e6)


@settings(deadline=None, max_examples=200)
@given(
    strategies.builds(
        StudySettings,
        data=strategies.sampled_from([("iris",), ("wine", "digits")]),
        table=strategies.none()
        | strategies.builds(
            TableFile,
            path=NAMES,
            target=strategies.lists(NAMES, min_size=1, max_size=3).map(tuple),
            bins=strategies.none()
            | strategies.integers(2, 9)
            | strategies.lists(NUMBERS, min_size=1, max_size=4).map(tuple),
            time_split=strategies.booleans() | NAMES,
            drop=strategies.lists(NAMES, max_size=3).map(tuple),
            positive=strategies.none() | NAMES,
        ),
        data_dir=strategies.none() | NAMES,
        methods=strategies.sampled_from([("focal",), ("soft_f1", "majority")]),
        reward=strategies.none() | NAMES,
        seeds=strategies.integers(1, 1000),
        seed=strategies.integers(0, 1000),
        epochs=strategies.none() | strategies.integers(1, 1000),
        batch_size=strategies.integers(1, 1000),
        hidden=strategies.lists(strategies.integers(1, 999), max_size=3).map(tuple),
        learning_rate=strategies.floats(1e-9, 10),
    )
)
def test_the_printed_command_asks_for_the_same_comparison(asked):
    assert parsed(asked.command()) == asked


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


# --- tables -----------------------------------------------------------------------------------

SCORES = {
    "cross_entropy": [0.50, 0.54, 0.49, 0.57],
    "focal": [0.53, 0.55, 0.55, 0.58],
    "soft_f1": [0.61, 0.48, 0.52, 0.59],
}


def runs_of(scores, data="air"):
    return [a_run(m, s, v, data) for m, values in scores.items() for s, v in enumerate(values)]


def test_a_split_by_time_gets_student_s_interval_and_the_sign_flip_test():
    table = summarise("air", "f1", runs_of(SCORES), [*SCORES], own_splits=False)
    assert [row.method for row in table.rows] == ["focal", "soft_f1", "cross_entropy"]
    focal = table.rows[0].tuned
    difference = np.subtract(SCORES["focal"], SCORES["cross_entropy"])
    for found, values in ((focal.score, SCORES["focal"]), (focal.difference, difference)):
        bounds = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
        np.testing.assert_allclose([found.low, found.high], bounds, rtol=1e-9)
    # All four differences are positive: 2 of the 16 sign patterns are as extreme.
    assert focal.p_value == 2 / 16
    assert focal.p_holm == 2 * focal.p_value


def test_random_splits_get_wider_intervals_because_they_share_rows():
    table = summarise("air", "f1", runs_of(SCORES), [*SCORES], own_splits=True)
    values = np.array(SCORES["focal"])
    half = stats.t.ppf(0.975, 3) * values.std(ddof=1) * np.sqrt(1 / 4 + 0.2 / 0.6)
    interval = table.rows[0].plain.score
    np.testing.assert_allclose([interval.high - interval.low], [2 * half], rtol=1e-9)


def test_a_diverged_method_is_last_and_not_the_best():
    runs = runs_of(SCORES)
    runs += [a_run("wild", s, 0.99) for s in (0, 1, 2)] + [Run("air", "wild", 3, diverged=True)]
    runs += [Run("air", "gone", s, diverged=True) for s in range(4)]
    table = summarise("air", "f1", runs, ["gone", "wild", *SCORES], own_splits=False)
    assert [row.method for row in table.rows][-2:] == ["wild", "gone"]
    wild, gone = table.rows[-2:]
    assert (wild.diverged, wild.runs, gone.tuned.score) == (1, 4, None)
    assert [row.method for row in table.rows if row.tuned.best] == ["focal"]
    assert "wild (1 of 4 diverged)" in shown(table)
    assert "gone (4 of 4 diverged)" in shown(table)


def shown(table):
    import io

    from rich.console import Console

    stream = io.StringIO()
    console = Console(file=stream, width=110)
    console.print(rich_table(table))
    return stream.getvalue()


def test_equally_good_methods_are_both_the_best():
    table = summarise(
        "air", "f1", runs_of({"a": [0.5, 0.6], "b": [0.6, 0.5]}), ["a", "b"], own_splits=True
    )
    assert [row.tuned.best for row in table.rows] == [True, True]
    assert table.reference is None
    assert "tuned - " not in shown(table)


def test_a_single_run_has_no_interval():
    table = summarise(
        "air", "f1", runs_of({"cross_entropy": [0.5], "b": [0.7]}), ["cross_entropy", "b"],
        own_splits=True,
    )  # fmt: skip
    assert "±" not in shown(table)
    assert "+0.200" in shown(table)
    assert table.rows[0].tuned.p_value is None


def test_the_table_says_how_it_is_sorted():
    table = summarise("air", "f1", runs_of(SCORES), [*SCORES], own_splits=True)
    assert 'sorted by "decision tuned"' in heading(table)
    assert 'sorted by "decision tuned"' in shown(table)


def test_mean_ranks_put_a_diverged_method_last():
    runs = runs_of(SCORES) + runs_of(SCORES, "wine") + [Run("wine", "focal", 4, diverged=True)]
    tables = [summarise(d, "f1", runs, [*SCORES], own_splits=True) for d in ("air", "wine")]
    assert mean_ranks(tables, "tuned") == {"focal": 2.0, "soft_f1": 1.5, "cross_entropy": 2.5}


# --- pictures and reports ---------------------------------------------------------------------

EVIL = "a|b <script>alert('1')</script> & $x_1$ *c* `d` \" é 优"
TASKS = {"binary": 2, "multiclass": 12, "ordinal": 3, "multilabel": 4}


def a_study(methods=("cross_entropy", "focal", "majority"), seeds=3, name=EVIL, diverged=()):
    rng = np.random.default_rng(0)
    data, runs = {}, []
    for number, (task, K) in enumerate(TASKS.items()):
        set_name = f"{name} {task}" if number else name
        data[set_name] = {
            "title": EVIL,
            "task": task,
            "reward": "f1_macro",
            "rows": 100,
            "features": 3,
            "class_names": [f"{EVIL} {k}" for k in range(K)],
            "counts": [10] * K,
            "parts": [60, 20, 20],
            "epochs": 40,
            "time_ordered": task == "ordinal",
            "notes": [EVIL, "- one", "1. two"],
            "fingerprint": "x",
        }
        shape = (K, 2, 2) if task == "multilabel" else (K, K)
        for method in methods:
            for seed in range(seeds):
                history = {} if method == "majority" else {"val_reward": [0.1, None, 0.3]}
                if method in diverged:
                    runs.append(Run(set_name, method, seed, diverged=True, history=history))
                    continue
                confusion = rng.integers(0, 30, shape).tolist()
                runs.append(
                    a_run(
                        method, seed, float(rng.uniform()), set_name, history=history,
                        confusion_tuned=confusion, confusion_plain=confusion,
                    )
                )  # fmt: skip
    asked = StudySettings(methods=methods, seeds=seeds, data_dir="<dir>")
    record = {
        "command": asked.command(),
        "chosen_data": [*data],
        "methods": [*methods],
        "protocol": ["fair"],
        "fixed": asked.fixed(),
        "data": data,
    }
    return record, runs


class Page(html.parser.HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [v for k, v in attributes if k in ("src", "href", "action", "data")]

    def handle_data(self, data):
        self.texts.append(data)


def test_the_html_report_needs_no_other_file_and_escapes_everything(tmp_path):
    record, runs = a_study()
    path, _ = write_reports(tmp_path, record, runs)
    page = Page(path.read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert page.tags.count("img") == 3 * len(TASKS)
    assert all(link.startswith("data:image/svg+xml;base64,") for link in page.links)
    text = " ".join(page.texts)
    for wanted in (EVIL, record["command"], *record["fixed"]["versions"].values(), "fair"):
        assert wanted in text
    for setting in record["fixed"].keys() - {"versions"}:
        assert setting in text


def test_the_markdown_report_has_whole_tables_whatever_names_hold(tmp_path):
    record, runs = a_study()
    _, path = write_reports(tmp_path, record, runs)
    text = path.read_text(encoding="utf-8")
    assert "<script>" not in text.replace(record["command"], "")
    assert record["command"] in text
    blocks = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    assert len(blocks) == 3 * len(TASKS) + 2  # with the ranks and the settings
    for block in blocks:
        bars = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(bars) == 1
    for picture in re.findall(r"\]\((plots/.*?)\)", text):
        assert (tmp_path / picture).read_text().startswith("<?xml")
    assert text.count("](plots/") == 3 * len(TASKS)


def test_both_reports_warn_of_diverged_runs(tmp_path):
    record, runs = a_study(diverged=("focal",))
    for path in write_reports(tmp_path, record, runs):
        text = path.read_text(encoding="utf-8")
        assert "3 of 3 runs of focal" in text
        assert "focal (3 of 3 diverged)" in text.replace("\\", "")


@pytest.mark.parametrize(
    "changes",
    [
        {"methods": ("majority",)},
        {"methods": ("cross_entropy",), "seeds": 1},
        {"methods": ("focal", "majority"), "diverged": ("focal",)},
        {"methods": ("focal",), "diverged": ("focal",)},
    ],
)
def test_reports_of_little_or_nothing_are_written_too(tmp_path, changes):
    record, runs = a_study(**changes)
    for path in write_reports(tmp_path, record, runs):
        assert "method" in path.read_text(encoding="utf-8")


def test_the_same_runs_give_the_same_pictures_in_any_order():
    record, runs = a_study()
    table = summaries(record, runs)[0]
    names = record["data"][EVIL]["class_names"]
    first = draw_all(table, runs, names, multilabel=False)
    assert first == draw_all(table, runs[::-1], names, multilabel=False)
    assert [picture.name for picture in first] == ["scores", "learning", "confusion"]
    for picture in first:
        assert picture.svg.startswith("<?xml")
        assert "f1_macro" in picture.alt or picture.name == "confusion"


def test_settings_tables_and_reports_need_no_tensorflow_and_no_pyplot():
    script = """
        import sys
        import policygrad_metrics.study.settings, policygrad_metrics.study.report
        import policygrad_metrics.study.runs
        print([m for m in ("tensorflow", "keras", "matplotlib.pyplot") if m in sys.modules])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_the_lock_file_and_limits_used_here_exist():
    # The tests above would pass for the wrong reason where the kernel knows no such limit.
    assert LOCK != RUNS
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
