"""`policygrad aqi`: forecasts from a file to a report, resumed, scored and refused."""

import csv
import dataclasses
import json
import re

import numpy as np
import pytest
import tensorflow as tf
from air_cases import rows_of, write_plain, write_uci
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    f1_score,
    precision_score,
    recall_score,
)
from study_cases import refusal

from policygrad_metrics.air import concentration
from policygrad_metrics.air.forecasters import forecaster_names
from policygrad_metrics.air.plots import choose_days, draw_reliability
from policygrad_metrics.air.scores import (
    best_on_validation,
    level_counts,
    level_metrics,
    reliability,
)
from policygrad_metrics.air.settings import StationFile
from policygrad_metrics.cli import main as cli
from policygrad_metrics.study import comparison, records
from policygrad_metrics.study.records import Run

pytestmark = pytest.mark.slow

METHODS = "persistence,majority,policy_gradient,concentration_policy_gradient_likelihood"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_uci(tmp_path_factory.mktemp("air") / "uci <b>.csv")


def words(file, out, methods=METHODS):
    return [
        *["aqi", str(file), "--scale", "korea", "--horizon", "1", "--methods", methods],
        *["--seeds", "2", "--epochs", "2", "--hidden", "8", "--out", str(out)],
    ]


@pytest.fixture(scope="module")
def done(file, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "aqi"
    assert cli.main(words(file, out)) == 0
    return out


def runs_in(out):
    return [Run.from_line(line) for line in (out / "runs.jsonl").read_bytes().splitlines()]


# --- from a file to a report --------------------------------------------------------------------


def test_every_run_is_kept_with_its_forecasts(done):
    runs = runs_in(done)
    assert len(runs) == 8
    for run in runs:
        found = records.load_predictions(records.path_of(done, run.key))
        confusion = np.array(run.confusion_plain)
        N = len(found.plain)
        assert confusion.sum() == N
        np.testing.assert_array_equal(confusion.sum(axis=0), np.bincount(found.plain, minlength=4))
        np.testing.assert_allclose(found.chances.sum(axis=1), 1.0, atol=1e-5)
        has_value = run.method.startswith(("persistence", "concentration"))
        assert (found.values is not None) == has_value
        assert run.plain == pytest.approx(np.trace(confusion) / N)


def test_both_reports_say_it_all(done):
    page, text = ((done / f"report.{end}").read_text() for end in ("html", "md"))
    for shown in (
        "levels of the test hours, default decision",
        "levels of the test hours, tuned decision",
        "the policy gradient chosen on the validation part",
        "error of the concentration, ug/m3",
        "quadratic kappa",
        "these hours are neither predicted nor scored",
        "known: concentrations and weather up to 1 h before",
        "--horizon 1 --reward exact_bin",
    ):
        assert shown in page
        assert shown in text
    for picture in ("confusion", "week", "series", "reliability", "scores", "learning"):
        assert re.search(rf"plots/\S*_{picture}\.svg", text)
    assert page.count("data:image/svg+xml,") == 6
    assert not re.search(r"(src|href)=.https?:", page)
    assert "<b>" not in page  # of the file's name


def test_the_report_begins_with_the_answer(done):
    page, text = ((done / f"report.{end}").read_text() for end in ("html", "md"))
    runs = runs_in(done)
    best = best_on_validation(runs, METHODS.split(","), "tuned")
    own = [run for run in runs if run.method == best]
    right = np.mean([np.trace(run.confusion_tuned) / np.sum(run.confusion_tuned) for run in own])
    last = next(run for run in runs if run.method == "persistence")
    sentence = f"1 hour ahead, {best}, chosen on the validation part, tells the right level in "
    assert f"{sentence}{right:.1%} of" in text
    assert f"the last known level is right in {last.plain:.1%}" in text
    assert sentence in page
    assert page.index(sentence) < page.index("2 runs of every method")
    assert text.index(sentence) < text.index("2 runs of every method")
    assert re.search(rf"Test confusion of {best} and ", text)
    assert '<details class="notes"><summary>Features (' in page
    assert "- log PM2.5, last known" in text
    assert "- weather: 'TEMP', 'cbwd'." in text


def test_forecasts_are_written_as_csv(done, file):
    task = StationFile(str(file), scale="korea", horizon=1).task()
    runs = {run.method: run for run in runs_in(done) if run.seed == 0}
    for method, run in runs.items():
        found = records.load_predictions(records.path_of(done, run.key))
        assert found is not None
        text = (done / "forecasts" / f"{method}.csv").read_text()
        rows = list(csv.DictReader(text.splitlines()))
        assert len(rows) == len(task.parts.test)
        assert rows[0]["time"] == str(task.hours[task.parts.test[0]]).replace("T", " ") + ":00"
        level = np.array([int(row["level"]) for row in rows])
        truth = np.array([int(row["truth, level"]) for row in rows])
        np.testing.assert_array_equal(truth, task.dataset.y[task.parts.test])
        np.testing.assert_array_equal(level, found.tuned)
        worse = np.array([float(row["P(level >= 2)"]) for row in rows])
        np.testing.assert_allclose(worse, found.chances[:, 2:].sum(axis=1), atol=6e-5)
        assert ("forecast, ug/m3" in rows[0]) == (found.values is not None)


def test_the_same_command_goes_on_from_what_is_there(done, file, monkeypatch, capsys):
    trained = []
    real = comparison.train_job

    def counted(job, missing, *rest):
        trained.append((job.method.name, tuple(missing)))
        return real(job, missing, *rest)

    monkeypatch.setattr(comparison, "train_job", counted)
    assert cli.main(words(file, done)) == 0
    assert trained == []
    capsys.readouterr()
    before = runs_in(done)
    records.path_of(done, (before[0].data, "persistence", 1)).write_bytes(b"torn")
    assert cli.main([*words(file, done), "--json"]) == 0
    assert trained == [("persistence", (1,))]
    assert {run.key: run.plain for run in runs_in(done)} == {r.key: r.plain for r in before}
    shown = json.loads(capsys.readouterr().out)
    assert shown["tables"][0]["reward"] == "exact_bin"
    (answer,) = shown["conclusion"]
    assert answer.startswith("1 hour ahead, ")


def test_refitting_changes_what_is_forecast_and_not_what_was_chosen(done, file, tmp_path):
    out = tmp_path / "refit"
    names = "logistic_regression,policy_gradient,cumulative_link"
    assert cli.main([*words(file, out, names), "--refit"]) == 0
    first = {run.key: run for run in runs_in(done)}
    for run in runs_in(out):
        assert not run.diverged
        if run.method != "policy_gradient":
            continue
        once = first[run.key]
        assert run.valid_plain == pytest.approx(once.valid_plain, abs=1e-6)
        assert (run.best_epoch, run.decision) == (once.best_epoch, once.decision)
        assert run.steps > once.steps
        chances = [
            records.load_predictions(records.path_of(folder, run.key)).chances
            for folder in (done, out)
        ]
        assert np.abs(chances[0] - chances[1]).max() > 1e-3
    text = (out / "report.md").read_text()
    assert "every method was trained anew on training and validation part together" in text
    assert "--refit" in text
    assert "cumulative link" in text.replace("_", " ")


def test_other_settings_are_refused(done, file, capsys):
    assert cli.main([*words(file, done), "--dropout", "0.1"]) == 2
    assert "dropout was 0.3, now 0.1" in capsys.readouterr().err


def test_a_level_that_training_lacks_is_named_and_does_no_harm(tmp_path):
    rows = [
        (time, pm and str(min(float(pm), 30.0) if number < 400 else 90.0 + number % 7), *rest)
        for number, (time, pm, *rest) in enumerate(rows_of())
    ]
    path = write_plain(tmp_path / "a.csv", rows)
    arguments = ["--time", "when", "--pollutant-column", "fine dust"]
    code = cli.main(
        [
            *words(path, tmp_path / "out", "majority,logistic_regression"),
            *arguments,
        ]
    )
    assert code == 0
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    notes = " ".join(settings["data"]["a"]["notes"])
    assert "the training part has no hour at level" in notes
    assert "'Very unhealthy'" in notes


# --- scores -------------------------------------------------------------------------------------


def test_level_metrics_are_scikit_learns():
    rng = np.random.default_rng(0)
    truth, labels = rng.integers(5, size=[2, 400])
    counts = np.bincount(5 * truth + labels, minlength=25).reshape(5, 5).tolist()
    found = level_metrics(counts)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, labels), abs=1e-6)
    assert found["macro-F1"] == pytest.approx(f1_score(truth, labels, average="macro"), abs=1e-6)
    kappa = cohen_kappa_score(truth, labels, weights="quadratic")
    assert found["quadratic kappa"] == pytest.approx(kappa, abs=1e-6)
    away = np.abs(truth - labels)
    assert found["within one level"] == pytest.approx((away <= 1).mean(), abs=1e-6)
    assert found["mean level error"] == pytest.approx(away.mean(), abs=1e-6)


@pytest.mark.parametrize("or_worse", [False, True])
def test_hits_misses_and_false_alarms(or_worse):
    truth, told = np.random.default_rng(1).integers(4, size=[2, 300])
    confusion = np.bincount(4 * truth + told, minlength=16).reshape(4, 4).tolist()
    for level in range(4):
        was, said = (x >= level if or_worse else x == level for x in (truth, told))
        found = level_counts(confusion, level, or_worse=or_worse)
        assert found["hours"] == was.sum()
        assert found["hits"] == (was & said).sum()
        assert found["misses"] == (was & ~said).sum()
        assert found["false alarms"] == (~was & said).sum()
        assert found["recall"] == pytest.approx(recall_score(was, said))
        assert found["precision"] == pytest.approx(precision_score(was, said))


def test_honest_probabilities_lie_on_the_diagonal():
    rng = np.random.default_rng(0)
    chance = rng.uniform(size=20_000)
    truth = (rng.uniform(size=20_000) < chance).astype(int)
    found = reliability([np.stack([1 - chance, chance], axis=1)], truth, level=1)
    # 2,000 hours a bin: the share's standard error is at most sqrt(.25 / 2000) = .0112.
    np.testing.assert_allclose(found["came"], found["given"], atol=4 * 0.0112)
    assert found["hours"].sum() == 20_000


def test_no_panel_is_empty(file):
    """Ten levels in three columns leave two places free."""
    task = StationFile(str(file), scale="uk_daqi", horizon=1).task()
    N, K = len(task.parts.test), 10
    levels = np.zeros(N, np.int16)
    found = records.Predictions(np.full([N, K], 1 / K, np.float32), levels, levels)
    assert sum(axes.axison for axes in draw_reliability(task, {"a": [found]}).axes) == K


def test_the_days_around_the_week_hold_it(file):
    task = StationFile(str(file), scale="korea", horizon=1).task()
    week = choose_days(task, 2)
    around = choose_days(task, 4, around=week)
    assert set(week) < set(around)
    days = task.hours[task.parts.test][around].astype("datetime64[D]")
    assert (days[-1] - days[0]).astype(int) < 4


def test_the_week_is_seven_days_of_the_test_part(file):
    task = StationFile(str(file), scale="korea", horizon=1).task()
    week = choose_days(task, 7)
    hours = task.hours[task.parts.test][week]
    assert hours[0] >= task.hours[task.parts.test][0]
    assert (hours[-1] - hours[0].astype("datetime64[D]")).astype(int) < 7 * 24


def test_validation_alone_chooses():
    runs = [
        Run("air", "a", 0, plain=0.9, valid_plain=0.5, tuned=0.9, valid_tuned=0.5),
        Run("air", "b", 0, plain=0.1, valid_plain=0.6, tuned=0.1, valid_tuned=0.6),
        Run("air", "c", 0, diverged=True),
    ]
    assert best_on_validation(runs, ["a", "b", "c"]) == "b"
    assert best_on_validation(runs, ["c"]) is None


def test_persistence_at_horizon_0_says_what_happened(file, tmp_path, capsys):
    arguments = words(file, tmp_path / "out", "persistence,majority,logistic_regression")
    arguments[arguments.index("--horizon") + 1] = "0"
    assert cli.main(arguments) == 0
    note = "persistence is left out: at horizon 0 nothing is known"
    assert note in capsys.readouterr().err
    text = (tmp_path / "out" / "report.md").read_text()
    assert note in text
    assert "From the weather alone, " in text
    assert "'SO2', 'station' are not used: one value only" in text


def test_a_quick_look(file, tmp_path):
    arguments = ["aqi", str(file), "--scale", "korea", "--step", "day", "--quick"]
    assert cli.main([*arguments, "--epochs", "1", "--out", str(tmp_path / "out")]) == 0
    runs = runs_in(tmp_path / "out")
    assert {run.seed for run in runs if run.method == "policy_gradient"} == {0, 1}
    assert (
        "the highest value of each day is predicted" in (tmp_path / "out" / "report.md").read_text()
    )


# --- methods ------------------------------------------------------------------------------------


def test_persistence_needs_a_last_value():
    assert "persistence" in forecaster_names(["principal"], horizon=1)
    assert "persistence" not in forecaster_names(["principal"], horizon=0)
    with pytest.raises(ValueError, match="give a horizon of 1 hour or more"):
        forecaster_names(["persistence"], horizon=0)
    with pytest.raises(ValueError, match="did you mean 'concentration_huber'"):
        forecaster_names(["concentration_hubr"], horizon=1)


@pytest.mark.parametrize("name", concentration.METHODS)
def test_every_loss_of_the_concentration_has_a_gradient(name, file):
    task = StationFile(str(file), scale="korea", horizon=1).task()
    method = concentration.METHODS[name]
    policy = concentration.concentration_policy(task, method)
    values = task.concentration[:50].astype(np.float32)
    # Half a level beside the truth, where a smooth step still has a slope.
    outputs = policy.outputs_at(values * 1.3)[:, None].numpy()
    if method.learns_noise:
        outputs = np.hstack([outputs, np.full_like(outputs, -1.0)])
    outputs = tf.Variable(outputs)
    with tf.GradientTape() as tape:
        value = method.loss("exact_bin", policy)(tf.constant(values), outputs)
    gradient = tape.gradient(value, outputs).numpy()
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    # Down the slope the locations come nearer to the truth.
    assert gradient[:, 0].sum() > 0.0


def test_the_noise_is_measured_where_a_loss_knows_none(file):
    task = StationFile(str(file), scale="korea", horizon=1).task()
    policy = concentration.concentration_policy(task, concentration.METHODS["concentration_mae"])
    values = np.array([10.0, 20.0, 40.0])
    outputs = policy.outputs_at(values).numpy()[:, None] + np.array([[0.1], [-0.1], [0.1]])
    measured = concentration.with_measured_noise(policy, outputs, values)
    assert measured == dataclasses.replace(policy, scale=measured.scale)
    assert measured.scale == pytest.approx(0.1 * policy.unit, rel=1e-4)


def test_the_first_forecast_is_the_last_value(file):
    """Fresh networks add next to nothing: they start as persistence."""
    task = StationFile(str(file), scale="korea", horizon=1).task()
    network = concentration.ConcentrationNetwork((8,), dropout=0.5)
    method = concentration.METHODS["concentration_likelihood"]
    policy = concentration.concentration_policy(task, method)
    x = np.random.default_rng(0).normal(size=[5, 4]).astype(np.float32)
    last = task.last_known[:5]
    inputs = np.hstack([x, policy.outputs_at(last).numpy()[:, None]])
    first, again = (network.build(5, 2, seed=3) for _ in range(2))
    np.testing.assert_allclose(policy.location(first(inputs)), last, rtol=0.1)
    np.testing.assert_array_equal(first(inputs), again(inputs))


# --- bad input ----------------------------------------------------------------------------------


BAD = {
    "aqi nowhere.csv": "there is no such file",
    "aqi {csv} --scale tawian": "did you mean 'taiwan'",
    "aqi {csv} --pollutant pm2.5": "did you mean 'pm25'",
    "aqi {csv} --pollutant o3": "no column named after O3",
    "aqi {csv} --pollutant-column pm25": "did you mean 'pm2.5'",
    "aqi {csv} --time hours": "did you mean 'hour'",
    "aqi {csv} --horizon -1": "horizon must be a whole number of hours from 0",
    "aqi {csv} --horizon soon": "a number of hours, or several, 1..24 or 1,6,24, got 'soon'",
    "aqi {csv} --reward exact_bni": "did you mean 'exact_bin'",
    "aqi {csv} --methods persistance": "did you mean 'persistence'",
    "aqi {csv} --unit ppm": "unit='ppm' is for gases",
    "aqi {csv} --unit mg/m3": "values look like ug/m3, not mg/m3",
    "aqi {csv} --dropout 1": "dropout must be a share from 0 to below 1",
    "aqi {csv} --test-from 2031": "each needs some",
    "aqi {csv} --seeds 0": "seeds must be a whole number from 1",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_answered_in_one_message_with_code_2(line, file, capsys, tmp_path):
    asked = [word.format(csv=file) for word in line.split()]
    assert BAD[line] in refusal([*asked, "--out", str(tmp_path / "out")], capsys)
    assert not (tmp_path / "out").exists()
