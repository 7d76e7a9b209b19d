"""Reading CSV files: what comes out, what is said, what is refused, and a round trip."""

from __future__ import annotations

import collections
import csv
import gzip
import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policygrad_metrics.data import Reading, Series, read_table, split
from policygrad_metrics.data.cells import to_number
from policygrad_metrics.data.missing import MISSING
from policygrad_metrics.data.written import is_written_number


def _write(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_of_dates_month_weekday_and_hour_are_features():
    hours = np.datetime64("2024-02-28T22") + np.arange(60) * np.timedelta64(1, "h")
    when = [str(hour).replace("T", " ") for hour in hours]
    when[7] = ""
    days = [str(hour.astype("datetime64[D]")) for hour in hours]
    table = {"the day": when, "x": range(60), "due": days, "y": ["a", "b"] * 30}
    dataset = read_table(table, "y")
    names = ["the day: month", "the day: weekday", "the day: hour", "x", "due: weekday"]
    assert [*dataset.numeric_names] == [*names[:4], "due: month", names[4]]
    rows = dict(zip(dataset.numeric_names, dataset.numeric.T, strict=True))
    first = [rows[name][0] for name in names]
    assert first == [2.0, 2.0, 22.0, 0.0, 2.0]  # a Wednesday
    assert [rows[name][26] for name in names] == [3.0, 4.0, 0.0, 26.0, 4.0]
    assert np.isnan([rows[name][7] for name in names[:3]]).all()
    assert "'the day' holds dates: month, weekday and hour of it are features." in dataset.notes


def test_texts_of_which_one_is_no_date_are_texts():
    when = [f"2024-01-{1 + i % 9:02}" for i in range(59)] + ["soon"]
    dataset = read_table({"x": range(60), "when": when, "y": ["a", "b"] * 30}, "y")
    assert [*dataset.categorical_names] == ["when"]


def test_read_table_reports_everything(tmp_path):
    wide = [f"word{i}" for i in range(60)]
    rows = [f"{i},{i * i % 7},x,{w},{'NW' if i % 2 else '?'},{i % 3}" for i, w in enumerate(wide)]
    rows[3] = "3,NA,x,w,SE,1"
    rows[4] = "4,inf,x,w,SE,1"
    rows[5] = "5,1,x,w,SE,N/A"
    dataset = read_table(_write(tmp_path / "a.csv", "row,n,same,word,wind,class", rows), "class")
    assert dataset.numeric_names == ("row", "n")
    assert dataset.categorical_names == ("wind",)
    assert dataset.counts == (19, 21, 19)
    assert (dataset.task, dataset.reward, dataset.name) == ("multiclass", "f1_macro", "a")
    assert dataset.class_names == ("0", "1", "2")
    assert np.isnan(dataset.numeric[3:5, 1]).all()
    assert dataset.categorical[0, 0] == ""
    notes = "\n".join(dataset.notes)
    assert "1 of 60 rows were dropped: their target is missing." in notes
    assert "missing cells by column: 'n' 2, 'wind' 29." in notes
    assert "columns of one value only were dropped: 'same'." in notes
    assert "'word' was dropped: 58 distinct texts, more than 50" in notes
    assert "1 infinite cells of 'n' count as missing." in notes
    assert "'row' counts the rows" not in notes  # row 5 is gone, so it does so no longer


def test_read_table_warns_of_a_row_counter(tmp_path):
    rows = [f"{i},{i * 7 % 11},{i % 2}" for i in range(1, 41)]
    dataset = read_table(_write(tmp_path / "a.csv", "No,x,y", rows), "y")
    assert any("'No' counts the rows" in note for note in dataset.notes)
    assert read_table(tmp_path / "a.csv", "y", drop="No").numeric_names == ("x",)


def test_rarer_class_is_positive_or_the_one_asked_for(tmp_path):
    path = _write(
        tmp_path / "a.csv", "x,y", [f"{i},{'bad' if i < 10 else 'ok'}" for i in range(40)]
    )
    dataset = read_table(path, "y")
    assert (dataset.class_names, dataset.counts) == (("ok", "bad"), (30, 10))
    assert (dataset.task, dataset.reward) == ("binary", "f1")
    assert any("'bad' (the rarer one" in note for note in dataset.notes)
    asked = read_table(path, "y", positive="ok")
    assert (asked.class_names, asked.counts) == (("bad", "ok"), (10, 30))
    with pytest.raises(ValueError, match="positive='good' is not a class of 'y'"):
        read_table(path, "y", positive="good")


def test_equally_frequent_classes_are_not_called_rarer(tmp_path):
    path = _write(tmp_path / "a.csv", "x,y", [f"{i},{i % 2}" for i in range(60)])
    (note,) = [note for note in read_table(path, "y").notes if "positive" in note]
    assert note.startswith("the positive class is '1' (as many rows as the other; pass positive=")


def test_number_classes_are_in_order_of_numbers(tmp_path):
    path = _write(tmp_path / "a.csv", "x,y", [f"{i},{(2, 10, 9.0)[i % 3]}" for i in range(40)])
    dataset = read_table(path, "y")
    assert dataset.class_names == ("2", "9", "10")
    with pytest.raises(ValueError, match="positive=2 is for a target of two classes"):
        read_table(path, "y", positive=2)
    two = _write(tmp_path / "b.csv", "x,y", [f"{i},{1 + i % 2}.0" for i in range(40)])
    assert read_table(two, "y", positive=1).class_names == ("2", "1")


def test_bins(tmp_path):
    path = _write(tmp_path / "a.csv", "x,pm", [f"{i % 7},{i * 5}" for i in range(40)])
    dataset = read_table(path, "pm", bins=[35, 75, 500, 600.5])
    assert (dataset.task, dataset.reward) == ("ordinal", "f1_macro")
    assert dataset.class_names == ("<= 35", "35 to 75", "75 to 500", "500 to 600.5", "> 600.5")
    assert dataset.counts == (8, 8, 24, 0, 0)  # 35 and 75 themselves are in the lower level
    assert dataset.values[7] == 35
    assert dataset.y[7] == 0
    assert any("without any row: '500 to 600.5', '> 600.5'" in note for note in dataset.notes)
    assert split(dataset, seed=0).notes[0].startswith("in no part")
    quantiles = read_table(path, "pm", bins=4)
    assert quantiles.counts == (10, 10, 10, 10)
    one = read_table(path, "pm", bins=[100])
    assert (one.task, one.reward, one.class_names[1]) == ("binary", "f1", "> 100")


def test_time_order(tmp_path):
    days = [f"2014-{1 + i % 12:02d}-{1 + i // 12:02d} 06:00" for i in range(40)]
    rows = [f"{day},{i},{i * 13 % 40 > 30}" for i, day in enumerate(days)]
    dataset = read_table(_write(tmp_path / "a.csv", "day,x,y", rows), "y", series=Series("day"))
    assert dataset.time_ordered
    assert dataset.numeric_names == ("x",)
    order = sorted(range(40), key=lambda i: days[i])
    assert dataset.numeric[:, 0].tolist() == order
    assert dataset.y.tolist() == [int(i * 13 % 40 > 30) for i in order]
    numbers = _write(tmp_path / "b.csv", "t,x,y", [f"{100 - i},{i},{i % 2}" for i in range(40)])
    assert read_table(numbers, "y", series=Series("t")).numeric[0, 0] == 39


@pytest.mark.parametrize("horizon", [1, 3])
def test_a_row_is_predicted_from_an_earlier_row_of_the_full_series(tmp_path, horizon):
    lost = {0, 7, 8, 20}
    rows = [f"{i},{i * 7 % 50},{'' if i in lost else i % 4}" for i in range(50)]
    path = _write(tmp_path / "a.csv", "hour,wind,pm", rows[25:] + rows[:25])
    dataset = read_table(path, "pm", bins=[1, 2], series=Series("hour", horizon=horizon))
    predicted = [i for i in range(1 + horizon, 50) if i not in lost]
    levels = [None if i in lost else max(i % 4 - 1, 0) for i in range(50)]
    assert dataset.y.tolist() == [levels[i] for i in predicted]
    assert dataset.numeric_names == ("wind", f"pm, {horizon} rows before")
    assert dataset.numeric[:, 0].tolist() == [(i - horizon) * 7 % 50 for i in predicted]
    before = [np.nan if i - horizon in lost else (i - horizon) % 4 for i in predicted]
    np.testing.assert_array_equal(dataset.numeric[:, 1], before)
    known = [[j for j in range(i - horizon + 1) if j not in lost][-1] for i in predicted]
    assert dataset.last_labels.tolist() == [levels[j] for j in known]
    assert (dataset.horizon, dataset.time_ordered) == (horizon, True)
    assert any(f"the first {horizon} rows with a target were left" in n for n in dataset.notes)


def test_classes_known_before_are_a_feature(tmp_path):
    rows = [f"{i},{'no' if i % 3 else 'yes'}" for i in range(40)]
    path = _write(tmp_path / "a.csv", "x,y", rows)
    dataset = read_table(path, "y", series=Series(horizon=2))
    assert dataset.categorical[:, 0].tolist() == ["no" if i % 3 else "yes" for i in range(38)]
    assert dataset.last_labels.tolist() == [int(i % 3 == 0) for i in range(38)]


def test_a_horizon_needs_one_row_for_each_time(tmp_path):
    path = _write(tmp_path / "a.csv", "t,x,y", [f"{i // 2},{i % 9},{i % 2}" for i in range(40)])
    with pytest.raises(ValueError, match=r"20 rows have the time of another.*'0'; horizon=1"):
        read_table(path, "y", series=Series("t", horizon=1))
    assert len(read_table(path, "y", series=Series("t"))) == 40
    uneven = _write(tmp_path / "b.csv", "t,x,y", [f"{i * i},{i % 9},{i % 2}" for i in range(40)])
    notes = read_table(uneven, "y", series=Series("t", horizon=1)).notes
    assert any("of 39 steps of 't'" in note and "policygrad aqi" in note for note in notes)
    with pytest.raises(
        ValueError, match=r"horizon \(--horizon\) must be a whole number, 1 or more"
    ):
        Series(horizon=0)


def test_texts_among_numbers_are_refused_or_told(tmp_path):
    rows = [f"{i % 13},{i % 11},{i % 2}" for i in range(40)]
    rows[4], rows[7] = "NR,12%,0", "NR,3,1"
    path = _write(tmp_path / "a.csv", "a,b,y", rows)
    message = (
        r"column 'a' holds numbers, but in 2 of 40 rows a text: 'NR' \(row 5 below the header\); "
        r"column 'b' .* another way of writing .*: '12%' \(row 5 .*--missing 'NR'\)\. .*"
        r"--text 'a,b'\).*--drop 'a,b'"
    )
    with pytest.raises(ValueError, match=message):
        read_table(path, "y")
    kept = read_table(path, "y", drop="b", reading=Reading(missing=("NR",)))
    assert np.isnan(kept.numeric[[4, 7], 0]).all()
    assert read_table(path, "y", reading=Reading(text=("a", "b"))).categorical_names == ("a", "b")


def test_all_faults_of_a_table_are_listed_at_once(tmp_path):
    rows = [f"day {i},{'x' if i == 9 else i},{i * 1.5}" for i in range(40)]
    path = _write(tmp_path / "a.csv", "t,a,y", rows)
    with pytest.raises(ValueError, match="3 faults") as caught:
        read_table(path, "y", series=Series("t"))
    for place, told in enumerate(("'x' (row 10", "'day 0'", "bins=["), start=1):
        (line,) = [line for line in str(caught.value).splitlines() if told in line]
        assert line.startswith(f"  {place}. ")
    with pytest.raises(ValueError, match="2 faults") as caught:
        read_table(path, "yy", drop="b")
    assert "target='yy'" in str(caught.value)
    assert "drop='b'" in str(caught.value)


def test_codes_of_missing_values_are_no_targets(tmp_path):
    rows = [f"{i % 7},{(-200, 'None', '-', i)[i % 4]}" for i in range(120)]
    path = _write(tmp_path / "a.csv", "x,y", rows)
    reading = Reading(missing=("-200",))
    dataset = read_table(path, "y", bins=[50], reading=reading)
    assert dataset.values.tolist() == list(range(3, 120, 4))
    assert any("90 of 120 rows were dropped" in note for note in dataset.notes)


@pytest.mark.parametrize("bins", [None, [1]])
def test_a_likely_code_is_no_target_without_a_word(tmp_path, bins):
    rows = [f"{i % 7},{-200 if i % 9 == 0 else i % 3}" for i in range(45)]
    path = _write(tmp_path / "a.csv", "x,CO", rows)
    with pytest.raises(ValueError, match=r"--missing -200\).*value to predict.*--missing ''\)"):
        read_table(path, "CO", bins=bins)
    assert len(read_table(path, "CO", bins=bins, reading=Reading(missing=("-200",))).y) == 40
    with pytest.raises(ValueError, match=r"--missing -999,-200\).*\(--missing '-999,'\)"):
        read_table(path, "CO", bins=bins, reading=Reading(missing=("-999",)))
    kept = read_table(path, "CO", bins=bins, reading=Reading(missing=("",)))
    assert len(kept.y) == 45
    assert not [note for note in kept.notes if "-200 in" in note or "no cell" in note]


def test_notes_are_of_columns_that_are_used(tmp_path):
    rows = [f"{i % 7},{i}%,1 Hr,{-200 if i % 9 else i},{'ab'[i % 2]}" for i in range(40)]
    path = _write(tmp_path / "a.csv", "x,share,duration,CO,y", rows)
    notes = " ".join(read_table(path, "y", drop=["share", "CO"]).notes)
    assert not [word for word in ("sign", "unit", "-200") if word in notes]


@pytest.mark.parametrize(("same", "told"), [(1, "1 row repeats the"), (2, "2 rows repeat the")])
def test_rows_that_repeat_are_counted(tmp_path, same, told):
    rows = [f"{max(i, same)},{'ab'[i % 2]}" for i in range(40)]
    notes = read_table(_write(tmp_path / "a.csv", "x,y", rows), "y").notes
    assert [note for note in notes if note.startswith(told)]


def test_label_columns(tmp_path):
    path = _write(tmp_path / "a.csv", "x,a,b", [f"{i},{i % 2},{int(i < 9)}" for i in range(40)])
    dataset = read_table(path, ["b", "a"])
    assert (dataset.task, dataset.reward) == ("multilabel", "f1_samples")
    assert (dataset.class_names, dataset.counts) == (("b", "a"), (9, 20))
    with pytest.raises(ValueError, match="'x' must hold 0 and 1 only, got '2'"):
        read_table(path, ["a", "x"])
    with pytest.raises(ValueError, match="one target column"):
        read_table(path, ["a", "b"], bins=[1])


GOOD = [f"{i},{'n' if i % 3 else 's'},{i % 2},{i * 1.5}" for i in range(40)]
BAD_CALLS = {
    "target='clas' is not known; did you mean 'class'": {"target": "clas"},
    "drop='q' is not known": {"drop": ["q"]},
    "time column .*='tim' is not known": {"series": Series("tim")},
    "cannot also be in drop": {"drop": ["class"]},
    "list of different ones": {"target": []},
    r"'level' is a number with 40 distinct values.*bins=\[": {"target": "level"},
    "'wind' must hold finite numbers here, got 's'": {"target": "wind", "bins": [1]},
    r"increasing upper ends.*got \[75.0, 35.0\]": {"target": "level", "bins": [75, 35]},
    "increasing upper ends.*got '35'": {"target": "level", "bins": "35"},
    "bins must be upper ends or a whole number": {"target": "level", "bins": True},
    "2 or more levels": {"target": "level", "bins": 1},
    "too many equal values for 5": {"target": "class", "bins": 5},
    "one class only, '<= 900'": {"target": "level", "bins": [900]},
    "does not go with bins": {"target": "level", "bins": [9], "positive": 1},
    "time column 'wind' .* must hold dates and hours": {"series": Series("wind")},
    "no feature is left": {"drop": ["x", "wind", "level"]},
}


@pytest.mark.parametrize(("message", "arguments"), BAD_CALLS.items())
def test_read_table_refuses_arguments(tmp_path, message, arguments):
    path = _write(tmp_path / "a.csv", "x,wind,class,level", GOOD)
    with pytest.raises(ValueError, match=message):
        read_table(path, **{"target": "class", **arguments})


BAD_FILES = {
    "holds nothing": b"",
    "holds only a header row": b"x,y\n",
    "column names must differ; repeated: .'x'": b"x,x,y\n1,2,3\n",
    "line 4: 3 cells where the header has 2": b'x,y\n"1\n1",0\n1,2,3\n',
    "not UTF-8": "x,y\nä,1\n".encode("latin-1"),
    "one column": b"x y\n1 2\n",
    "29 rows with a target, fewer than the 30": b"x,y\n" + b"1,0\n2,1\n" * 14 + b"1,0\n1,\n",
    "one class only, '0'": b"x,y\n" + b"1,0\n2,0\n" * 20,
    "51 distinct texts, more than 50": b"x,y\n" + b"".join(b"%d,t%d\n" % (i, i) for i in range(51)),
    "line 2: unexpected end of data": b'x,y\n"1,0\n',
}


@pytest.mark.parametrize(("message", "content"), BAD_FILES.items())
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_read_table_refuses_files(tmp_path, message, content, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    with pytest.raises(ValueError, match=message):
        read_table(path, "y")


def test_read_table_refuses_what_it_cannot_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_table(tmp_path / "none.csv", "y")
    with pytest.raises(OSError, match="cannot be read"):
        read_table(tmp_path, "y")
    whole = gzip.compress(b"x,y\n" + bytes(range(48, 58)) * 500)
    for name, content in {
        "not.csv.gz": b"x,y\n1,2\n",
        "short.csv.gz": whole[:-9],
        "broken.csv.gz": whole[:20] + bytes(20) + whole[40:],
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match="not a whole gzip file"):
            read_table(tmp_path / name, "y")
    with pytest.raises((EOFError, zlib.error, OSError)):  # the files are broken, not the reader
        gzip.decompress(whole[:-9])


def test_byte_order_mark_blank_lines_and_nameless_index(tmp_path):
    path = tmp_path / "a.csv"
    text = ",x,y\r\n" + "".join(f"{i},{i % 5},{i % 2}\r\n\r\n" for i in range(40))
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    dataset = read_table(path, "y")
    assert dataset.numeric_names == ("column 1", "x")
    assert len(dataset) == 40


def _is_number(text: str) -> bool:
    return to_number(text) is not None or is_written_number(text)


TEXTS = st.text(
    st.one_of(st.sampled_from(',"\n;\t 𝄞é平'), st.characters(exclude_categories=["Cs"])),
    min_size=1,
    max_size=8,
).filter(lambda t: t == t.strip() and t.casefold() not in MISSING and not _is_number(t))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, max_examples=100)
@given(
    names=st.lists(TEXTS, min_size=3, max_size=3, unique=True),
    rows=st.lists(
        st.tuples(st.none() | NUMBERS, st.none() | TEXTS, st.booleans()), min_size=30, max_size=50
    ),
    compressed=st.booleans(),
)
def test_read_table_round_trip(tmp_path_factory, names, rows, compressed):
    numbers = [1.0, 2.0, *(number for number, _, _ in rows)]
    texts = ["a", "b", *(text for _, text, _ in rows)]
    y = ["yes", "no", *("yes" if label else "no" for _, _, label in rows)]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(names)
    for number, text, label in zip(numbers, texts, y, strict=True):
        writer.writerow(["NA" if number is None else repr(number), text or "", label])
    path = tmp_path_factory.mktemp("round") / ("a.csv.gz" if compressed else "a.csv")
    content = buffer.getvalue().encode("utf-8")
    path.write_bytes(gzip.compress(content) if compressed else content)

    dataset = read_table(path, names[2], reading=Reading(sep=",", header=True))
    assert dataset.numeric_names == (names[0],)
    assert dataset.categorical_names == (names[1],)
    expected = np.array([np.nan if number is None else number for number in numbers])
    assert np.array_equal(dataset.numeric[:, 0], expected, equal_nan=True)
    assert dataset.categorical[:, 0].tolist() == [text or "" for text in texts]
    assert [dataset.class_names[label] for label in dataset.y] == y
    assert dict(zip(dataset.class_names, dataset.counts, strict=True)) == collections.Counter(y)


def test_dates_that_are_not_read_are_told_how_they_would_be(tmp_path):
    rows = [f"{n % 7},{n % 28 + 1:02d}.{n % 12 + 1:02d}.2024,{n % 2}" for n in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["x,when,y", *rows]))
    (note,) = [one for one in read_table(tmp_path / "t.csv", "y").notes if "'when'" in one]
    assert "84 distinct texts, more than 50. Of dates in ISO 8601" in note
