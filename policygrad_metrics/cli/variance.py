"""`policygrad variance`: estimators side by side on one batch.

Nothing heavy is imported before the sub-command runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from policygrad_metrics.cli.console import bad_input
from policygrad_metrics.cli.options import Row, add_command, add_rows
from policygrad_metrics.core.checks import choose
from policygrad_metrics.study.quiet import quiet_start, start_tensorflow

_EPILOG = """examples:
  policygrad variance
  policygrad variance --reward matthews_corrcoef --classes 2 --batch 64
  policygrad variance --model best.keras --csv test.csv --target label --reward f1_macro
  policygrad variance --suite published
"""
_DEFAULTS = {
    "reward": "f1_macro",
    "batch": 256,
    "classes": 6,
    "policy": "auto",
    "samples": 16,
    "draws": 256,
    "seed": 0,
    "out": "runs/variance",
}
#: What `--quick` changes, unless the option is given as well.
_QUICK = {"draws": 32, "batch": 64}
_PROBLEM: tuple[Row, ...] = (
    ("--reward", str, "NAME", "see policygrad rewards (f1_macro)"),
    ("--batch", int, "B", "examples (default: 256, or all rows up to that)"),
    ("--classes", int, "K", "of the toy problem (default: 6)"),
    ("--model", str, "FILE.keras", "a network of yours instead of the toy's logits"),
    ("--csv", str, "FILE", "the network's data: numbers, every column but the target a feature, in "
     "the file's order and as the network takes them; labels 0 to K - 1"),
    ("--target", str, "COLUMN", "its column with the labels"),
    ("--policy", str, "NAME", "as in the loss (auto)"),
)  # fmt: skip
_MEASUREMENT: tuple[Row, ...] = (
    ("--estimators", str, "NAMES", "a,b (default: all that can serve)"),
    ("--samples", int, "S", "label sets a gradient (default: 16)"),
    ("--draws", int, "N", "gradients of each (default: 256)"),
    ("--seed", int, "S", "of all draws (default: 0)"),
)


def add_variance(commands: Any) -> None:
    """Add the sub-command to the parser's commands."""
    parser = add_command(
        commands,
        "variance",
        _variance,
        help="measure every gradient estimator against the exact gradient on one batch",
        description="Measure bias, variance, direction, time and reward calls of every estimator "
        "of the policy gradient on one batch, with the exact gradient as the truth; print a table "
        "and write gradients.json and gradients.png.",
        epilog=_EPILOG,
    )
    add_rows(parser.add_argument_group("problem"), _PROBLEM)
    run = parser.add_argument_group("measurement")
    add_rows(run, _MEASUREMENT)
    run.add_argument("--quick", action="store_true", help="a first look: 64 examples, 32 draws")
    run.add_argument(
        "--suite", metavar="published", choices=["published"],
        help="instead: the published experiments, our figure beside theirs",
    )  # fmt: skip
    output = parser.add_argument_group("output")
    output.add_argument("--out", metavar="DIR", help="where to write (default: runs/variance)")
    output.add_argument("--json", action="store_true", help="print the records as JSON")


def _variance(options: argparse.Namespace) -> int:
    for name, value in (_DEFAULTS | (_QUICK if options.quick else {})).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    with bad_input():
        _check(options)
    start_tensorflow()
    with quiet_start():
        from policygrad_metrics.study.diagnostics import measure_gradients
    if options.suite:
        return _published(options)
    with bad_input():
        y_true, outputs = _problem(options)
        try:
            report = measure_gradients(
                y_true,
                outputs,
                options.reward,
                policy=options.policy,
                estimators=None if options.estimators is None else options.estimators.split(","),
                samples=options.samples,
                draws=options.draws,
                seed=options.seed,
                progress=lambda name: print(name, file=sys.stderr),
            )
        except TypeError as error:
            raise ValueError(error) from error
        data, picture = report.save(options.out)
    if options.json:
        print(data.read_text(encoding="utf-8").strip())
        return 0
    print(_headline(report.setting))
    print(report.table())
    for name, why in report.skipped.items():
        print(f"{name}: {why}", file=sys.stderr)
    print(f"{data}\n{picture}", file=sys.stderr)
    return 0


def _headline(setting: dict[str, Any]) -> str:
    sampled = setting["truth_error"]
    known = "" if sampled is None else f" (its own relative error {sampled:.1g})"
    return (
        f"{setting['reward']}: {setting['sites']} sites, {setting['classes']} classes, "
        f"{setting['draws']} draws; expected reward {setting['expected_reward']:.4f}; truth: "
        f"{setting['truth']}{known}\n"
    )


def _check(options: argparse.Namespace) -> None:
    for name, least in (("batch", 1), ("classes", 2), ("samples", 1), ("draws", 2)):
        if getattr(options, name) < least:
            raise ValueError(f"--{name} must be at least {least}, got {getattr(options, name)}.")
    together = [options.model, options.csv, options.target]
    if any(together) and not all(together):
        raise ValueError(
            "--model FILE.keras goes with --csv FILE and --target COLUMN; give all three, or none "
            "for the toy problem."
        )


def _problem(options: argparse.Namespace) -> tuple[Any, Any]:
    """The truth and the network's outputs of one batch."""
    if options.model is None:
        from policygrad_metrics.study.diagnostics import toy_problem

        return toy_problem(options.batch, options.classes, seed=options.seed)
    from policygrad_metrics.saving.loading import load_model

    x, y_true = _read_numbers(Path(options.csv), options.target)
    rows = slice(0, options.batch)
    return y_true[rows], load_model(options.model, compile=False)(x[rows], training=False)


def _read_numbers(path: Path, target: str) -> tuple[Any, Any]:
    """Features float32 `[N, F]` and labels int32 `[N]` of a CSV file of numbers."""
    import numpy as np

    from policygrad_metrics.data.cells import to_numbers
    from policygrad_metrics.data.reading import read_cells

    columns, _ = read_cells(path)
    choose("target", target, columns)
    numbers = {name: to_numbers(cells) for name, cells in columns.items()}
    table = {name: values for name, values in numbers.items() if values is not None}
    if len(table) < len(columns) or not np.isfinite([*table.values()]).all():
        raise ValueError(
            f"{path} must hold numbers only, as the network takes them; some cells are not. "
            "Prepare the table as for training and write it again."
        )
    y_true = table.pop(target)
    if (y_true != y_true.astype(np.int32)).any():
        raise ValueError(f"column {target!r} must hold labels 0 to K - 1; it holds fractions.")
    return np.stack([*table.values()], axis=1).astype(np.float32), y_true.astype(np.int32)


def _published(options: argparse.Namespace) -> int:
    from policygrad_metrics.study.diagnostics.published import published_table, run_published

    records = run_published(draws=256 if options.quick else 4096, seed=options.seed)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(records, indent=2)
    (folder / "published.json").write_text(text + "\n", encoding="utf-8")
    print(text if options.json else published_table(records))
    return 0
