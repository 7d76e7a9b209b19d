"""Tables that people have: huge numbers, truth values, Parquet files, one small column."""

import io

import numpy as np
import pytest

from policygrad_metrics.data import Split, prepare, read_table
from policygrad_metrics.study import train_table
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.trained.stream import label_file

HOW = {"method": "logistic_regression"}
X = np.arange(120.0) % 17
Y = np.where(X > 11, "high", "low")


@pytest.mark.parametrize("size", [1e308, 1e200, 1e-200, 1e-308])
def test_numbers_whose_squares_have_no_float(size):
    data = read_table({"x": (X - 8) / 9 * size, "y": Y}, "y")
    rows = np.arange(len(data))
    with np.errstate(all="raise", under="ignore"):
        found = prepare(data, Split(rows[:80], rows[80:100], rows[100:]))
    assert np.isfinite(found.x_test).all()
    assert found.x_train.std() == pytest.approx(1, abs=1e-3)


def test_truth_values_come_back_as_such():
    table = {"x": X, "y": X > 11}
    labels = train_table(table, "y", **HOW).predict(table)
    assert labels.dtype == bool
    assert (labels == table["y"]).mean() > 0.9


def test_a_parquet_file_gives_its_name_and_the_command(tmp_path):
    polars = pytest.importorskip("polars")
    path = tmp_path / "loans.parquet"
    polars.DataFrame({"x": X, "code": [f"0{n % 4}" for n in range(120)], "y": Y}).write_parquet(
        path
    )
    model = train_table(str(path), "y", **HOW)
    assert model.schema.name == "loans"
    assert f"policygrad train --csv {path} --target y" in model.card.command
    assert model.schema.categorical == ("code",)
    assert model.schema.columns == ("x", "code", "y")


def test_the_target_may_be_a_number_that_pandas_has_as_a_name():
    pandas = pytest.importorskip("pandas")
    assert train_table(pandas.DataFrame({0: X, 1: Y}), 1, **HOW).schema.target == ("1",)
    with pytest.raises(ValueError, match="must name the column to predict"):
        train_table({"x": X, "y": Y}, None, **HOW)


def test_a_network_of_few_columns_is_not_taken_for_one_that_ends_with_a_sigmoid():
    said = []

    class Listening(Progress):
        def say(self, text):
            said.append(text)

    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    table = {"x": x, "y": (x > 0.3) * 1}
    train_table(table, "y", epochs=1, hidden=(4,), progress=Listening())
    assert said == []


def test_what_cannot_be_labelled_leaves_no_header_behind():
    model, out = train_table({"x": X, "y": Y}, "y", **HOW), io.StringIO()
    with pytest.raises(ValueError, match="columns are missing: 'x'"):
        label_file(model, {"z": [1]}, out)
    assert out.getvalue() == ""


def test_an_interval_beyond_one_is_explained():
    x = np.random.default_rng(0).normal(size=60)
    table = {"x": x, "y": x + 0.6 * np.sin(np.arange(60)) > 0}
    model = train_table(table, "y", folds=2, reward="accuracy", **HOW)
    grid = model.card.tables[1]
    high = float(grid.rows[0][1].text.split(", ")[1].rstrip("]"))
    assert high > 1
    assert "An interval beyond 1 says that more folds are needed." in grid.below
    assert "from 1 column, to maximise" in model.card.lead


def test_texts_of_digits_come_back_as_they_are():
    codes = np.where(X > 11, "01", "1")
    model = train_table({"x": X, "y": codes}, "y", **HOW)
    assert sorted(model.classes_) == ["01", "1"]
    assert (model.predict({"x": X}) == codes).mean() > 0.9
