"""Frames in the place of files: the same data set, texts that stay texts, a known order."""

import numpy as np
import pandas as pd
import pytest

from policygrad_metrics.data import Reading, read_table
from policygrad_metrics.data.frames import frame_cells, text_columns
from policygrad_metrics.study import StudySettings, TableFile


@pytest.fixture
def frame():
    N = np.arange(60)
    return pd.DataFrame(
        {
            "x": np.where(N % 9 == 0, np.nan, N / 7),
            "kind": [*"abc"] * 20,
            "code": [f"0{n % 4}" for n in N],
            "y": pd.Categorical([["some", "lots", "few"][n % 3] for n in N]),
        }
    )


def test_a_frame_is_the_data_set_of_its_file(frame, tmp_path):
    frame.to_csv(tmp_path / "table.csv", index=False)
    ours = read_table(frame, "y")
    theirs = read_table(tmp_path / "table.csv", "y", reading=Reading(text=("code",)))
    assert np.array_equal(ours.numeric, theirs.numeric, equal_nan=True)
    assert ours.categorical.tolist() == theirs.categorical.tolist()
    assert ours.class_names == theirs.class_names
    assert ours.categorical_names == ("kind", "code")
    assert ours.y.tolist() == theirs.y.tolist()


def test_an_ordered_categorical_brings_its_order(frame):
    frame["y"] = frame["y"].cat.set_categories(["few", "some", "lots"], ordered=True)
    found = read_table(frame, "y")
    assert (found.task, found.class_names) == ("ordinal", ("few", "some", "lots"))


def test_codes_of_missing_values(frame):
    frame["x"] = frame["x"].fillna(-999)
    found = read_table(frame, "y", reading=Reading(missing=("-999",)))
    assert np.isnan(found.numeric[:, 0]).sum() == 7


def test_a_comparison_takes_a_frame(frame):
    file = TableFile(frame, ("y",), name="mine")
    settings = StudySettings(data=(), files=(file,))
    (dataset,) = settings.datasets()
    assert dataset.name == "mine"
    assert settings.command().startswith("policygrad compare --csv FRAME --target y")


def test_cells_of_many_types():
    cells = frame_cells(
        pd.DataFrame(
            {
                "n": pd.array([1, None], "Int64"),
                "when": pd.to_datetime(["2024-01-01", None]),
                "b": [True, False],
            }
        )
    )
    assert cells == {"n": ["1", ""], "when": ["2024-01-01 00:00:00", ""], "b": ["True", "False"]}
    assert text_columns({"zip": ["01", None], "n": [1, 2], "mixed": ["1", 2]}) == ["zip"]


def test_what_is_no_table_is_refused(tmp_path):
    with pytest.raises(TypeError, match="must be the path of a file, a frame"):
        read_table(3.5, "y")
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(
        ValueError, match=r"is a Parquet file, which needs|cannot be read as Parquet"
    ):
        read_table(tmp_path / "t.parquet", "y")


def test_columns_of_different_lengths_are_told():
    with pytest.raises(ValueError, match="as many rows each; they have 'x' 2, 'kind' 1"):
        frame_cells({"x": [1.0, 2.0], "kind": ["a"]})


def test_of_a_lazy_frame_the_collected_one_is_asked_for():
    polars = pytest.importorskip("polars")
    with pytest.raises(TypeError, match=r"got LazyFrame .*collect\(\)"):
        frame_cells(polars.LazyFrame({"x": [1.0]}))


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_other_frames_and_parquet_are_the_same_table(frame, library, tmp_path):
    polars = pytest.importorskip("polars")
    ours = read_table(frame, "y")
    other = polars.DataFrame(
        {name: [None if pd.isna(one) else one for one in frame[name]] for name in frame}
    )
    other.write_parquet(tmp_path / "table.parquet")
    if library == "pyarrow":
        other = pytest.importorskip("pyarrow").table(other.to_dict(as_series=False))
    for theirs in (read_table(other, "y"), read_table(tmp_path / "table.parquet", "y")):
        assert np.array_equal(ours.numeric, theirs.numeric, equal_nan=True)
        assert ours.categorical.tolist() == theirs.categorical.tolist()
        assert (ours.y.tolist(), ours.class_names) == (theirs.y.tolist(), theirs.class_names)


def test_names_may_be_numbers(frame):
    frame.columns = [0, 1, 2, "y"]
    assert [*frame_cells(frame)] == ["0", "1", "2", "y"]
    assert frame_cells(frame)["1"][:3] == ["a", "b", "c"]
    frame.columns = [0, "0", 2, "y"]
    with pytest.raises(ValueError, match="column names must differ as texts"):
        frame_cells(frame)


def test_a_dict_of_single_values_is_refused():
    with pytest.raises(ValueError, match="column 'x' of the dict is one value, 3: give a list"):
        frame_cells({"x": 3})
