"""Several tables of one's own in one study: files read alike, and a TOML file."""

import dataclasses
import json

import numpy as np
import pytest
from study_cases import refusal

from policygrad_metrics.cli import main as cli
from policygrad_metrics.data import Reading
from policygrad_metrics.study import StudySettings, TableFile, compare, read_tables
from policygrad_metrics.study.plan import plan
from policygrad_metrics.study.tables_toml import KEYS


def write_table(path, classes=("no", "yes"), seed=0):
    """Write 60 rows of two numbers and a label that follows the first."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(60):
        a, b = rng.normal(size=2)
        rows.append(f"{a:.3f},{b:.3f},{classes[int(a + 0.3 * b > 0.4)]}")
    path.write_text("\n".join(["a,b,label", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two tables in a folder below the one that the command is run in."""
    (tmp_path / "data").mkdir()
    write_table(tmp_path / "data" / "one.csv")
    write_table(tmp_path / "data" / "two.csv", ("cold", "hot"), seed=1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


QUICK = ("--methods", "majority,logistic_regression", "--seeds", "2", "--json")


def run(capsys, *words):
    assert cli.main(["compare", *words, *QUICK]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_files_read_alike_are_one_study_with_its_standings(folder, capsys):
    words = ("--csv", "data/one.csv,data/two.csv", "--target", "label", "--reward", "f1_macro")
    shown = run(capsys, *words)
    assert [(one["data"], one["reward"]) for one in shown["tables"]] == [
        ("one", "f1_macro"), ("two", "f1_macro"),
    ]  # fmt: skip
    assert [one["data_sets"] for one in shown["overall"]] == [2, 2]
    files = tuple(TableFile(f"data/{name}.csv", ("label",)) for name in ("one", "two"))
    methods = ("majority", "logistic_regression")
    asked = StudySettings((), files=files, reward="f1_macro", methods=methods, seeds=2)
    assert asked.command().startswith(
        "policygrad compare --csv data/one.csv,data/two.csv --target label --reward f1_macro"
    )
    study = compare(asked, plan(asked, asked.datasets()), folder / "in Python")
    again = [dataclasses.asdict(table)["rows"] for table in study.tables]
    for rows, table in zip(again, shown["tables"], strict=True):
        for row, other in zip(rows, table["rows"], strict=True):
            assert row["tuned"]["score"]["estimate"] == other["tuned"]["score"]["estimate"]


TOML = """
[[table]]
csv = "one.csv"
target = "label"
positive = "no"

[[table]]
csv = "two.csv"
name = "weather"
target = "label"
order = ["cold", "hot"]
reward = "accuracy"
drop = "b"
"""


def test_a_toml_file_gives_every_table_its_own_options(folder, capsys):
    (folder / "data" / "study.toml").write_text(TOML, encoding="utf-8")
    shown = run(capsys, "--tables", "data/study.toml", "--out", "study")
    assert [(one["data"], one["reward"]) for one in shown["tables"]] == [
        ("one", "f1"), ("weather", "accuracy"),
    ]  # fmt: skip
    about = shown["settings"]["data"]
    assert about["one"]["class_names"] == ["yes", "no"]
    assert (about["weather"]["class_names"], about["weather"]["features"]) == (["cold", "hot"], 1)
    assert "compare --tables data/study.toml --methods" in shown["settings"]["command"]
    runs = (folder / "study" / "runs.jsonl").read_bytes()
    assert runs.count(b"\n") == 8
    assert run(capsys, "--tables", "data/study.toml", "--out", "study") == shown
    assert (folder / "study" / "runs.jsonl").read_bytes() == runs


@pytest.mark.slow
def test_another_reward_of_a_table_does_not_go_on_from_its_runs(folder, capsys):
    file = folder / "data" / "study.toml"
    file.write_text(TOML, encoding="utf-8")
    run(capsys, "--tables", str(file), "--out", "study")
    file.write_text(TOML.replace('"accuracy"', '"f1"'), encoding="utf-8")
    told = refusal(["compare", "--tables", str(file), *QUICK, "--out", "study"], capsys)
    assert 'reward of weather was "accuracy", now "f1"' in told


@pytest.mark.slow
def test_a_table_has_constraints_of_its_own(folder, capsys):
    file = folder / "data" / "study.toml"
    floor = 'csv = "two.csv"\nsubject-to = ["recall[hot]>=0.7"]'
    text = TOML.replace('csv = "two.csv"', floor)
    assert floor in text
    file.write_text(text, encoding="utf-8")
    shown = run(capsys, "--tables", str(file), "--out", "study")
    about = shown["settings"]["data"]
    assert "subject_to" not in about["one"]
    assert about["weather"]["subject_to"] == ["recall[hot]>=0.7"]
    assert "subject to recall[hot]>=0.7" in " ".join(about["weather"]["notes"])
    assert [table["subject_to"] for table in shown["tables"]] == [[], ["recall[hot]>=0.7"]]
    for other in (text.replace("0.7", "0.6"), TOML):
        file.write_text(other, encoding="utf-8")
        told = refusal(["compare", "--tables", str(file), *QUICK, "--out", "study"], capsys)
        assert "subject_to of weather was" in told
    file.write_text(text.replace("[hot]", "[cool]"), encoding="utf-8")
    told = refusal(["compare", "--tables", str(file), *QUICK, "--out", "other"], capsys)
    assert "names a class 'cool'" in told


def test_every_option_that_reads_a_table_is_a_key_of_the_same_name(tmp_path):
    fields = {field.name for record in (TableFile, Reading) for field in dataclasses.fields(record)}
    assert fields - {"path", "reading"} | {"csv"} == KEYS.keys()
    file = tmp_path / "all.toml"
    file.write_text(
        '[[table]]\ncsv = "../a.csv"\ntarget = ["x", "y"]\nbins = "quantiles:4"\n'
        'time-split = "date"\nhorizon = 3\ndrop = ["b"]\nmissing = [-200, "NR", 9.5]\n'
        'text = "t"\nsep = ";"\ndecimal = ","\nencoding = "latin-1"\nheader = false\n'
        'skip_lines = 2\npositive = 1\norder = [1, 2]\nname = "n"\nreward = "f1"\n'
        'subject-to = "recall>=0.8"\n'
        '[[table]]\ncsv = "b.csv"\ntarget = "y"\nbins = [1, 2.5]\ntime_split = true\n'
    )
    reading = Reading(("-200", "NR", "9.5"), ("t",), ";", ",", "latin-1", False, 2)
    assert read_tables(file) == (
        TableFile(
            str(tmp_path / "../a.csv"), ("x", "y"), 4, "date", ("b",), "1", ("1", "2"), 3, "f1",
            "n", reading, ("recall>=0.8",),
        ),
        TableFile(str(tmp_path / "b.csv"), ("y",), (1.0, 2.5), True),
    )  # fmt: skip


ONE = '[[table]]\ncsv = "one.csv"\ntarget = "label"\n'
BAD = {
    "[[tabel]]": "key='tabel' is not known; did you mean 'table'?",
    "[table]\ncsv = 1": "must hold tables, each below a line [[table]]",
    "": "must hold tables",
    "[[table]": "is no TOML file: ",
    ONE + 'positiv = "yes"': "table 1: key='positiv' is not known; did you mean 'positive'?",
    ONE + "bins = 3": 'bins must be a list of upper ends, [35, 75], or "quantiles:N", got 3',
    ONE + "header = 1": "header must be true or false, got 1",
    ONE + "horizon = true": "horizon must be a whole number, got True",
    ONE + "horizon = 3": "table 1: horizon is for a series",
    ONE + "drop = [[1]]": 'drop must be a text or a list of them, ["a", "b"], got [[1]]',
    '[[table]]\ncsv = "one.csv"': "table 1: target is missing",
    ONE + ONE: "table 2: name='one' is that of an earlier table; give one of them another name",
    ONE.replace("one", "three"): "three.csv': there is no such file",
    ONE + 'reward = "f1_marco"': "did you mean 'f1_macro'",
}


@pytest.mark.parametrize("text", BAD)
def test_a_faulty_toml_file_is_told_with_its_table_and_the_way_out(text, folder, capsys):
    file = folder / "data" / "study.toml"
    file.write_text(text, encoding="utf-8")
    assert BAD[text] in refusal(["compare", "--tables", str(file), *QUICK], capsys)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--tables no.toml", "tables='no.toml' (--tables): there is no such file"),
        ("--tables no.toml --drop b", "--drop goes with --csv FILE; give the file, or write it"),
        (
            "--csv data/one.csv,data/two.csv --target label --positive yes",
            "path='data/two.csv': positive='yes'",
        ),
        (
            "--csv data/one.csv,data/two.csv --target label --positive yes",
            "what fits one table only stands beside its csv in a TOML file, see --tables",
        ),
        ("--csv data/one.csv,data/one.csv --target label", "repeated: one; a TOML file (--tables)"),
    ],
)
def test_what_does_not_fit_all_files_is_told(words, told, folder, capsys):
    assert told in refusal(["compare", *words.split()], capsys)


def test_files_that_no_options_name_together_are_told_as_python():
    files = (TableFile("a.csv", ("y",)), TableFile("b.csv", ("z",), reward="f1"))
    asked = StudySettings((), files=files, seeds=2)
    assert eval(asked.command()) == asked


def test_a_frame_is_compared_on_as_its_file_is(tmp_path):
    import polars

    from policygrad_metrics.study import compare_table

    x = [number % 17 for number in range(200)]
    frame = polars.DataFrame({"x": x, "y": ["high" if one > 11 else "low" for one in x]})
    frame.write_csv(tmp_path / "table.csv")
    asked = {"methods": ("majority", "logistic_regression"), "seeds": 2, "positive": "high"}
    scores = [
        [run.tuned for run in compare_table(source, "y", tmp_path / name, **asked).runs]
        for name, source in (("frame", frame), ("file", tmp_path / "table.csv"))
    ]
    assert scores[0] == scores[1]
    assert len(scores[0]) == 4
    with pytest.raises(ValueError, match="argument of compare_table='seed_count' is not known"):
        compare_table(frame, "y", tmp_path / "other", seed_count=2)
