"""The command `policygrad`: help, lists, and what goes wrong."""

import dataclasses
import json
import os
import re
import subprocess
import sys

import pytest
from study_cases import refusal, write_series

from policygrad_metrics.cli import main as cli
from policygrad_metrics.cli.options import read_settings
from policygrad_metrics.study.methods import METHODS
from policygrad_metrics.study.plan import protocol
from policygrad_metrics.study.settings import (
    DEFAULT_DATA,
    PRINCIPAL,
    QUICK,
    WHY_DEFAULT,
    StudySettings,
)
from policygrad_metrics.study.suites import SUITES, load_word

HEAVY = ("numpy", "scipy", "sklearn", "tensorflow", "keras", "matplotlib", "rich", "jinja2")


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A small series: one split by time, so that a method is compiled once for all seeds."""
    return write_series(tmp_path_factory.mktemp("series") / "air <b>.csv.gz")


# --- what it costs to ask for help ------------------------------------------------------------


@pytest.mark.parametrize("words", [["--help"], ["compare", "--help"], ["--version"], []])
def test_help_imports_nothing_heavy(words):
    script = f"""
import sys
from policygrad_metrics.cli.main import main
try:
    code = main({words!r})
except SystemExit as end:
    code = end.code
print(code or 0, [m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr == "0 []\n"
    assert "policygrad" in done.stdout


def test_every_option_of_compare_is_explained(capsys):
    with pytest.raises(SystemExit):
        cli.main(["compare", "--help"])
    text = capsys.readouterr().out
    for field in dataclasses.fields(StudySettings):
        if field.name != "files":
            assert f"--{field.name.replace('_', '-')}" in text
    for option in ("csv", "target", "positive", "bins", "time-split", "drop", "out", "resume"):
        assert f"--{option}" in text
    assert "--no-resume" in text
    assert "--quick" in text


def test_without_data_four_kinds_of_them_are_compared_by_few_methods_and_many_seeds():
    def asked(*words):
        return read_settings(cli.build_parser().parse_args(["compare", *words]))

    found = asked()
    assert (found.data, found.seeds, found.methods) == (DEFAULT_DATA, 10, ("quick",))
    rewards = {load_word(word, None).reward for word in found.data}
    assert rewards == {"f1", "f1_macro", "cohen_kappa_quadratic", "exact_bin"}
    assert set(found.data) <= set(SUITES["standard"].bundled)
    assert WHY_DEFAULT in protocol(found)
    assert WHY_DEFAULT not in protocol(asked("--data", "iris"))
    assert (asked("--quick").seeds, asked("--seeds", "4").seeds) == (3, 4)
    assert asked("--data", "iris").seeds == asked("--suite", "standard").seeds == 5
    assert asked("--data", "iris").methods == PRINCIPAL
    assert all(METHODS[name].needs is None for name in QUICK)  # the same in every environment


# --- lists ------------------------------------------------------------------------------------


def test_data_sets_are_listed_a_line_each(capsys):
    assert cli.main(["datasets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines].count("digits_rare") == 1
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines)


def test_rewards_and_methods_are_listed_a_line_each(capsys):
    from policygrad_metrics.rewards import RANKINGS, REWARDS
    from policygrad_metrics.study.methods import METHODS as ALL

    rankings = [f"{name}10" if name.endswith("@") else name for name in RANKINGS]
    for command, names in (("rewards", [*REWARDS, *rankings]), ("methods", ALL)):
        assert cli.main([command]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == [*names]


def test_a_reader_that_goes_away_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m policygrad_metrics datasets | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


def test_methods_tell_their_tasks_and_search_ranges_as_json(capsys):
    from policygrad_metrics.study.methods import METHODS as ALL
    from policygrad_metrics.study.methods import trial_hyperparameters

    assert cli.main(["methods", "--json"]) == 0
    records = {record["name"]: record for record in json.loads(capsys.readouterr().out)}
    assert records.keys() == ALL.keys()
    for name, record in records.items():
        assert set(record["tasks"]) == ALL[name].tasks
        ranges = record["hyperparameters"]
        trial = trial_hyperparameters(0, name, 1)
        assert trial.keys() == ranges.keys()
        for key, value in trial.items():
            assert ranges[key]["low"] <= value <= ranges[key]["high"]


# --- bad input --------------------------------------------------------------------------------


BAD = {
    "compar": "did you mean 'compare'",
    "compare --nonsense": "unrecognized arguments: --nonsense",
    "compare --metods focal": "--metods focal; did you mean --methods? (see policygrad compare",
    "aqi x.csv --horizont=1": "--horizont=1; did you mean --horizon?",
    "compare --data digits_rar": "did you mean 'digits_rare'",
    "compare --data wine,wine": "data must differ from each other; repeated: wine",
    "compare --data mammography": "or --data-dir FOLDER",
    "compare --data pima --data-dir nowhere": "there is no such folder",
    "compare --data ,": "--data: must be one or more names",
    "compare --data iris --methods focl": "did you mean 'focal'",
    "compare --data iris --reward f1_marco": "did you mean 'f1_macro'",
    "compare --suite ordinal": "no folder was given; give data_dir=",
    "compare --suite ordinl": "did you mean 'ordinal'",
    "compare --data iris --test-share 1": "test_share must be a share above 0 and below 1",
    "compare --data iris --test-share 0.3 --folds 5 --seeds 5": "give one of the two",
    "compare --data iris --folds 60": "use 50 folds at most",
    "compare --data iris --reward f1": "data 'iris' (multiclass)",
    "compare --seeds 0": "seeds must be a whole number from 1 to 1000, got 0",
    "compare --seeds two": "invalid int value: 'two'",
    "compare --seed -1": "seed must be a whole number from 0",
    "compare --epochs 0": "epochs must be a whole number from 1",
    "compare --batch-size -4": "batch_size must be a whole number from 1",
    "compare --optimizer adamv": "did you mean 'adam'",
    "compare --learning-rate nan": "learning_rate must be a number above 0",
    "compare --hidden 64,x": "--hidden: must be widths",
    "compare --hidden 0": "hidden must be a whole number from 1",
    "compare --target pm": "--target goes with --csv",
    "compare --time-split": "--time-split goes with --csv",
    "compare --csv nowhere.csv": "--csv FILE needs --target COLUMN",
    "compare --csv nowhere.csv --target pm": "there is no such file",
    "compare --csv . --target pm": "Is a directory",
    "compare --csv {csv} --target pn": "did you mean 'pm'",
    "compare --csv {csv} --target pm": "too many for classes",
    "compare --csv {csv} --target pm --drop wnd": "did you mean 'wind'",
    "compare --csv {csv} --target pm --time-split huor": "did you mean 'hour'",
    "compare --csv {csv} --target pm --bins 40,x": "--bins: must be increasing upper ends",
    "compare --csv {csv} --target pm --bins 80,40": "increasing",
    "compare --csv {csv} --target pm --bins quantiles:1": "2 or more",
    "compare --csv {csv} --target side --positive X": "not a class of 'side'",
    "compare --data iris --out {csv}": "cannot be made",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_answered_in_one_message_with_code_2(line, series, capsys, tmp_path):
    words = [word.format(csv=series) for word in line.split()]
    if "--out" not in words:
        words += ["--out", str(tmp_path / "out")] if words[0] == "compare" else []
    assert BAD[line] in refusal(words, capsys)
    assert not (tmp_path / "out").exists()


def test_a_method_that_suits_no_data_set_is_an_error(capsys, tmp_path):
    from policygrad_metrics.study.methods import METHODS as ALL

    name = next(name for name, method in ALL.items() if "multiclass" not in method.tasks)
    code = cli.main(["compare", "--data", "iris", "--methods", f"{name},focal"])
    assert code == 2
    assert f"method {name!r} has nothing to do" in capsys.readouterr().err


@pytest.mark.slow
def test_an_unknown_optimizer_is_one_line_without_start_up_lines():
    done = subprocess.run(
        [sys.executable, "-m", "policygrad_metrics", "compare", "--optimizer", "foo"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert re.fullmatch(r"policygrad: optimizer='foo' is not known\..*\n", done.stderr)


@pytest.mark.parametrize(
    ("words", "run", "last"),
    [
        (["compare"], "_compare", "goes on from here"),
        (["compare", "--no-resume"], "_compare", "begins anew"),
        (["aqi", "a.csv"], "_aqi", "goes on from here"),
        (["aqi", "a.csv", "--save", "air"], "_aqi", "begins anew"),
        (["datasets"], "_datasets", "begins anew"),
    ],
)
def test_what_is_interrupted_says_whether_it_goes_on(words, run, last, monkeypatch, capsys):
    def stopped(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, run, stopped)
    assert cli.main(words) == 130
    assert capsys.readouterr().err == f"policygrad: stopped; the same command {last}.\n"


def test_logs_are_shown_when_tensorflow_fails_to_start(capfd):
    def start():
        with cli.quiet_start():
            os.write(2, b"native library missing\n")
            raise ImportError("no TensorFlow")

    with pytest.raises(ImportError, match="no TensorFlow"):
        start()
    assert "native library missing" in capfd.readouterr().err
    with cli.quiet_start():
        os.write(2, b"chatter\n")
    assert capfd.readouterr().err == ""
