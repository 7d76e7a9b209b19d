"""`policygrad aqi`: forecasts of air-quality levels from a station's file.

Nothing heavy is imported before the file is read.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from policygrad_metrics.cli.options import (
    Row,
    add_output_options,
    add_reading_options,
    add_rows,
    add_training_options,
    given,
    some_names,
    split_names,
)

if TYPE_CHECKING:
    from policygrad_metrics.air.settings import StationFile
    from policygrad_metrics.study.settings import StudySettings

EPILOG = """examples:
  policygrad aqi beijing.csv.gz --scale us_epa_2024 --horizon 24 --reward exact_bin
  policygrad aqi station.csv --time datetime --pollutant-column "PM2.5 (ug/m3)" --horizon 1
  policygrad aqi station.csv --time Date,Time --pollutant overall --average scale --quick
"""
#: What `--quick` changes, unless the option is given as well.
QUICK: dict[str, Any] = {
    "seeds": 2,
    "epochs": 10,
    "methods": ("persistence", "majority", "logistic_regression", "cross_entropy",
                "policy_gradient", "concentration_policy_gradient_likelihood"),
}  # fmt: skip


def _horizons(text: str) -> int | tuple[int, ...]:
    first, dots, last = text.partition("..")
    try:
        if dots:
            found = tuple(range(int(first), int(last) + 1))
        else:
            found = tuple(map(int, text.split(",")))
        if not found:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be a number of hours, or several, 1..24 or 1,6,24, got {text!r}."
        ) from None
    return found[0] if len(found) == 1 else found


_STATION: tuple[Row, ...] = (
    ("--scale", str, "NAME", "air-quality scale, us_epa_2024 (default), eaqi_2024, "
     "china_hj633_2026, taiwan_2025, india, korea, uk_daqi, who_2021, or older ones"),
    ("--horizon", _horizons, "N", "hours ahead (default: 24), with --step day days (default: 1); 0 "
     "tells the level from the weather alone; several with --save, 1..24 or 1,6,24"),
    ("--pollutant", str, "NAME", "pm25 (default), pm10, o3, no2, so2, co, or overall: the index "
     "over all of them"),
    ("--average", str, "KIND", "levels of nowcast values, of running means of 24 or 8 hours, or of "
     "the averaging time of the scale (default: of the hours themselves)"),
    ("--step", str, "STEP", "hour (default), or day: a file of days, or those of a file of hours"),
    ("--daily", str, "KIND", "what counts of a day's hours: max (default) or mean"),
    ("--valid-from", str, "DATE", "start of the validation part (default: a fifth)"),
    ("--test-from", str, "DATE", "start of the test part (default: the last fifth)"),
)  # fmt: skip
_FILE: tuple[Row, ...] = (
    ("--pollutant-column", str, "COLUMN", "its column (default: the one that is named after it)"),
    ("--unit", str, "UNIT", "of that column: ug/m3, mg/m3, ppb or ppm (default: the one in "
     "brackets behind its name, or ug/m3); of several: ug/m3,co=mg/m3"),
    ("--temperature", float, "CELSIUS", "of the air that ug/m3 are stated for, where the scale "
     "wants ppb: 25, or 20 in the European Union"),
    ("--time", split_names, "COLUMN", "column of dates and hours, 2014-12-31 23:00, or Date,Time "
     "(default: year, month, day, hour)"),
    ("--time-format", str, "FORMAT", "how they are written if the year is not first, "
     "'%%d/%%m/%%Y %%H:%%M'"),
    ("--where", split_names, "COLUMN=VALUE", "the rows that count, parameter=pm25"),
    ("--station", str, "NAME", "the station whose rows count"),
    ("--duplicates", str, "KIND", "first or mean of the rows of one hour (default: refused)"),
    ("--negative", str, "KIND", "small negative values are zero or missing (default: refused)"),
    ("--weather", split_names, "COLUMNS", "columns that are weather although their names tell a "
     "concentration"),
    ("--drop", split_names, "COLUMNS", "columns to leave out, a,b"),
)  # fmt: skip
_TRAINING: tuple[Row, ...] = (
    ("--reward", str, "NAME", "what to maximise (default: exact_bin), see policygrad rewards"),
    ("--methods", some_names, "NAMES", "a,b, or principal (default), or all; persistence, and "
     "those of policygrad methods"),
)  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a forecast to a parser."""
    station = parser.add_argument_group("what to forecast")
    station.add_argument("path", metavar="FILE", help="hourly series, .csv or .csv.gz")
    add_rows(station, _STATION)
    add_rows(parser.add_argument_group("the file"), _FILE)
    add_reading_options(parser)
    training = parser.add_argument_group("training")
    add_rows(training, _TRAINING)
    add_training_options(training, dropout="0.3")
    training.add_argument(
        "--quick", action="store_true", help="a first look: fewer seeds, methods and epochs"
    )
    output = parser.add_argument_group("output")
    add_output_options(output)
    output.add_argument(
        "--save",
        metavar="DIR",
        help="instead of a comparison: train one method (--methods, default "
        "concentration_policy_gradient_likelihood) for each horizon and save it for policygrad "
        "forecast; FILE may be a folder of files, a model each",
    )
    add_rows(output, [
        ("--stations", str, "COLUMN", "with --save: a model for each station that this column "
         "names"),
    ])  # fmt: skip


def read_settings(options: argparse.Namespace) -> tuple[StudySettings, StationFile]:
    """Return the settings that the options ask for, and the file.

    Raises:
        ValueError: An option is out of range.
    """
    from policygrad_metrics.air.settings import StationFile, forecast_settings
    from policygrad_metrics.data.reading import Reading
    from policygrad_metrics.study.settings import StudySettings

    if isinstance(options.horizon, tuple):
        raise ValueError("several horizons (--horizon 1..24) go with --save DIR, which keeps them.")
    reading = Reading(**given(options, Reading))
    station = StationFile(**given(options, StationFile), reading=reading)
    study = (QUICK if options.quick else {}) | given(options, StudySettings)
    return forecast_settings(station, **study), station
