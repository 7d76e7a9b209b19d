"""Files as people have them: separators, numbers as written, missing values, headers, encodings."""

from __future__ import annotations

import zipfile

import pytest

from policygrad_metrics.data.reading import Reading, read_cells

WAYS = {
    "commas": ("x,y\n1,2\n", {}, {"x": ["1"], "y": ["2"]}, ""),
    "semicolons and decimal commas": (
        "x;y\n1,5;2,25\n-200,0;3\n",
        {"missing": ("-200",)},
        {"x": ["1.5", ""], "y": ["2.25", "3"]},
        "cells are separated by semicolons.",
    ),
    "one decimal comma in a row": (
        "a title\nx;kind;y\n0,5;a;no\n1,25;b;yes\n",
        {},
        {"x": ["0.5", "1.25"], "kind": ["a", "b"], "y": ["no", "yes"]},
        "cells are separated by semicolons.",
    ),
    "tabs": ("x\ty, z\n1\ta b\n", {}, {"x": ["1"], "y, z": ["a b"]}, "by tabs"),
    "blanks": ("x y\n1  2\n", {"sep": "space"}, {"x": ["1"], "y": ["2"]}, ""),
    "thousands": (
        'x,y\n"1,100",a\n"20",b\n',
        {},
        {"x": ["1100", "20"], "y": ["a", "b"]},
        "thousands separators in 'x': '1,100' was read as 1100.",
    ),
    "asked decimal": ("x;y\n1,100;a\n", {"decimal": ","}, {"x": ["1.100"], "y": ["a"]}, "'x'"),
    "asked thousands": ("x;y\n1,100;a\n", {"decimal": "."}, {"x": ["1100"], "y": ["a"]}, "'x'"),
    "told by another column": ("x;y\n1,100;1,5\n", {}, {"x": ["1.100"], "y": ["1.5"]}, "'x', 'y'"),
    "signs": (
        "x,y,z\n12%,$3.50,−4\n7 %,$2,5\n",
        {},
        {"x": ["12", "7"], "y": ["3.50", "2"], "z": ["-4", "5"]},
        "the sign % was left out in 'x': '12%' was read as 12.",
    ),
    "units": (
        "x,y,z,k\n12.5 ug/m3,-3 °C,5m,1st\n7 ug/m3,4 °C,6m,2nd\n",
        {},
        {"x": ["12.5", "7"], "y": ["-3", "4"], "z": ["5", "6"], "k": ["1st", "2nd"]},
        "the unit ug/m3 was left out in 'x': '12.5 ug/m3' was read as 12.5.",
    ),
    "blanks that do not break": (
        "x;y\n1\u00a0100,5\u00a0€;1\n7,5\u00a0€;2\n",
        {},
        {"x": ["1100.5", "7.5"], "y": ["1", "2"]},
        "the sign € was left out in 'x'",
    ),
    "not one way": ("x,y\n12%,1\n0.1,2\n", {}, {"x": ["12%", "0.1"], "y": ["1", "2"]}, ""),
    "missing texts": (
        "x,y\nNone,n/A\n#N/A,<NA>\nNaT,-\n--,1\n",
        {},
        {"x": [""] * 4, "y": ["", "", "", "1"]},
        "cells that count as missing: 'None' 1, ",
    ),
    "texts": ("x,y\nnone,01\n", {"text": ("x", "y")}, {"x": ["none"], "y": ["01"]}, ""),
    "code of one column": (
        "x,y\n9999,9999\n1,NR\n",
        {"missing": ("x=9999", "NR")},
        {"x": ["", "1"], "y": ["9999", ""]},
        "cells that count as missing: '9999' 1, 'NR' 1.",
    ),
    "title": (
        "Station 7\n\nx,y,z\n1,2,3\n",
        {},
        {"x": ["1"], "y": ["2"], "z": ["3"]},
        "lines above the header were passed over: 'Station 7'.",
    ),
    "skipped": ("a,b\nx,y\n1,2\n", {"skip_lines": 1}, {"x": ["1"], "y": ["2"]}, ""),
    "no header": (
        "1,2\n3,4\n",
        {"header": False},
        {"column 1": ["1", "3"], "column 2": ["2", "4"]},
        "",
    ),
    "header of numbers": ("1,2\n3,4\n", {"header": True}, {"1": ["3"], "2": ["4"]}, ""),
    "hours as names": (
        "at,0,1,2\nx,5,6,7\n",
        {},
        {"at": ["x"], "0": ["5"], "1": ["6"], "2": ["7"]},
        "",
    ),
    "repeated header": ("x,y\n1,2\nx,y\n3,4\n", {}, {"x": ["1", "3"], "y": ["2", "4"]}, "1 rows"),
    "row numbers without a name": (
        '"x","y"\n"1",5,a\n"2",6,b\n',
        {},
        {"column 1": ["1", "2"], "x": ["5", "6"], "y": ["a", "b"]},
        "",
    ),
    "rows that end in a separator": (
        "x,y\n5,a,\n6,b,\n",
        {},
        {"x": ["5", "6"], "y": ["a", "b"], "column 3": ["", ""]},
        "",
    ),
    "blanks around quotes": ('x , "y, z"\n1 , "a, b" \n', {}, {"x": ["1"], "y, z": ["a, b"]}, ""),
    "code that is nowhere": (
        "x,y\n1,2\n",
        {"missing": ("-999", "x=7")},
        {"x": ["1"], "y": ["2"]},
        "no cell is '-999' or 'x=7', which missing= (--missing) names.",
    ),
    "empty rows": ("x;y;\n1;2;\n;;\n", {}, {"x": ["1"], "y": ["2"], "column 3": [""]}, ""),
}


@pytest.mark.parametrize("way", WAYS)
def test_files_are_read_as_written(tmp_path, way):
    text, how, columns, note = WAYS[way]
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    found, notes = read_cells(path, Reading(**how))
    assert found == columns
    assert note in "\n".join(notes)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le"])
def test_other_encodings_are_read_when_named(tmp_path, encoding):
    path = tmp_path / "a.csv"
    path.write_bytes("µg,y\n1,2\n".encode(encoding))
    with pytest.raises(ValueError, match="--encoding"):
        read_cells(path)
    found, _ = read_cells(path, Reading(encoding=encoding))
    assert found == {"µg": ["1"], "y": ["2"]}


BAD = {
    r"line 1 has 3 cells.*header is in line 2.*--skip-lines 1": "a,b,c\nx,y\n1,2\n3,4\n",
    r"first line \('5.1', .*--no-header": "5.1,a\n4.9,a\n4.7,b\n",
    r"first line \('low', ": "low,no\nlow,no\nhigh,yes\nhigh,no\nlow,yes\n",
    r"'x' holds '1,100': a decimal mark.*--decimal": "x;y\n1,100;a\n",
    r"line 2: 1 cells.*; line 3: 3 cells.*mend or delete them": "x,y\n1\n1,2,3\n4,5\n6,7\n",
    r"commas or semicolons: say sep": "a,b;c\nd,e;f\n",
    r"JSON; ": '[{"x": 1}]',
    r"a web page": "<!DOCTYPE html>\n<table>",
}


@pytest.mark.parametrize("message", BAD)
def test_what_is_not_clear_is_refused(tmp_path, message):
    path = tmp_path / "a.csv"
    path.write_text(BAD[message], encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_cells(path)


def test_spreadsheets_and_archives_are_told(tmp_path):
    for name, inside, message in (
        ("a.xlsx", "xl/workbook.xml", "a spreadsheet.*CSV UTF-8"),
        ("a.csv", "xl/workbook.xml", "a spreadsheet.*CSV UTF-8"),
        ("a.csv", "b.csv", "a zip archive, which holds b.csv; unpack it"),
    ):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(inside, "x,y\n1,2\n")
        with pytest.raises(ValueError, match=message):
            read_cells(tmp_path / name)


def test_a_number_far_outside_that_repeats_is_said(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{i % 7},{-200 if i % 9 == 0 else i % 5},{i * i % 90}" for i in range(40)]
    path.write_text("\n".join(["x,CO,y", *rows]), encoding="utf-8")
    _, notes = read_cells(path)
    assert [note for note in notes if "'CO' is -200 in 5 of 40 cells and 0 to 4" in note]
    assert [note for note in notes if "(--missing -200)" in note]
    _, notes = read_cells(path, Reading(missing=("-200.0",)))
    assert notes == ["cells that count as missing: '-200' 5."]


@pytest.mark.parametrize(
    ("field", "value"),
    [("decimal", ";"), ("skip_lines", -1), ("encoding", "utf-99"), ("sep", ";;")],
)
def test_reading_names_the_field_at_fault(tmp_path, field, value):
    path = tmp_path / "a.csv"
    path.write_text("x,y\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match=field):
        read_cells(path, Reading(**{field: value}))
