"""`policygrad compare` as a person uses it: run, run again, interrupted, refused; and fairness."""

import json
import re
import resource
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from study_cases import run_command, write_series

from policygrad_metrics.cli import main as cli
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.study.table_file import TableFile


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A small series: one split by time, so that a method is compiled once for all seeds."""
    return write_series(tmp_path_factory.mktemp("series") / "air <b>.csv.gz")


METHODS = ("majority", "logistic_regression", "cross_entropy")


def comparison(series, out, *more):
    return (
        "compare", "--csv", str(series), "--target", "pm", "--bins", "40,80", "--time-split",
        "hour", "--methods", ",".join(METHODS), "--seeds", "2", "--epochs", "3", "--batch-size",
        "64", "--hidden", "8", "--out", str(out), *more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(series, tmp_path_factory):
    """An uninterrupted comparison: where it is, and what it printed."""
    out = tmp_path_factory.mktemp("finished") / "study"
    return out, run_command(*comparison(series, out, "--json"))


def scores(directory):
    """What the runs say, without the time they took."""
    lines = [json.loads(line) for line in (directory / "runs.jsonl").read_text().splitlines()]
    for line in lines:
        del line["seconds"]
    return {(line["data"], line["method"], line["seed"]): line for line in lines}


# --- a comparison -----------------------------------------------------------------------------


def test_the_terminal_shows_progress_and_no_log_lines(finished):
    _, done = finished
    for method in METHODS:
        assert f"air <b>: {method}" in done.stderr
    assert "missing cells by column: 'wind' 12." in done.stderr
    assert not re.search(r"oneDNN|cuda|WARNING|absl|[IWE]0000", done.stderr)


def test_json_on_standard_output_agrees_with_the_runs(finished):
    out, done = finished
    shown = json.loads(done.stdout)
    (table,) = shown["tables"]
    assert table["reward"] == "f1_macro"
    assert sorted(row["method"] for row in table["rows"]) == sorted(METHODS)
    runs = scores(out)
    assert runs.keys() == {("air <b>", method, seed) for method in METHODS for seed in (0, 1)}
    tuned = []
    for row in table["rows"]:
        for column in ("plain", "tuned"):
            values = [runs["air <b>", row["method"], seed][column] for seed in (0, 1)]
            assert row[column]["score"]["estimate"] == pytest.approx(np.mean(values), rel=1e-12)
        tuned.append(row["tuned"]["score"]["estimate"])
    assert tuned == sorted(tuned, reverse=True)


def test_the_scores_are_those_of_scikit_learn(finished):
    """The test reward is worked out again from the confusion matrix, by counting."""
    from sklearn.metrics import f1_score

    for line in scores(finished[0]).values():
        for column in ("plain", "tuned"):
            counts = np.array(line[f"confusion_{column}"])
            assert counts.sum() == 48  # the last fifth of 240 hours
            truth, chosen = (np.repeat(i.ravel(), counts.ravel()) for i in np.indices((3, 3)))
            expected = f1_score(truth, chosen, average="macro", labels=range(3), zero_division=0)
            assert line[column] == pytest.approx(expected, rel=1e-6)


def test_the_weights_kept_are_of_the_best_validation_epoch(finished):
    for (_, method, _), line in scores(finished[0]).items():
        rewards = line["history"].get("val_reward", [])
        assert len(rewards) == (3 if method == "cross_entropy" else 0)
        if rewards:
            assert line["best_epoch"] == 1 + int(np.flatnonzero(rewards == np.max(rewards))[-1])
            assert line["valid_plain"] == pytest.approx(max(rewards), rel=1e-6)
            assert line["steps"] == 3 * 3  # 144 rows in batches of at most 64


def test_reports_hold_the_command_and_escape_the_file(finished):
    out, _ = finished
    html, markdown = (out / "report.html").read_text(), (out / "report.md").read_text()
    for text in (html, markdown):
        assert "<b>" not in text.replace("air <b>.csv.gz", "")
        assert "--bins 40,80 --time-split hour" in text
        assert "12" in text
        assert "2.21" in text


def test_running_again_trains_nothing_and_shows_the_same(finished, series, capsys):
    out, done = finished
    before = (out / "runs.jsonl").read_bytes()
    assert cli.main(comparison(series, out, "--json")) == 0
    assert capsys.readouterr().out == done.stdout
    assert (out / "runs.jsonl").read_bytes() == before


def test_other_settings_are_refused_and_nothing_is_lost(finished, series, capsys):
    out, _ = finished
    before = (out / "runs.jsonl").read_bytes()
    assert cli.main(comparison(series, out, "--batch-size", "32")) == 2
    assert "batch_size was 64, now 32" in capsys.readouterr().err
    assert (out / "runs.jsonl").read_bytes() == before


@pytest.mark.slow
def test_one_lost_seed_of_a_stack_comes_back_the_same(finished, series, tmp_path):
    """All seeds of a series are trained in one stack; a kill can come between their lines."""
    out, _ = finished
    study = tmp_path / "study"
    shutil.copytree(out, study)
    lines = (study / "runs.jsonl").read_text().splitlines(keepends=True)
    kept = [text for text in lines if '"cross_entropy", "seed": 1' not in text]
    assert len(kept) == len(lines) - 1
    (study / "runs.jsonl").write_text("".join(kept))
    assert cli.main(comparison(series, study)) == 0
    assert scores(study) == scores(out)
    assert (study / "runs.jsonl").read_text().count("\n") == len(lines)


@pytest.mark.slow
def test_on_a_full_disk_it_says_so_and_goes_on_when_there_is_room(series, tmp_path):
    """A limit on the size of files stands for the full disk."""
    out = tmp_path / "study"
    words = comparison(series, out, "--methods", "majority,logistic_regression", "--seeds", "10")
    full = subprocess.run(
        [sys.executable, "-m", "policygrad_metrics", *words],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)),
    )
    assert full.returncode == 1
    (told,) = [line for line in full.stderr.splitlines() if line.startswith("policygrad:")]
    assert "runs.jsonl cannot be written: File too large. Make room there" in told
    assert told.endswith("Finished runs are kept, and the same command goes on from them.")
    assert "Traceback" not in full.stderr
    kept = (out / "runs.jsonl").read_bytes()
    assert 0 < kept.count(b"\n") < 20
    assert kept.endswith(b"\n")
    run_command(*words)
    whole = (out / "runs.jsonl").read_bytes()
    assert whole.startswith(kept)
    assert len(scores(out)) == whole.count(b"\n") == 20


def interrupted(series, out):
    """Exit code and messages of a comparison that is stopped while a network trains."""
    # A shell's background jobs ignore interrupts, and so would what they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "policygrad_metrics", *comparison(series, out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(signal.SIGINT, before)
    with process:
        for line in process.stderr:
            if line.strip().endswith("cross_entropy"):
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    return process.returncode, rest


@pytest.mark.slow
def test_stopping_with_control_c_says_that_it_can_go_on(series, tmp_path):
    for attempt in range(3):
        out = tmp_path / f"study {attempt}"
        code, rest = interrupted(series, out)
        if code:  # Python drops an interrupt that falls into a finaliser: press again
            break
    assert code == 130
    assert "the same command goes on from here" in rest
    assert "Traceback" not in rest
    assert len(scores(out)) >= 4


# --- fairness ---------------------------------------------------------------------------------


@pytest.fixture
def trained_with(monkeypatch):
    """What the trainer was asked for, method by method, instead of training."""
    from policygrad_metrics.study import train
    from policygrad_metrics.training import Trained

    asked = []

    def record(network, build_loss, reward, task, data, replicas, **options):
        asked.append((network, data, replicas, options))
        rng = np.random.default_rng(0)
        columns = 1 if task == "binary" else options["num_classes"]
        return [
            Trained(
                seed=replica.seed, best_epoch=0, history={"loss": [1.0], "val_reward": [0.5]},
                valid_outputs=rng.normal(size=[len(own.y_valid), columns]),
                test_outputs=rng.normal(size=[len(own.y_test), columns]), weights=[],
                diverged=replica.seed == 3, steps=1, seconds=0.0, reward_evaluations=1,
                stacked=True,
            )
            for replica, own in zip(replicas, data, strict=True)
        ]  # fmt: skip

    monkeypatch.setattr(train, "train_replicas", record)
    return asked


@pytest.mark.few(1)
@pytest.mark.parametrize("data", ["breast_cancer", "pm25"])
def test_all_methods_get_the_same_network_seeds_splits_and_budget(trained_with, tmp_path, data):
    from policygrad_metrics.study.comparison import compare, plan

    methods = ("cross_entropy", "focal", "policy_gradient", "soft_f1")
    asked = StudySettings(data=(data,), methods=methods, seeds=3, seed=2, epochs=4, optimizer="sgd")
    study = compare(asked, plan(asked, asked.datasets()), tmp_path)
    first, *others = trained_with
    assert len(others) == len(methods) - 1  # all seeds in one call
    for other in others:
        assert other[0] == first[0]
        for one, same in zip(other[1], first[1], strict=True):
            assert one is same
        assert [(r.seed, r.learning_rate) for r in other[2]] == [
            (r.seed, r.learning_rate) for r in first[2]
        ]
        assert other[3]["optimizer"] == "sgd"
        for option in ("epochs", "batch_size", "optimizer"):
            assert other[3][option] == first[3][option]
    assert [replica.seed for replica in first[2]] == [2, 3, 4]
    own_splits = not np.array_equal(first[1][0].x_test, first[1][1].x_test)
    assert own_splits == (data == "breast_cancer")
    assert (first[1][0] is first[1][1]) == (data == "pm25")
    # Seed 3 diverged in the stand-in: every method says so, and none has vanished.
    (table,) = study.tables
    assert {(row.method, row.diverged, row.runs) for row in table.rows} == {
        (method, 1, 3) for method in methods
    }


@pytest.mark.slow
def test_json_holds_the_standings_over_data_sets_that_the_tables_show(
    trained_with, tmp_path, capsys
):
    words = ["compare", "--data", "iris,wine", "--methods", "majority,cross_entropy,focal",
             "--seeds", "2", "--workers", "0", "--out", str(tmp_path)]  # fmt: skip
    assert cli.main([*words, "--json"]) == 0
    plain, tuned = json.loads(capsys.readouterr().out)["overall"]
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    assert len(trained_with) == 4  # the second call only shows
    for column in (plain, tuned):
        assert column["data_sets"] == 2
        assert column["reference"] == "cross_entropy"
        for one in column["standings"]:
            shown = [f"{one['rank']:.2f}"]
            if one["method"] != "cross_entropy":
                assert one["won"] + one["tied"] + one["lost"] == 2
                assert 0 < one["p_value"] <= one["p_holm"] <= 1
                shown += ["/".join(str(one[name]) for name in ("won", "tied", "lost"))]
            pattern = rf"{one['method']}\s+" + r"\s+".join(shown)
            assert re.search(pattern, printed.replace(" / ", "/"))


def test_the_labels_of_the_test_part_choose_nothing(series):
    from policygrad_metrics.data import Prepared, prepare, split
    from policygrad_metrics.study import train
    from policygrad_metrics.study.plan import plan
    from policygrad_metrics.study.progress import Progress

    asked = StudySettings(
        data=(), files=(TableFile(str(series), ("pm",), (40.0, 80.0), "hour"),), seeds=1, epochs=2,
        methods=("cross_entropy", "logistic_regression"), hidden=(8,),
    )  # fmt: skip
    found = []
    for shuffled in (False, True):
        for job in plan(asked, asked.datasets()):
            arrays = prepare(job.dataset, split(job.dataset, 0))
            if shuffled:
                fields = {**vars(arrays), "y_test": arrays.y_test[::-1].copy()}
                arrays = Prepared(**fields)
            if job.method.build is None:
                one = train._fit_predictor(job, arrays, 0)
            else:
                (one,) = train._train_networks(job, {0: arrays}, Progress())
            found.append(
                (job.method.name, one.best_epoch, one.history, one.decision, one.valid_tuned)
            )
    assert found[:2] == found[2:]
