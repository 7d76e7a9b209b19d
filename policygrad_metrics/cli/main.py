"""The command `policygrad`.

Nothing heavy is imported before a sub-command needs it, so that `--help` answers at once. Bad
input ends with exit code 2 and one message; a comparison that cannot go on with code 1; Ctrl-C
with 130.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import difflib
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import policygrad_metrics
from policygrad_metrics.cli import aqi as cli_aqi
from policygrad_metrics.cli import forecast as cli_forecast
from policygrad_metrics.cli.console import BadInputError, bad_input, results, say_about, starting
from policygrad_metrics.cli.options import add_command, add_options, read_datasets, read_settings
from policygrad_metrics.cli.train import add_train
from policygrad_metrics.cli.variance import add_variance
from policygrad_metrics.core.checks import choose
from policygrad_metrics.study.progress import say, showing
from policygrad_metrics.study.quiet import quiet_start

_EPILOG = """examples:
  policygrad compare --quick
  policygrad compare --csv air.csv.gz --target pm2.5 --bins 35,75,115,150,250 --time-split date
  policygrad compare --csv a.csv,b.csv --target label --reward f1_macro
  policygrad compare --tables study.toml
  policygrad compare --data wine,digits --methods cross_entropy,policy_gradient --seeds 10
"""
_OUT = "runs"
_COMMANDS = (
    "compare", "train", "predict", "export", "aqi", "forecast", "variance", "methods", "rewards",
    "datasets",
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
    """A parser whose errors take one line, as all errors of this command do."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = _Parser(
        prog="policygrad",
        description="Train Keras networks on the metric itself, and compare with other losses.",
        epilog="policygrad compare --help tells the options of a comparison.",
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"policygrad {policygrad_metrics.__version__}",
        help="print the version and exit",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    compare = add_command(
        commands,
        "compare",
        _compare,
        help="train the methods on data sets over several seeds and report the scores",
        description="Train the methods on data sets over several seeds; print a table and write "
        "the runs, a Markdown and an HTML report, and pictures. Scores are of the test part; "
        "weights and decisions are chosen on the validation part.",
        epilog=_EPILOG,
    )
    add_options(compare)
    add_train(commands)
    forecast = add_command(
        commands,
        "aqi",
        _aqi,
        help="forecast the levels of an air-quality scale from a station's hourly file",
        description="Forecast air-quality levels from an hourly file, by persistence, boosting, "
        "cross-entropy and policy gradients; print a table and write a report.",
        epilog=cli_aqi.EPILOG,
    )
    cli_aqi.add_options(forecast)
    cli_forecast.add_forecast(commands)
    add_variance(commands)
    for name, run, what in (
        ("methods", _methods, "list the methods, a line each"),
        ("rewards", _rewards, "list the rewards by name"),
        ("datasets", _datasets, "list the data sets, a line each"),
    ):
        add_command(commands, name, run, help=what, description=f"{what.capitalize()}.")
    commands.choices["methods"].add_argument(
        "--json", action="store_true", help="all about them: tasks, paper, search ranges"
    )
    for command in commands.choices.values():
        command.set_defaults(parser=command)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: Words after the command's name; those of the process if None.

    >>> main(["datasets"]) == main(["datasets"]) == 0
    breast_cancer ...
    True
    """
    words = _with_negatives(sys.argv[1:] if arguments is None else arguments)
    parser, options = build_parser(), None
    try:
        if words and not words[0].startswith("-"):
            with bad_input():
                choose("command", words[0], _COMMANDS)
        options, unknown = parser.parse_known_args(words)
        if unknown:
            _refuse(unknown, getattr(options, "parser", parser))
        if options.command is None:
            parser.print_help()
            return 0
        return options.run(options)
    except BadInputError as error:
        print(f"policygrad: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        # Studies keep their runs, unless --no-resume; other commands write when they are done.
        goes_on = getattr(options, "resume", False) and getattr(options, "save", None) is None
        what = "goes on from here" if goes_on else "begins anew"
        print(f"policygrad: stopped; the same command {what}.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader has gone, as with `| head`. Nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _with_negatives(words: Sequence[str]) -> list[str]:
    """Join an option and a value that begins with a minus, which would be taken for an option.

    >>> _with_negatives(["compare", "--missing", "-200,-999", "--seeds", "3"])
    ['compare', '--missing=-200,-999', '--seeds', '3']
    """
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in ("--missing", "--bins") and re.match(r"-[\d.,]", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _refuse(unknown: Sequence[str], parser: argparse.ArgumentParser) -> NoReturn:
    """End with what is not known, and the nearest known option."""
    known = re.findall(r"--[\w-]+", parser.format_help())
    near = difflib.get_close_matches(unknown[0].partition("=")[0], known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")


def _compare(options: argparse.Namespace) -> int:
    with bad_input():
        settings = read_settings(options)
        datasets = read_datasets(options, settings)

    def prepare() -> tuple[Any, Any]:
        from policygrad_metrics.study.comparison import compare, plan

        return lambda: plan(settings, datasets), compare

    return _train(options, settings, datasets, prepare)


def _aqi(options: argparse.Namespace) -> int:
    if options.save is not None:
        return cli_forecast.save(options)
    with bad_input():
        settings, station = cli_aqi.read_settings(options)
        task = station.task()

    def prepare() -> tuple[Any, Any]:
        from policygrad_metrics.air.comparison import forecast, plan

        return lambda: plan(settings, task), forecast

    return _train(options, settings, [task.dataset], prepare)


def _train(
    options: argparse.Namespace,
    settings: Any,
    datasets: Sequence[Any],
    prepare: Callable[[], tuple[Any, Any]],
) -> int:
    """Run a study, print its tables and say where its reports are.

    Args:
        options: Where to write, how to train.
        settings: What was asked.
        datasets: The data.
        prepare: Imports what is heavy and returns `plan()`, and `study(settings, jobs, ...)`.
    """
    from policygrad_metrics.study.records import StudyError
    from policygrad_metrics.study.settings import directory_name

    notes = starting(say_about(datasets))
    with quiet_start():
        plan, study = prepare()
    with bad_input():
        jobs = plan()
    directory = Path(options.out or Path(_OUT, directory_name(settings, datasets)))
    try:
        with contextlib.ExitStack() as stack:
            executor = None
            if options.scheduler is not None:
                from policygrad_metrics.study.workers import cluster

                with bad_input():
                    executor = stack.enter_context(cluster(options.scheduler))
            progress = stack.enter_context(showing(notes))
            done = study(
                settings,
                jobs,
                directory,
                resume=options.resume,
                progress=progress,
                workers=options.workers,
                executor=executor,
            )
    except StudyError as error:
        print(f"policygrad: {error}", file=sys.stderr)
        return 1 if error.running else 2
    _print_study(done, as_json=options.json)
    say(notes, f"{done.html}\n{done.markdown}", soft_wrap=True)
    return 0


def _print_study(done: Any, *, as_json: bool) -> None:
    from policygrad_metrics.study.grid import rich_grid
    from policygrad_metrics.study.records import finite
    from policygrad_metrics.study.table import score_grid

    if as_json:
        shown = {
            "directory": str(done.directory),
            "settings": done.settings,
            "tables": [dataclasses.asdict(table) for table in done.tables],
            "overall": [dataclasses.asdict(column) for column in done.overall],
            "conclusion": done.conclusion,
            "verdicts": [dataclasses.asdict(one) for one in done.verdicts],
        }
        print(json.dumps(finite(shown), indent=2, allow_nan=False))
        return
    console = results()
    for number, line in enumerate(done.conclusion):
        style, text = ("", f"- {line}") if number else ("bold", line)
        say(console, text, style=style)
    console.print()
    for grid in (*(score_grid(table, ["tuned"]) for table in done.tables), *done.more):
        console.print(rich_grid(grid))


def _methods(options: argparse.Namespace) -> int:
    with quiet_start():
        from policygrad_metrics.study.methods import METHODS, search_ranges
    if not options.json:
        _print_lines({name: method.summary for name, method in METHODS.items()})
        return 0
    functions = {"build", "predictor", "head"}
    records = [
        {name: value for name, value in vars(method).items() if name not in functions}
        | {
            "tasks": sorted(method.tasks),
            "hyperparameters": {
                name: dataclasses.asdict(choice) for name, choice in search_ranges(method).items()
            },
        }
        for method in METHODS.values()
    ]
    print(json.dumps(records, indent=2))
    return 0


def _rewards(options: argparse.Namespace) -> int:
    with quiet_start():
        from policygrad_metrics.rewards import ALIASES, RANKING_ALIASES, RANKINGS, REWARDS
    texts: dict[str, list[str]] = {name: [] for name in (*REWARDS, *RANKINGS)}
    for alias, name in (*ALIASES.items(), *RANKING_ALIASES.items()):
        texts[name].append(f"also {alias}" if not texts[name] else alias)
    for name, reward in REWARDS.items():
        if reward().uses_order:
            texts[name].append("depends on the order of the classes")
    for name in RANKINGS:
        texts[name].append("scores a ranking")
        if name in ("ndcg", "dcg"):
            texts[name].append(f"{name}@10 that of the first 10 places")
        elif name.endswith("@"):
            texts[f"{name}10"] = [*texts.pop(name), "or another number of places"]
    _print_lines({name: ", ".join(words) for name, words in texts.items()})
    return 0


def _datasets(options: argparse.Namespace) -> int:
    from policygrad_metrics.data import available

    _print_lines(available())
    return 0


def _print_lines(texts: dict[str, str]) -> None:
    width = max(map(len, texts))
    for name, text in texts.items():
        print(f"{name:{width}}  {text}".rstrip())
