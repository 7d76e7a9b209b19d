"""`policygrad aqi`: forecasts of air-quality levels from a station's file.

Nothing heavy is imported before the file is read.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from policygrad_metrics.cli.options import (
    Row,
    add_output_options,
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
"""
_ROWS: tuple[Row, ...] = (
    ("--scale", str, "NAME", "air-quality scale (default: us_epa_2024)"),
    ("--horizon", int, "HOURS", "hours ahead (default: 24); 0 tells the level from the weather "
     "alone"),
    ("--pollutant", str, "NAME", "pm25 (default), pm10, o3, no2, so2 or co"),
    ("--pollutant-column", str, "COLUMN", "its column (default: the one that is named after it)"),
    ("--unit", str, "UNIT", "of that column: ug/m3 (default), mg/m3, ppb or ppm"),
    ("--time", str, "COLUMN", "column of dates and hours, 2014-12-31 23:00 (default: year, month, "
     "day, hour)"),
    ("--drop", split_names, "COLUMNS", "columns to leave out, a,b"),
    ("--valid-from", str, "DATE", "start of the validation part (default: a fifth)"),
    ("--test-from", str, "DATE", "start of the test part (default: the last fifth)"),
)  # fmt: skip
_TRAINING: tuple[Row, ...] = (
    ("--reward", str, "NAME", "what to maximise (default: exact_bin), see policygrad rewards"),
    ("--methods", some_names, "NAMES", "a,b, or principal (default), or all; persistence, and "
     "those of policygrad methods"),
)  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a forecast to a parser."""
    station = parser.add_argument_group("station")
    station.add_argument("path", metavar="FILE", help="hourly series, .csv or .csv.gz")
    add_rows(station, _ROWS)
    training = parser.add_argument_group("training")
    add_rows(training, _TRAINING)
    add_training_options(training, dropout="0.3")
    add_output_options(parser.add_argument_group("output"))


def read_settings(options: argparse.Namespace) -> tuple[StudySettings, StationFile]:
    """Return the settings that the options ask for, and the file.

    Raises:
        ValueError: An option is out of range.
    """
    from policygrad_metrics.air.settings import StationFile, forecast_settings
    from policygrad_metrics.study.settings import StudySettings

    station = StationFile(**given(options, StationFile))
    return forecast_settings(station, **given(options, StudySettings)), station
