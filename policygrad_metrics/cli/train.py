"""`policygrad train`, `predict` and `export`: a model of a table, its labels, and how it is served.

Nothing heavy is imported before the table is read.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from policygrad_metrics.cli.console import bad_input, print_grid, results, say_about, starting
from policygrad_metrics.cli.options import (
    add_command,
    add_judging_options,
    add_reading_options,
    add_rows,
    add_table_options,
    add_training_options,
    given,
    split_names,
)
from policygrad_metrics.core.durable import refuse_unwritable, replacing
from policygrad_metrics.study.progress import say, showing
from policygrad_metrics.study.quiet import quiet_start, start_tensorflow

_TRAIN_EPILOG = """examples:
  policygrad train --csv table.csv --target label --reward f1_macro --out model/
  policygrad train --csv loans.csv --target risk --positive bad --method best \\
      --subject-to 'precision>=0.8' --out model/
"""
_PREDICT_EPILOG = """examples:
  policygrad predict model/ new.csv --out labels.csv
  policygrad predict model/ new.csv --keep id,name > labels.csv
"""
_EXPORT_EPILOG = """examples:
  policygrad export model/ served/
  docker run -p 8501:8501 -v $PWD/served:/models/model tensorflow/serving
  curl -d @served/example_request.json http://localhost:8501/v1/models/model:predict
  policygrad export model/ served/ --format onnx
"""
#: What is of a comparison alone.
_NOT_HERE = ("--seeds", "--workers", "--scheduler")


def add_train(commands: Any) -> None:
    """Add the three sub-commands to the parser's commands."""
    train = add_command(
        commands,
        "train",
        _train,
        help="train a model on a table, judge it and save it with its decision",
        description="Train one method on a table, tune its decision, print test scores, a "
        "confusion matrix and what drives the decision, and write a folder with the model, its "
        "preparation, its decision and a model card. Nothing in the folder is code.",
        epilog=_TRAIN_EPILOG,
    )
    data = train.add_argument_group("data")
    add_table_options(train, data, "FILE", "the table, .csv, .csv.gz or .parquet")
    training = train.add_argument_group("training")
    add_rows(training, [
        ("--method", str, "NAME", "policy_gradient (default) or another that trains a network, "
         "logistic regression or boosted trees, see policygrad methods; best: the one with the "
         "best cross-validated reward"),
        ("--reward", str, "NAME", "what is maximised, see policygrad rewards (default: f1 of two "
         "classes, f1_macro of more)"),
        ("--folds", int, "K", "judge the method by K-fold cross-validation over all rows, too; the "
         "model that is written stays that of one split, and is not trained on all rows"),
    ])  # fmt: skip
    add_judging_options(training)
    add_training_options(training, dropout="0", without=_NOT_HERE)
    train.add_argument("--out", metavar="DIR", default="model", help="where to write (model)")
    predict = add_command(
        commands,
        "predict",
        _predict,
        help="label the rows of a file with a model of policygrad train",
        description="Write a label and probabilities for each row of a file, block by block, and "
        "say which columns differ from the training rows.",
        epilog=_PREDICT_EPILOG,
    )
    predict.add_argument("model", metavar="MODEL", help="the folder that policygrad train wrote")
    predict.add_argument("path", metavar="FILE", help="rows to label, .csv, .csv.gz or .parquet")
    add_rows(predict, [
        ("--out", str, "FILE", "where to write (default: standard output)"),
        ("--keep", split_names, "COLUMNS", "columns of the file to write in front, a,b"),
    ])  # fmt: skip
    add_reading_options(predict)
    export = add_command(
        commands,
        "export",
        _export,
        help="write a model of policygrad train for TensorFlow Serving or ONNX",
        description="Write preparation, network and decision as one TensorFlow SavedModel, or one "
        "ONNX file; inputs are the columns of the table.",
        epilog=_EXPORT_EPILOG,
    )
    export.add_argument("model", metavar="MODEL", help="the folder that policygrad train wrote")
    export.add_argument("out", metavar="DIR", help="where to write; each export is a version")
    export.add_argument(
        "--format",
        choices=["tf", "onnx"],
        default="tf",
        help="tf (default), or onnx (extra [onnx])",
    )


def _train(options: argparse.Namespace) -> int:
    from policygrad_metrics.data.reading import Reading
    from policygrad_metrics.study.settings import StudySettings
    from policygrad_metrics.study.table_file import TableFile
    from policygrad_metrics.study.trained.request import read_request

    with bad_input():
        if not options.path or len(options.path) > 1 or options.target is None:
            raise ValueError(
                "train needs one table, --csv FILE, and the column to predict, --target COLUMN."
            )
        how = given(options, TableFile) | given(options, StudySettings) | given(options, Reading)
        for name in ("path", "target"):
            how.pop(name)
        if options.subject_to is not None:
            how["subject_to"] = tuple(options.subject_to)
        method = options.method or "policy_gradient"
        asked = read_request(options.path[0], options.target, method, how)
    notes = say_about([asked.dataset])
    start_tensorflow()
    with quiet_start():
        from policygrad_metrics.study.trained.fit import fit_table, jobs_of
        from policygrad_metrics.study.trained.table import check_folder
    with bad_input():
        check_folder(Path(options.out), "schema")
        jobs = jobs_of(asked)
        with showing(notes) as progress:
            model = fit_table(asked, jobs, progress)
        model.save(options.out)
    _print_card(model.card)
    say(notes, f"{Path(options.out, 'model_card.html')}")
    say(notes, f"policygrad predict {shlex.quote(options.out)} new.csv --out labels.csv")
    return 0


def _print_card(card: Any) -> None:
    console = results()
    say(console, card.lead, style="bold")
    console.print()
    for grid in card.tables:
        print_grid(grid)
    for line in card.method:
        say(console, f"- {line}")


def _predict(options: argparse.Namespace) -> int:
    from policygrad_metrics.data.reading import Reading

    notes = starting()
    with quiet_start():
        from policygrad_metrics.study.trained.stream import label_file
        from policygrad_metrics.study.trained.table import TrainedTable
    with bad_input():
        model = TrainedTable.load(options.model)

        def said(rows: int) -> None:
            if notes.is_terminal:
                notes.print(f"{rows:,} rows", end="\r")

        reading = given(options, Reading)
        with _output(options.out, options.path) as file:
            done = label_file(
                model, options.path, file, keep=options.keep or (), said=said, **reading
            )
    for line in done.lines():
        say(notes, line, soft_wrap=not notes.is_terminal)
    return 0


@contextlib.contextmanager
def _output(path: str | None, source: str) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    if Path(path).is_dir():
        raise ValueError(f"out={path!r} (--out) is a folder: name a file in it.")
    if Path(path).exists() and Path(source).exists() and Path(path).samefile(source):
        raise ValueError(
            f"out={path!r} (--out) is the file that is labelled, which would be lost: name another."
        )
    refuse_unwritable(Path(path).parent)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replacing(Path(path)) as file:
        yield file


def _export(options: argparse.Namespace) -> int:
    notes = starting()
    with quiet_start():
        from policygrad_metrics.study.trained.export import export_table
        from policygrad_metrics.study.trained.table import TrainedTable
    with bad_input():
        model = TrainedTable.load(options.model)
        with quiet_start():
            written = export_table(model, Path(options.out), options.format)
    say(notes, f"{written}")
    return 0
