"""`policygrad aqi --save` and `policygrad forecast`: forecasters of stations, and what comes next.

Nothing heavy is imported before a file is read.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from policygrad_metrics.cli.aqi import QUICK
from policygrad_metrics.cli.console import bad_input, print_grid, starting
from policygrad_metrics.cli.options import add_command, add_rows, given, split_names
from policygrad_metrics.core.checks import choose
from policygrad_metrics.core.durable import refuse_unwritable, write_atomically
from policygrad_metrics.study.progress import say, showing

_EPILOG = """examples:
  policygrad aqi station.csv --horizon 1..24 --save model/
  policygrad forecast model/ station.csv --floor 3=0.2 --out outlook
  policygrad forecast model/ folder/ --cost costs.csv --out outlook
"""
#: Name of the table of all stations.
_COMMON = "stations"


def add_forecast(commands: Any) -> None:
    """Add the sub-command to the parser's commands."""
    parser = add_command(
        commands,
        "forecast",
        _forecast,
        help="forecast the next hours of a station with models of policygrad aqi --save",
        description="Print and write the levels of the next hours with their probabilities, the "
        "highest level of today and tomorrow, the alert that is asked for, and a picture.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "model", metavar="MODEL", help="the folder that policygrad aqi --save wrote"
    )
    parser.add_argument(
        "path", metavar="FILE", help="the newest hours, or a folder of files, a station each"
    )
    add_rows(parser, [
        ("--out", str, "DIR", "where to write (default: outlook)"),
        ("--cost", str, "FILE", "a CSV file without header, a row for each level that comes and a "
         "column for each that is warned of: the alert is the level of least expected cost"),
        ("--floor", split_names, "LEVEL=P", "the alert is the highest of these levels k with "
         "P(level >= k) of at least P, 3=0.2,4=0.1"),
    ])  # fmt: skip


def station_files(path: str) -> list[Path]:
    """Return the files of a folder, or the file itself.

    Raises:
        FileNotFoundError: The folder holds none.
        ValueError: Two of them have the name of one station.
    """
    from policygrad_metrics.data.table import table_name

    folder = Path(path)
    if not folder.is_dir():
        return [folder]
    found = sorted(p for p in folder.iterdir() if p.name.lower().endswith((".csv", ".csv.gz")))
    if not found:
        raise FileNotFoundError(f"path={path!r} holds no .csv or .csv.gz file.")
    for one, other in itertools.pairwise(sorted(found, key=table_name)):
        if table_name(one) == table_name(other):
            raise ValueError(
                f"path={path!r} holds {one.name} and {other.name}, which are one station by their "
                "names: rename one, or take it away."
            )
    return found


def save(options: argparse.Namespace) -> int:
    """Train and save the forecasters that the options of `policygrad aqi` ask for."""
    from policygrad_metrics.air.settings import StationFile, forecast_settings
    from policygrad_metrics.data.reading import Reading
    from policygrad_metrics.data.table import table_name
    from policygrad_metrics.study.settings import StudySettings

    horizons = options.horizon
    options.horizon = None
    with bad_input():
        paths = station_files(options.path)
        reading = Reading(**given(options, Reading))
        study = {"epochs": QUICK["epochs"]} if options.quick else {}
        study |= given(options, StudySettings)
        files = {
            table_name(path): StationFile(
                **{**given(options, StationFile), "path": str(path)}, reading=reading
            )
            for path in paths
        }
        if options.stations is not None:
            files = _by_station(files, options.stations)
        several = Path(options.path).is_dir() or options.stations is not None
        if len(study.get("methods", ())) > 1:
            raise ValueError("--save keeps one method: name one, --methods NAME.")
    notes = starting()
    from policygrad_metrics.air.trained import METHOD, check_station, train_forecaster
    from policygrad_metrics.study.trained.table import check_folder

    if horizons is None:
        horizons = next(iter(files.values())).horizon
    asked: Any = horizons if isinstance(horizons, tuple) else (horizons,)
    with bad_input():
        folders = {
            name: Path(options.save, name) if several else Path(options.save) for name in files
        }
        for name, file in files.items():  # all must be usable before any is trained
            check_folder(folders[name], "station")
            try:
                if several:
                    check_station(file, asked)
            except ValueError as error:
                raise ValueError(f"{file.path}: {error}") from error
        for name, file in files.items():
            settings = forecast_settings(file, **{"methods": (METHOD,), "seeds": 1, **study})
            with showing(notes) as progress:
                made = train_forecaster(file, settings, asked, progress)
            made.save(folders[name])
            print_grid(made.card.tables[0])
            say(notes, f"{folders[name] / 'model_card.html'}")
    return 0


def _by_station(files: dict[str, Any], column: str) -> dict[str, Any]:
    """Return a file for each station that a column names, by names for folders."""
    from policygrad_metrics.data.reading import read_cells

    found: dict[str, Any] = {}
    for file in files.values():
        columns, _ = read_cells(file.path, file.reading)
        cells = columns[choose("stations (--stations)", column, columns)]
        for station in sorted({*cells} - {""}):
            name = re.sub(r"[^\w.-]+|^\.", "_", station)
            if name in found:
                raise ValueError(
                    f"stations={column!r} (--stations): {station!r} in {file.path} and "
                    f"{found[name].where[-1]!r} in {found[name].path} would both be kept in the "
                    f"folder {name!r}. Give files that hold each station once, by names that "
                    "differ."
                )
            where = (*file.where, f"{column}={station}")
            found[name] = dataclasses.replace(file, where=where)
    return found


def _forecast(options: argparse.Namespace) -> int:
    with bad_input():
        paths = station_files(options.path)
        alerts = {"cost": _costs(options.cost), "floor": _floor(options.floor)}
        out = Path(options.out or "outlook")
        refuse_unwritable(out)
    starting()
    from policygrad_metrics.air.outlook import look_ahead
    from policygrad_metrics.air.trained import Forecaster
    from policygrad_metrics.data.table import table_name

    found, faults = [], []
    with bad_input():
        asked = [
            (path, folder, Forecaster.load(folder))
            for path in paths
            for folder in _models(Path(options.model), table_name(path))
        ]
        for path, folder, forecaster in asked:
            own = folder.name if folder.parent == Path(options.model) else None
            if own not in (None, table_name(path)) and not forecaster.file.where:
                raise ValueError(
                    f"model={options.model!r} holds no model of {table_name(path)!r}: train one "
                    f"(policygrad aqi {path} --save), or name another station's, such as {folder}."
                )
            try:
                one = look_ahead(forecaster, path, **alerts)
            except ValueError as error:  # the other stations are told all the same
                faults.append(f"{path}: {error}" if len(asked) > 1 else str(error))
                continue
            if own is not None:
                station = dataclasses.replace(one.station, name=own)
                one = dataclasses.replace(one, station=station)
            found.append(one)
        names = [one.station.name for one in found]
        if len(found) > 1 and _COMMON in names:
            raise ValueError(
                f"path={options.path!r} holds a station {_COMMON!r}, and {_COMMON}.csv is the "
                "table of all of them: give that station another name."
            )
        out.mkdir(parents=True, exist_ok=True)
        for one in found:
            _write(one, out)
        if len(found) > 1:
            _write_common(found, out)
        if faults:
            raise ValueError("\n".join(faults))
    return 0


def _models(folder: Path, name: str) -> list[Path]:
    """Return the model of a station, else the only one of the folder, else those of all stations.

    A file of several stations has a model for each of them, which reads its own rows.
    """
    from policygrad_metrics.study.trained.table import PREPARATION

    for one in (folder / name, folder):
        if (one / PREPARATION).exists():
            return [one]
    return sorted(path.parent for path in folder.glob(f"*/{PREPARATION}")) or [folder]


def _write(found: Any, out: Path) -> None:
    """Print a station's outlook; write it as CSV, as a picture and as a report."""
    from policygrad_metrics.air.outlook_plot import draw_outlook
    from policygrad_metrics.study.report import templates

    warned = _warned(found)
    days = [day.words(found.names, warned) for day in found.days()]
    print_grid(found.grid())
    print("\n".join(days))
    name = found.station.name
    report = templates().from_string(
        '{% autoescape false %}{% from "grids.md.jinja" import grid %}{{ grid(table, "#") }}\n'
        "{% for day in days %}- {{ day|md }}\n{% endfor %}\n"
        "![what comes]({{ name|urlencode }}.png)\n"
        "{% endautoescape %}"
    )
    text = report.render(table=found.grid(), days=days, name=name)
    for suffix, content in (
        ("csv", found.text().encode()), ("png", draw_outlook(found)), ("md", text.encode())
    ):  # fmt: skip
        write_atomically(out / f"{name}.{suffix}", content)
        print(out / f"{name}.{suffix}")


def _write_common(found: Sequence[Any], out: Path) -> None:
    from policygrad_metrics.air.clock import show
    from policygrad_metrics.data.text_file import csv_text
    from policygrad_metrics.study.grid import Grid, Text

    header = ("station", "highest level", "at", "alert", "today", "tomorrow", "after")
    rows = []
    for one in found:
        place = int(one.levels.argmax())
        days = [day.level for day in one.days()] or [None, None]
        rows.append([
            one.station.name, one.levels[place], show(one.hours[place]),
            "" if one.alerts is None else one.alerts.max(),
            *("" if level is None else level for level in days), show(one.station.hours[-1]),
        ])  # fmt: skip
    write_atomically(out / f"{_COMMON}.csv", csv_text([header, *rows]).encode())
    cells = tuple(tuple(Text(str(cell)) for cell in row) for row in rows)
    print_grid(Grid("All stations", header, cells))
    print(out / f"{_COMMON}.csv")


def _warned(found: Any) -> int:
    """The level whose probability is told of a day: the highest that is likelier than not, or 1."""
    likely = (found.at_least.max(axis=0) >= 0.5).nonzero()[0]
    return max(int(likely.max()), 1)


def _costs(path: str | None) -> list[list[float]] | None:
    if path is None:
        return None
    from policygrad_metrics.data.text_file import read_text

    rows = [row for row in csv.reader(io.StringIO(read_text(Path(path)))) if any(row)]
    try:
        return [[float(cell) for cell in row] for row in rows]
    except ValueError as error:
        raise ValueError(
            f"cost={path!r} (--cost) must hold numbers alone, separated by commas: {error}."
        ) from error


def _floor(words: Sequence[str] | None) -> dict[int, float] | None:
    if words is None:
        return None
    try:
        pairs = [word.split("=") for word in words]
        return {int(level): float(chance) for level, chance in pairs}
    except ValueError as error:
        raise ValueError(
            f"floor (--floor) must be levels with probabilities, 3=0.2,4=0.1, got {words}."
        ) from error
