"""The options of `policygrad compare`, and the settings they ask for.

An option is parsed to the value of the field of the same name, so that `given` finds the fields of
a record among the options. Nothing heavy is imported before the settings are made.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from policygrad_metrics.core.checks import choose

if TYPE_CHECKING:
    from policygrad_metrics.data import Dataset
    from policygrad_metrics.study.settings import StudySettings

#: What a comparison takes that names no data, unless the option is given: few methods, and enough
#: seeds for the exact test of a series to tell something.
WITHOUT_DATA: dict[str, Any] = {"seeds": 10, "methods": ("quick",)}
#: What `--quick` changes, unless the option is given as well.
QUICK: dict[str, Any] = {"seeds": 3, "methods": ("quick",)}
#: What `--quick` changes with a suite, which has many data sets.
QUICK_SUITE: dict[str, Any] = {
    "epochs": 60,
    "methods": ("majority", "logistic_regression", "cross_entropy", "policy_gradient"),
}


def split_names(text: str) -> tuple[str, ...]:
    """Return the parts of a comma-separated list; quotes keep a comma in a name.

    >>> split_names('No, "a,b"')
    ('No', 'a,b')
    """
    parts = next(csv.reader([text], skipinitialspace=True), [])
    return tuple(part.strip() for part in parts if part.strip())


def _constraints(text: str) -> tuple[str, ...]:
    """Return constraints that commas part; a comma in brackets is of the class's name.

    >>> _constraints("recall[Moderate, or worse]>=0.5, precision>=0.8")
    ('recall[Moderate, or worse]>=0.5', 'precision>=0.8')
    """
    if '"' in text:
        return some_names(text)
    parts = [part.strip() for part in re.split(r",(?![^\[]*\])", text)]
    return tuple(filter(None, parts)) or some_names(text)


def _codes(text: str) -> tuple[str, ...]:
    """Return the parts of a comma-separated list, empty ones too.

    >>> _codes("-200,"), _codes("")
    (('-200', ''), ('',))
    """
    parts = next(csv.reader([text], skipinitialspace=True), []) or [""]
    return tuple(part.strip() for part in parts)


def some_names(text: str) -> tuple[str, ...]:
    """Return the names of a comma-separated list; there must be one at least."""
    names = split_names(text)
    if not names:
        raise argparse.ArgumentTypeError(f"must be one or more names, a,b, got {text!r}.")
    return names


def _bins(text: str) -> tuple[float, ...] | int:
    quantiles = text.removeprefix("quantiles:")
    try:
        if quantiles != text:
            return int(quantiles)
        return tuple(float(end) for end in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be increasing upper ends, 35,75,115, or quantiles:N, got {text!r}."
        ) from None


def _widths(text: str) -> tuple[int, ...]:
    try:
        return () if text == "none" else tuple(int(width) for width in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be widths, 64,64, or none, got {text!r}.") from None


def _processes(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, got {text!r}.")
    return int(text)


#: An option's name, type, placeholder and help.
Row = tuple[str, Any, str, str]
_DATA: tuple[Row, ...] = (
    ("--data", some_names, "NAMES", "data sets, see policygrad datasets; name:reward for another "
     "reward than the set's own (default: four that differ in kind, quick methods, 10 seeds)"),
    ("--suite", str, "NAME", "standard: 11 data sets, 24 with the files of --data-dir, each with "
     "the reward it is made for; published: three sets, linear, 10 folds, published figures beside "
     "ours; ordinal: eight sets of the files of --data-dir, 30 splits, on amae or --reward "
     "quadratic_kappa; ranking: three sets of rare positives, six with --data-dir, on "
     "average_precision or --reward roc_auc"),
    ("--data-dir", str, "FOLDER", "where the data sets are that are read from files"),
    ("--tables", str, "FILE", "a TOML file that names tables: a [[table]] each, csv, target and "
     "what else it needs of name, reward and the options of reading"),
)  # fmt: skip
#: What of a table is predicted, and from what.
_TABLE: tuple[Row, ...] = (
    ("--target", some_names, "COLUMN", "its column to predict; several, a,b, for 0/1 labels"),
    ("--bins", _bins, "ENDS", "cut a numeric target into levels at these upper ends, 35,75,115, or "
     "into N quantiles with quantiles:N"),
    ("--horizon", int, "N", "of a series: predict a row from the row N before and the target "
     "there; adds persistence to the methods"),
    ("--drop", split_names, "COLUMNS", "columns to leave out, a,b"),
    ("--positive", str, "LABEL", "the positive one of two classes"),
    ("--order", some_names, "CLASSES", "all classes in their order, low,mid,high; rewards such as "
     "quadratic_kappa need it (numbers and well-known words are put in order without it)"),
)  # fmt: skip
#: How a file of one's own is read: the fields of `data.reading.Reading`.
_READING: tuple[Row, ...] = (
    ("--missing", _codes, "CODES", "what else stands for missing, -200,-999,NR; COLUMN=CODE "
     "for one column alone; '' if every number is a value"),
    ("--text", split_names, "COLUMNS", "columns of texts, even if these look like numbers"),
    ("--sep", str, "CHAR", "what separates the cells: a character, or tab, space (default: found "
     "out, as are the next ones)"),
    ("--decimal", str, "MARK", "the decimal mark, . or ,"),
    ("--encoding", str, "NAME", "of the text (default: utf-8)"),
    ("--skip-lines", int, "N", "lines above the header"),
)  # fmt: skip
#: The options of every study: what is trained, how, and where.
_TRAINING: tuple[Row, ...] = (
    ("--seeds", int, "N", "runs of each method (default: 5)"),
    ("--seed", int, "S", "the first seed (default: 0)"),
    ("--trials", int, "N", "hyper-parameter settings that each method tries, its defaults first; "
     "the validation part chooses (default: 1)"),
    ("--members", int, "M", "networks that each run of a method trains, with first weights and an "
     "order of the rows of their own; their mean decides (default: 1)"),
    ("--epochs", int, "N", "epochs of every network (default: at least 40, and enough for 600 "
     "steps)"),
    ("--batch-size", int, "B", "rows per step (default: 256)"),
    ("--hidden", _widths, "WIDTHS", "hidden layers, 64,64 (default), or none"),
    ("--optimizer", str, "NAME", "a Keras optimizer: adam (default), adamw, sgd, ...; or its JSON"),
    ("--learning-rate", float, "RATE", "of the optimizer (default: 0.001)"),
    ("--workers", _processes, "N", "processes to train in, 0 for this one alone (default: as many "
     "as there are cores, if there is much to do)"),
    ("--scheduler", str, "ADDRESS", "train on the Dask cluster of this scheduler, tcp://HOST:8786; "
     "--workers is then how many jobs it gets at a time (default: all)"),
)  # fmt: skip


def add_command(commands: Any, name: str, run: Any, **texts: str) -> argparse.ArgumentParser:
    """Add a sub-command to the parser's commands.

    Args:
        commands: Those of the parser.
        name: Of the command.
        run: Does it, and returns the exit code.
        texts: help, description and epilog.
    """
    how = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(name, formatter_class=how, **texts)
    parser.set_defaults(run=run)
    return parser


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a comparison to a parser."""
    data = parser.add_argument_group("data")
    add_rows(data, _DATA)
    add_table_options(
        parser,
        data,
        "FILES",
        "tables of your own, a.csv,b.csv.gz; the options of reading go for all of them",
    )
    training = parser.add_argument_group("training")
    add_training_options(training, dropout="0")
    add_rows(training, [
        ("--methods", some_names, "NAMES", "a,b, or principal (default), quick or all; see "
         "policygrad methods"),
        ("--reward", str, "NAME", "reward for all data sets (default: each set's own)"),
        ("--folds", int, "K", "cross-validate: a run for each fold, --seeds a multiple of K "
         "(default: a random split for each seed)"),
    ])  # fmt: skip
    add_judging_options(training)
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


def add_table_options(parser: argparse.ArgumentParser, data: Any, files: str, text: str) -> None:
    """Add the options of tables of one's own: which, what to predict of them, how they are read.

    Args:
        parser: Of the command.
        data: Its group of the data.
        files: The placeholder of the paths.
        text: What they are.
    """
    data.add_argument("--csv", "--table", dest="path", type=some_names, metavar=files, help=text)
    add_rows(data, _TABLE)
    data.add_argument(
        "--time-split",
        metavar="COLUMN",
        nargs="?",
        const=True,
        help="the rows are a series: train on the first, test on the last; sort by COLUMN, if "
        "given",
    )
    add_reading_options(parser)


def add_judging_options(group: Any) -> None:
    """Add the options of what tests, and of what decisions must keep."""
    text = (
        "of the rows, that test; a fifth of the others validates (default: 60, 20 and 20 %% that "
        "train, validate and test)"
    )
    add_rows(group, [("--test-share", float, "SHARE", text)])
    group.add_argument(
        "--subject-to",
        type=_constraints,
        action="extend",
        metavar="CONSTRAINTS",
        help="what tuned decisions must keep, 'precision>=0.9' or 'recall[malignant]>=0.8'; policy "
        "gradients are trained under it; several, a,b, or the option again",
    )


def add_rows(group: Any, rows: Iterable[Row]) -> None:
    """Add options to a group of a parser."""
    for name, kind, placeholder, text in rows:
        group.add_argument(name, type=kind, metavar=placeholder, help=text)


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of how a file is read."""
    group = parser.add_argument_group("reading of the file")
    add_rows(group, _READING)
    group.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="whether the first line names the columns; without names they are column 1, ...",
    )


def add_training_options(group: Any, dropout: str, without: Sequence[str] = ()) -> None:
    """Add the options of every study but methods and reward.

    Args:
        group: Of a parser.
        dropout: The default of `--dropout`.
        without: Options to leave out.
    """
    text = f"of the hidden units, while training (default: {dropout})"
    rows = [row for row in _TRAINING if row[0] not in without]
    add_rows(group, [*rows, ("--dropout", float, "SHARE", text)])
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


def given(options: argparse.Namespace, record: Any) -> dict[str, Any]:
    """Return the fields of a record, a dataclass, that options of the same name give."""
    found = {field.name: getattr(options, field.name, None) for field in dataclasses.fields(record)}
    return {name: value for name, value in found.items() if value is not None}


def read_settings(options: argparse.Namespace) -> StudySettings:
    """Return the settings that the options ask for.

    Raises:
        ValueError: An option is out of range, or does not go with another.
    """
    from policygrad_metrics.data.reading import Reading
    from policygrad_metrics.study.settings import StudySettings
    from policygrad_metrics.study.suites import SUITES
    from policygrad_metrics.study.table_file import TableFile

    named = [options.suite, options.data, options.path, options.tables]
    chosen: dict[str, Any] = {} if any(named) else dict(WITHOUT_DATA)
    chosen |= QUICK if options.quick else {}
    if options.suite is not None:
        suite = SUITES[choose("suite", options.suite, SUITES)]
        chosen |= {**suite.settings, "data": ()}
        chosen |= QUICK_SUITE if options.quick else {}
    chosen |= given(options, StudySettings)
    if options.subject_to is not None:
        chosen["subject_to"] = tuple(options.subject_to)
    if options.folds is not None and options.seeds is None:
        chosen["seeds"] = options.folds
    table, reading = given(options, TableFile), given(options, Reading)
    for other in ("path", "reward", "subject_to"):  # the files; the others are of all data sets
        table.pop(other, None)
    if options.path or options.tables:
        chosen["data"] = options.data or ()
    if options.path is not None:
        if options.target is None:
            raise ValueError("--csv FILE needs --target COLUMN, the column to predict.")
        how = Reading(**reading)
        chosen["files"] = tuple(TableFile(path, **table, reading=how) for path in options.path)
    elif table or reading:
        name = next(iter(table | reading)).replace("_", "-")
        way_out = "write it into that of --tables" if options.tables else "leave it out"
        raise ValueError(f"--{name} goes with --csv FILE; give the file, or {way_out}.")
    return StudySettings(**chosen)


def read_datasets(options: argparse.Namespace, settings: StudySettings) -> list[Dataset]:
    """Read all data sets; an error says how an option is given for one of several files.

    Raises:
        ValueError, OSError: As `settings.datasets` says.
    """
    try:
        return settings.datasets()
    except ValueError as error:
        if len(options.path or ()) < 2:
            raise
        raise ValueError(
            f"{error} (The options go for every file of --csv; what fits one table only stands "
            "beside its csv in a TOML file, see --tables.)"
        ) from error
