"""`policygrad aqi`: forecasts of air-quality levels from a station's file.

Nothing heavy is imported before the file is read.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from policygrad_metrics.cli.options import (
    add_output_options,
    add_study_options,
    given,
    read_study,
)

if TYPE_CHECKING:
    from policygrad_metrics.study.settings import StudySettings

EPILOG = """examples:
  policygrad aqi beijing.csv.gz --scale us_epa_2024 --horizon 24 --reward exact_bin
  policygrad aqi station.csv --time datetime --pollutant-column "PM2.5 (ug/m3)" --horizon 1
"""
#: Options that are settings of the same name.
_STATION = (
    "scale",
    "horizon",
    "pollutant",
    "unit",
    "pollutant_column",
    "time",
    "valid_from",
    "test_from",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a forecast to a parser."""
    station = parser.add_argument_group("station")
    station.add_argument("file", metavar="FILE", help="hourly series, .csv or .csv.gz")
    station.add_argument("--scale", metavar="NAME", help="air-quality scale (default: us_epa_2024)")
    station.add_argument(
        "--horizon",
        type=int,
        metavar="HOURS",
        help="hours ahead (default: 24); 0 tells the level from the weather alone",
    )
    station.add_argument(
        "--pollutant", metavar="NAME", help="pm25 (default), pm10, o3, no2, so2 or co"
    )
    station.add_argument(
        "--pollutant-column",
        metavar="COLUMN",
        help="its column (default: the one that is named after it)",
    )
    station.add_argument("--unit", help="of that column: ug/m3 (default), mg/m3, ppb or ppm")
    station.add_argument(
        "--time",
        metavar="COLUMN",
        help="column of dates and hours, 2014-12-31 23:00 (default: year, month, day, hour)",
    )
    station.add_argument("--drop", metavar="COLUMNS", help="columns to leave out, a,b")
    station.add_argument(
        "--valid-from", metavar="DATE", help="start of the validation part (default: a fifth)"
    )
    station.add_argument(
        "--test-from", metavar="DATE", help="start of the test part (default: the last fifth)"
    )
    add_study_options(
        parser.add_argument_group("training"),
        methods="a,b, or principal (default), or all; persistence, and those of policygrad methods",
        reward="what to maximise (default: exact_bin), see policygrad rewards",
        dropout=0.3,
    )
    add_output_options(parser.add_argument_group("output"))


def read_settings(options: argparse.Namespace) -> StudySettings:
    """Return the settings that the options ask for.

    Raises:
        ValueError: An option is out of range.
    """
    from policygrad_metrics.air.settings import StationFile, forecast_settings
    from policygrad_metrics.study.settings import split_names

    drop = () if options.drop is None else split_names(options.drop)
    station = StationFile(options.file, drop=drop, **given(options, _STATION))
    return forecast_settings(station, **read_study(options))
