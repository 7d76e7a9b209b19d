"""`policygrad train`, `predict`, `export`, `aqi --save` and `forecast` at a terminal."""

import csv
import gzip
import io
import os
import sys

import numpy as np
import pytest
from rich.console import Console

from policygrad_metrics.air import trained
from policygrad_metrics.cli import console as commands
from policygrad_metrics.cli import forecast as cli_forecast
from policygrad_metrics.cli import main as cli
from policygrad_metrics.study.grid import Grid, Text
from policygrad_metrics.study.trained import fit

TRAIN = ["train", "--csv", "{table}", "--target", "y"]


class Closed(io.StringIO):
    """An output that nobody reads any more."""

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")

    def fileno(self):
        return os.open(os.devnull, os.O_WRONLY)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "toy.csv"
    rows = [f"{n % 17},{'abc'[n % 3]},{'hi' if n % 17 > 11 else 'lo'}" for n in range(200)]
    path.write_text("\n".join(["x,kind,y", *rows]))
    return path


def test_a_table_is_trained_its_rows_labelled_and_drift_told(table, tmp_path, capsys):
    model, out = tmp_path / "model", tmp_path / "new" / "labels.csv"
    words = ["train", "--csv", str(table), "--target", "y", "--hidden", "8", "--epochs", "30"]
    assert cli.main([*words, "--learning-rate", "0.03", "--out", str(model)]) == 0
    shown = capsys.readouterr()
    assert "Confusion matrix" in shown.out
    assert "What drives the decision" in shown.out
    new = tmp_path / "new.csv"
    new.write_text("kind;id;x\na;first;16\nz;second;1\n")
    assert cli.main(["predict", str(model), str(new), "--keep", "id", "--out", str(out)]) == 0
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["y"]) for row in rows] == [("first", "hi"), ("second", "lo")]
    assert float(rows[0]["P(hi)"]) + float(rows[0]["P(lo)"]) == pytest.approx(1, abs=1e-5)
    told = capsys.readouterr().err
    assert "columns that the training table had not: id" in told
    assert "texts that training rows had not ('z')" in told
    assert [path.name for path in out.parent.iterdir()] == ["labels.csv"]
    bad = tmp_path / "bad.csv"
    bad.write_text("x,kind\nmany,a\n")
    before = out.read_text()
    assert cli.main(["predict", str(model), str(bad), "--out", str(out)]) == 2
    assert "column 'x' held numbers" in capsys.readouterr().err
    assert out.read_text() == before  # what was there stays
    for out, message in (
        (tmp_path, "is a folder"),
        (new, "is the file that is labelled"),
        (new / "x.csv", "new.csv' is a file"),
    ):
        assert cli.main(["predict", str(model), str(new), "--out", str(out)]) == 2
        assert message in capsys.readouterr().err
    assert cli.main(["export", str(model), str(new)]) == 2
    assert "new.csv' is a file" in capsys.readouterr().err
    assert new.read_text().startswith("kind;id;x")


def test_folds_are_printed_and_in_the_command_that_repeats(table, tmp_path, capsys):
    words = [word.format(table=table) for word in TRAIN]
    words += ["--method", "logistic_regression", "--folds", "4", "--out", str(tmp_path / "model")]
    assert cli.main(words) == 0
    assert "Cross-validated scores" in capsys.readouterr().out
    card = (tmp_path / "model" / "model_card.md").read_text()
    assert " --folds 4 " in card


@pytest.mark.slow
def test_trees_without_lightgbm_and_a_closed_pipe_need_no_traceback(
    table, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("lightgbm")
    monkeypatch.chdir(tmp_path)  # which becomes the model
    words = ["--csv", str(table), "--target", "y", "--method", "boosting_cross_entropy"]
    assert cli.main(["train", *words, "--out", "."]) == 0
    model = [str(tmp_path), str(table)]
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", Closed())
        assert cli.main(["predict", *model]) == 0
    assert "Broken pipe" not in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    assert cli.main(["predict", *model]) == 2
    assert "pip install policygrad-metrics[boosting]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--csv", "{table}"], "train needs one table"),
        (["train", "--csv", "{table}", "--target", "z"], "target='z' is not known"),
        (["train", "--csv", "gone.csv", "--target", "y"], "there is no such file"),
        (["train", "--csv", "{table}", "--target", "y", "--seeds", "3"], "unrecognized arguments"),
        ([*TRAIN, "--folds", "1"], "folds must be a whole number from 2 to 1000, got 1"),
        ([*TRAIN, "--folds", "60"], "use 56 folds at most (--folds 56)"),
        ([*TRAIN, "--folds", "5", "--test-share", ".3"], "both say how many rows test"),
        ([*TRAIN, "--folds", "5", "--time-split"], "shuffles the rows, and those of 'toy' are a"),
        (["predict", "gone", "{table}"], "holds no model"),
        (["forecast", "gone", "{table}"], "holds no model"),
        (["forecast", "gone", "{table}", "--floor", "high"], "levels with probabilities"),
        (["forecast", "gone", "{table}", "--out", "{table}/x"], "toy.csv' is a file"),
        (["train", "--csv", "{table}", "--target", "y", "--out", "{table}/x"], "csv' is a file"),
        (["aqi", "{table}", "--horizon", "1..3"], "go with --save"),
        (["aqi", "{table}", "--horizon", "3..1"], "must be a number of hours"),
        (
            ["forecast", "gone", "{table}", "--cost", "{table}"],
            "alone, separated by commas",
        ),
        (["forecast", "gone", "{table}", "--cost", "none.csv"], "'none.csv': there is no such"),
    ],
)
def test_bad_input_ends_with_two_and_a_message(
    table, words, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    try:
        code = cli.main([word.format(table=table) for word in words])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert message in capsys.readouterr().err


def station_lines(usual, hours, newest=None):
    """A station's file of so many hours; after the newest known one cells are empty."""
    rng, lines = np.random.default_rng(0), ["time,pm2.5"]
    for hour in range(hours):
        when = str(np.datetime64("2024-01-01T00") + hour).replace("T", " ")
        value = usual * np.exp(0.5 * rng.normal())
        lines.append(f"{when}:00,{'' if newest and hour > newest else f'{value:.0f}'}")
    return "\n".join(lines)


def test_too_few_hours_are_refused_before_anything_is_trained(tmp_path, capsys):
    folder = tmp_path / "city"
    folder.mkdir()
    (folder / "long.csv").write_text(station_lines(40.0, 400))
    (folder / "short.csv").write_text(station_lines(40.0, 39))
    words = ["--time", "time", "--horizon", "1,24", "--save", str(tmp_path / "models")]
    for path in (folder / "short.csv", folder):
        assert cli.main(["aqi", str(path), *words]) == 2
        told = " ".join(capsys.readouterr().err.split())
        assert "short: 15 hours can be forecast 24 hours ahead" in told
        assert "3 test it; 24 of each are needed. Give a file of 144 hours or more" in told
    assert not (tmp_path / "models").exists()


def test_stations_that_would_share_a_folder_are_refused(tmp_path, capsys):
    lines = station_lines(40.0, 400).splitlines()
    both = [lines[0] + ",place"]
    both += [f"{line},{place}" for place in ("North Side", "North_Side") for line in lines[1:]]
    (tmp_path / "city.csv").write_text("\n".join(both))
    words = ["--stations", "place", "--save", str(tmp_path / "models")]
    assert cli.main(["aqi", str(tmp_path / "city.csv"), *words]) == 2
    assert "would both be kept in the folder 'North_Side'" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.parametrize(("width", "shown"), [(115, 10), (93, 8), (20, 6)])
def test_as_many_columns_are_printed_as_fit(width, shown, monkeypatch, capsys):
    monkeypatch.setattr(commands, "results", lambda: Console(width=width))
    names = [f"column {letter}" for letter in "abcdefghij"]
    commands.print_grid(Grid("A table", tuple(names), (tuple(map(Text, "abcdefghij")),)))
    table, _, lost = capsys.readouterr().out.partition("Not shown")
    left = " ".join(lost.split()).removeprefix(", for the width: ").split(";")[0]
    assert left == ", ".join(names[shown:])
    assert all((name in table) == (place < shown) for place, name in enumerate(names)) or width < 70


def test_two_files_of_one_station_are_refused(tmp_path, capsys):
    (tmp_path / "a.csv").write_text(station_lines(40.0, 400))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(station_lines(40.0, 400).encode()))
    (tmp_path / "b.csv").write_text(station_lines(40.0, 400))
    for words in (["aqi", str(tmp_path), "--save", "models"], ["forecast", "m", str(tmp_path)]):
        assert cli.main(words) == 2
        assert "holds a.csv and a.csv.gz" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_a_station_without_news_or_without_a_model_stops_no_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder in ("past", "now", "more"):
        (tmp_path / folder).mkdir()
    for name, usual in (("north", 15.0), ("south", 70.0), ("west", 40.0)):
        (tmp_path / "past" / f"{name}.csv").write_text(station_lines(usual, 300))
        newest = 200 if name == "south" else None
        (tmp_path / "now" / f"{name}.csv").write_text(station_lines(usual, 300, newest))
    (tmp_path / "more" / "east.csv").write_text(station_lines(40.0, 300))
    how = [
        "--time",
        "time",
        "--horizon",
        "1",
        "--methods",
        "boosting_cross_entropy",
        "--save",
        "models",
    ]
    assert cli.main(["aqi", "past", *how]) == 0
    assert cli.main(["forecast", "models", "now"]) == 2
    assert "south: no concentration is known shortly before" in capsys.readouterr().err
    kept = {path.name for path in (tmp_path / "outlook").glob("*.csv")}
    assert kept == {"north.csv", "west.csv", "stations.csv"}
    assert cli.main(["forecast", "models", "more"]) == 2
    assert "holds no model of 'east'" in capsys.readouterr().err


@pytest.mark.slow
def test_stations_of_one_file_have_models_and_a_common_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng, lines = np.random.default_rng(0), ["time,place,pm2.5"]
    for place, usual in (("North Side", 15.0), ("south", 70.0)):
        for hour in range(400):
            when = str(np.datetime64("2024-01-01T00") + hour).replace("T", " ")
            lines.append(f"{when}:00,{place},{usual * np.exp(0.5 * rng.normal()):.0f}")
    (tmp_path / "city.csv").write_text("\n".join(lines))
    words = ["aqi", "city.csv", "--time", "time", "--stations", "place", "--horizon", "1,2"]
    more = ["--methods", "boosting_cross_entropy", "--save", "models"]
    assert cli.main([*words, *more]) == 0
    assert cli.main(["forecast", "models", "city.csv", "--floor", "1=0.5"]) == 0
    capsys.readouterr()
    with open("outlook/stations.csv", newline="") as file:
        rows = {row["station"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"North_Side", "south"}
    assert int(rows["south"]["highest level"]) > int(rows["North_Side"]["highest level"])
    for name in rows:
        assert (tmp_path / "outlook" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
        assert "P(&gt;= 1)" in (tmp_path / "outlook" / f"{name}.md").read_text()
        assert "&amp;" not in (tmp_path / "outlook" / f"{name}.md").read_text()


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that takes no file")
@pytest.mark.parametrize(
    "words",
    [
        [*TRAIN, "--out"],
        ["aqi", "{station}", "--time", "time", "--horizon", "1", "--save"],
        ["forecast", "gone", "{station}", "--out"],
    ],
)
def test_a_place_that_takes_no_file_is_refused_before_anything_is_trained(
    table, words, tmp_path, monkeypatch, capsys
):
    def train(*unused, **others):
        raise AssertionError("it is too late to tell then")

    monkeypatch.setattr(fit, "fit_models", train)
    monkeypatch.setattr(trained, "fit_models", train)
    station = tmp_path / "station.csv"
    station.write_text(station_lines(40.0, 400))
    asked = [word.format(table=table, station=station) for word in words]
    assert cli.main([*asked, "/proc/models/one"]) == 2
    assert "nothing can be written in '/proc'" in " ".join(capsys.readouterr().err.split())


def test_a_model_of_another_kind_is_named_and_not_replaced(table, tmp_path, capsys):
    station, model = tmp_path / "station.csv", tmp_path / "model"
    station.write_text(station_lines(40.0, 400))
    words = [word.format(table=table) for word in TRAIN]
    assert cli.main([*words, "--method", "logistic_regression", "--out", str(model)]) == 0
    assert cli.main(["forecast", str(model), str(station)]) == 2
    assert "but one of policygrad train: give it to policygrad predict" in capsys.readouterr().err
    assert cli.main(["aqi", str(station), "--time", "time", "--save", str(model)]) == 2
    assert "exists and is no model of this command" in capsys.readouterr().err
    (model / "decision.json").write_text("[]")
    assert cli.main(["predict", str(model), str(table)]) == 2
    assert "is damaged" in capsys.readouterr().err


def test_costs_that_a_spreadsheet_wrote_are_read(tmp_path):
    (tmp_path / "costs.csv").write_text("\ufeff0,1\n2,0\n\n,\n", encoding="utf-8")
    assert cli_forecast._costs(str(tmp_path / "costs.csv")) == [[0.0, 1.0], [2.0, 0.0]]


def test_a_station_that_would_take_the_place_of_the_common_table_is_refused(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "city").mkdir()
    for name in ("north", "stations"):
        (tmp_path / "city" / f"{name}.csv").write_text(station_lines(40.0, 300))
    how = ["--time", "time", "--horizon", "1", "--methods", "logistic_regression"]
    assert cli.main(["aqi", "city/north.csv", *how, "--save", "model"]) == 0
    assert cli.main(["forecast", "model", "city"]) == 2
    assert "give that station another name" in capsys.readouterr().err
    assert not (tmp_path / "outlook").exists()
