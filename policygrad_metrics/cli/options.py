"""The options of `policygrad compare`, and the settings they ask for.

Nothing heavy is imported before the settings are made.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from policygrad_metrics.study.settings import StudySettings, TableFile

#: What `--quick` changes, unless the option is given as well.
QUICK: dict[str, Any] = {
    "seeds": 3,
    "methods": (
        "majority",
        "logistic_regression",
        "cross_entropy",
        "weighted_cross_entropy",
        "policy_gradient",
    ),
}


#: Options that are settings of the same name, of every study.
_STUDY = (
    "reward",
    "seeds",
    "seed",
    "trials",
    "epochs",
    "batch_size",
    "learning_rate",
    "dropout",
    "refit",
)
#: And of a comparison.
_COMPARE = ("suite", "data_dir", "folds", "predictions")


#: And with a suite, where there is much to look at.
QUICK_SUITE: dict[str, Any] = {
    "epochs": 60,
    "methods": ("majority", "logistic_regression", "cross_entropy", "policy_gradient"),
}


#: An option's name, type, placeholder and help.
Row = tuple[str, Any, str, str]
_DATA: tuple[Row, ...] = (
    ("--data", str, "NAMES", "data sets, see policygrad datasets; name:reward for another reward "
     "than the set's own (default: digits_rare and the synthetic series pm25)"),
    ("--suite", str, "NAME", "standard: 11 data sets, 24 with the files of --data-dir, each with "
     "the reward it is made for; published: three sets, linear, 10 folds, published figures beside "
     "ours"),
    ("--data-dir", str, "FOLDER", "where the data sets are that are read from files"),
    ("--csv", str, "FILE", "a table of your own, .csv or .csv.gz"),
    ("--target", str, "COLUMN", "its column to predict; several, a,b, for 0/1 labels"),
    ("--bins", str, "ENDS", "cut a numeric target into levels at these upper ends, 35,75,115, or "
     "into N quantiles with quantiles:N (ends below zero: --bins=-5,0,5)"),
    ("--horizon", int, "N", "of a series: its label is known up to N rows before; adds persistence "
     "to the methods"),
    ("--drop", str, "COLUMNS", "columns to leave out, a,b"),
    ("--positive", str, "LABEL", "the positive one of two classes"),
)  # fmt: skip
#: Of every study: what is trained, how, and where.
_TRAINING: tuple[Row, ...] = (
    ("--seeds", int, "N", "runs of each method (default: 5)"),
    ("--seed", int, "S", "the first seed (default: 0)"),
    ("--trials", int, "N", "hyper-parameter settings that each method tries, its defaults first; "
     "the validation part chooses (default: 1)"),
    ("--epochs", int, "N", "epochs of every network (default: at least 40, and enough for 600 "
     "steps)"),
    ("--batch-size", int, "B", "rows per step (default: 256)"),
    ("--hidden", str, "WIDTHS", "hidden layers, 64,64 (default), or none"),
    ("--learning-rate", float, "RATE", "of Adam (default: 0.001)"),
    ("--workers", int, "N", "processes to train in, 0 for this one alone (default: as many as "
     "there are cores, if there is much to do)"),
    ("--scheduler", str, "ADDRESS", "train on the Dask cluster of this scheduler, tcp://HOST:8786; "
     "--workers is then how many jobs it gets at a time (default: all)"),
)  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a comparison to a parser."""
    data = parser.add_argument_group("data")
    add_rows(data, _DATA)
    data.add_argument(
        "--time-split",
        metavar="COLUMN",
        nargs="?",
        const=True,
        default=False,
        help="the rows are a series: train on the first, test on the last; sort by COLUMN, if "
        "given",
    )
    training = parser.add_argument_group("training")
    add_training_options(training, dropout="0")
    add_rows(training, [
        ("--methods", str, "NAMES", "a,b, or principal (default), or all; see policygrad methods"),
        ("--reward", str, "NAME", "reward for all data sets (default: each set's own)"),
        ("--folds", int, "K", "cross-validate: a run for each fold, --seeds a multiple of K "
         "(default: a random split for each seed)"),
    ])  # fmt: skip
    training.add_argument(
        "--quick", action="store_true", help="a first look: fewer seeds and methods"
    )
    output = parser.add_argument_group("output")
    add_output_options(output)
    output.add_argument(
        "--predictions",
        action="store_true",
        help="keep probabilities and decisions of the test rows beside the runs",
    )


def add_rows(group: Any, rows: Iterable[Row]) -> None:
    """Add options to a group of a parser."""
    for name, kind, placeholder, text in rows:
        group.add_argument(name, type=kind, metavar=placeholder, help=text)


def add_training_options(group: Any, dropout: str) -> None:
    """Add the options of every study but methods and reward, with the default of `--dropout`."""
    text = f"of the hidden units, while training (default: {dropout})"
    add_rows(group, [*_TRAINING, ("--dropout", float, "SHARE", text)])
    group.add_argument(
        "--refit",
        action=argparse.BooleanOptionalAction,
        help="of a series: train every method anew on training and validation part together, for "
        "the number of epochs that validation chose (default: no)",
    )


def add_output_options(group: Any) -> None:
    """Add the options of where and how results are written."""
    group.add_argument(
        "--out",
        metavar="DIR",
        help="where to write (default: a folder below runs/ named after the settings)",
    )
    group.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="go on from the runs in DIR (default), or move them aside and start again",
    )
    group.add_argument("--json", action="store_true", help="print the tables as JSON")


def read_study(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of every study that the options of `add_study_options` ask for.

    Raises:
        ValueError: An option is out of range.
    """
    if options.workers is not None and options.workers < 0:
        raise ValueError(f"--workers must be a whole number, 0 or more, got {options.workers}.")
    chosen = given(options, _STUDY)
    if options.methods is not None:
        chosen["methods"] = read_names("--methods", options.methods)
    if options.hidden is not None:
        chosen["hidden"] = _widths(options.hidden)
    return chosen


def given(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Return the options that were given, by name."""
    found = {name: getattr(options, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def read_settings(options: argparse.Namespace) -> StudySettings:
    """Return the settings that the options ask for.

    Raises:
        ValueError: An option is out of range, or does not go with another.
    """
    from policygrad_metrics.study.settings import StudySettings

    chosen: dict[str, Any] = dict(QUICK) if options.quick else {}
    if options.suite is not None:
        chosen.update(_suite_settings(options))
    chosen |= given(options, _COMPARE) | read_study(options)
    if options.folds is not None and options.seeds is None:
        chosen["seeds"] = options.folds
    if options.csv is not None:
        chosen["table"], chosen["data"] = _table(options), ()
    else:
        for name in ("target", "bins", "horizon", "drop", "positive"):
            if getattr(options, name) is not None:
                raise ValueError(f"--{name} goes with --csv FILE; give the file, or leave it out.")
        if options.time_split:
            raise ValueError("--time-split goes with --csv FILE; the named series have their own.")
    if options.data is not None:
        chosen["data"] = read_names("--data", options.data)
    return StudySettings(**chosen)


def _suite_settings(options: argparse.Namespace) -> dict[str, Any]:
    from policygrad_metrics.study.suites import SUITE_SETTINGS

    found = SUITE_SETTINGS.get(options.suite, {})
    return {**found, "data": (), **(QUICK_SUITE if options.quick else {})}


def _table(options: argparse.Namespace) -> TableFile:
    from policygrad_metrics.study.settings import TableFile, split_names

    if options.target is None:
        raise ValueError("--csv FILE needs --target COLUMN, the column to predict.")
    return TableFile(
        path=options.csv,
        target=read_names("--target", options.target),
        bins=None if options.bins is None else _bins(options.bins),
        time_split=options.time_split,
        drop=() if options.drop is None else split_names(options.drop),
        positive=options.positive,
        horizon=options.horizon,
    )


def read_names(option: str, text: str) -> tuple[str, ...]:
    """Return the names of a comma-separated option; there must be one at least."""
    from policygrad_metrics.study.settings import split_names

    names = split_names(text)
    if not names:
        raise ValueError(f"{option} must be one or more names, a,b, got {text!r}.")
    return names


def _bins(text: str) -> tuple[float, ...] | int:
    quantiles = text.removeprefix("quantiles:")
    try:
        if quantiles != text:
            return int(quantiles)
        return tuple(float(end) for end in text.split(","))
    except ValueError:
        raise ValueError(
            f"--bins must be increasing upper ends, 35,75,115, or quantiles:N, got {text!r}."
        ) from None


def _widths(text: str) -> tuple[int, ...]:
    if text == "none":
        return ()
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError:
        raise ValueError(f"--hidden must be widths, 64,64, or none, got {text!r}.") from None
