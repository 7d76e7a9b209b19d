"""`policygrad aqi`: forecasts of air-quality levels from a station's file.

Nothing heavy is imported before the file is read.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from policygrad_metrics.cli.options import add_output_options, read_names, read_widths

if TYPE_CHECKING:
    from policygrad_metrics.air.settings import AirSettings

EPILOG = """examples:
  policygrad aqi beijing.csv.gz --scale us_epa_2024 --horizon 24 --reward exact_bin
  policygrad aqi station.csv --time datetime --pollutant-column "PM2.5 (ug/m3)" --horizon 1
"""
#: Options that are settings of the same name, of the forecast and of the study.
_FORECAST = (
    "scale",
    "horizon",
    "pollutant",
    "unit",
    "pollutant_column",
    "time",
    "valid_from",
    "test_from",
    "dropout",
    "refit",
)
_STUDY = ("reward", "seeds", "seed", "epochs", "batch_size", "learning_rate")


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
    _add_training_options(parser.add_argument_group("training"))
    add_output_options(parser.add_argument_group("output"))


def _add_training_options(group: Any) -> None:
    group.add_argument(
        "--reward", metavar="NAME", help="what to maximise (default: exact_bin), see policygrad "
        "rewards"
    )  # fmt: skip
    group.add_argument(
        "--methods", metavar="NAMES", help="a,b, or principal (default), or all; persistence, and "
        "those of policygrad methods"
    )  # fmt: skip
    group.add_argument("--seeds", type=int, metavar="N", help="runs of each method (default: 5)")
    group.add_argument("--seed", type=int, metavar="S", help="the first seed (default: 0)")
    group.add_argument(
        "--epochs", type=int, metavar="N", help="epochs of every network (default: 40 or more)"
    )
    group.add_argument("--batch-size", type=int, metavar="B", help="hours per step (default: 256)")
    group.add_argument("--hidden", metavar="WIDTHS", help="hidden layers, 64,64 (default), or none")
    group.add_argument(
        "--dropout",
        type=float,
        metavar="SHARE",
        help="of the hidden units, while training (default: 0.3)",
    )
    group.add_argument(
        "--refit",
        action=argparse.BooleanOptionalAction,
        help="train every method anew on training and validation part together, for the number "
        "of epochs that validation chose (default: no)",
    )
    group.add_argument(
        "--learning-rate", type=float, metavar="RATE", help="of Adam (default: 0.001)"
    )


def read_settings(options: argparse.Namespace) -> AirSettings:
    """Return the settings that the options ask for.

    Raises:
        ValueError: An option is out of range.
    """
    from policygrad_metrics.air.settings import AirSettings
    from policygrad_metrics.study.settings import split_names

    chosen: dict[str, Any] = {
        name: getattr(options, name) for name in _FORECAST if getattr(options, name) is not None
    }
    if options.drop is not None:
        chosen["drop"] = split_names(options.drop)
    study: dict[str, Any] = {
        name: getattr(options, name) for name in _STUDY if getattr(options, name) is not None
    }
    if options.methods is not None:
        study["methods"] = read_names("--methods", options.methods)
    if options.hidden is not None:
        study["hidden"] = read_widths(options.hidden)
    return AirSettings.of(options.file, study, **chosen)
