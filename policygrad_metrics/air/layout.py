"""How a station's file is laid out: which rows count, and a row for each hour of wide ones."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from policygrad_metrics.air.names import is_kind
from policygrad_metrics.core.checks import choose

Columns = Mapping[str, Sequence[str]]
#: Words in the name of a column that names stations.
_PLACES = re.compile(r"station|site|location|city|place|monitor|sensor|device")
#: Names of columns of hours: 0 to 23 or 1 to 24, "H01", "hour 1", "01:00".
_HOUR = re.compile(r"(?:h|hr|hour|hora)?[ _]*(\d{1,2})(?:[:h.]00|h)?", re.IGNORECASE)
#: The columns that take the place of a column per hour.
HOUR, VALUE = "hour", "value"
#: A column of more different texts does not tell rows apart that belong together.
_MOST_KINDS = 200


@dataclasses.dataclass(frozen=True, kw_only=True)
class StationLayout:
    """How a station's file is laid out.

    Args:
        time: The column of dates and times, or several that make up one; None for year, month,
            day, hour.
        time_format: How they are written, as for `datetime.strptime`; None for year first.
        where: "COLUMN=VALUE": the rows that count, of files with several pollutants.
        station: The station that counts, of files with several.
        step: "hour" or "day".
        duplicates: What to do with rows of one hour: "first" or "mean"; None refuses them.
        negative: What small negative concentrations mean: "zero" or "missing"; None refuses them.
        weather: Columns that are weather although their names tell a concentration.
        temperature: Of the air, in degrees Celsius, to turn masses into shares of the air.
        constant: Whether columns of one value are kept, as a few new hours may have some, and
            only the hours behind the last long gap must have rows: for a forecast.

    Raises:
        ValueError: A choice is not known.
    """

    time: str | tuple[str, ...] | None = None
    time_format: str | None = None
    where: tuple[str, ...] = ()
    station: str | None = None
    step: str = "hour"
    duplicates: str | None = None
    negative: str | None = None
    weather: tuple[str, ...] = ()
    temperature: float | None = None
    constant: bool = False

    def __post_init__(self) -> None:
        choose("step", self.step, ("hour", "day"))
        if self.duplicates is not None:
            choose("duplicates", self.duplicates, ("first", "mean"))
        if self.negative is not None:
            choose("negative", self.negative, ("zero", "missing"))
        if self.temperature is not None and not -90 < self.temperature < 60:
            raise ValueError(
                f"temperature={self.temperature!r} (--temperature) must be degrees Celsius from "
                "-90 to 60, such as 25."
            )


def select_rows(columns: Columns, layout: StationLayout) -> tuple[Columns, list[str]]:
    """Return the rows of one station and one pollutant, and notes.

    Raises:
        ValueError: A column or a value is not there; the message lists those that are.

    >>> columns = {"parameter": ["pm25", "o3"], "value": ["3", "4"]}
    >>> select_rows(columns, StationLayout(where=("parameter=o3",)))[0]
    {'parameter': ['o3'], 'value': ['4']}
    """
    notes = []
    for text in layout.where:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"where={text!r} (--where) must be COLUMN=VALUE, parameter=pm25.")
        columns, note = _rows_of(columns, choose("where", name, columns), value)
        notes.append(note)
    if layout.station is not None:
        holding = [name for name, cells in columns.items() if layout.station in set(cells)]
        named = [name for name in holding if _PLACES.search(name.lower())]
        if not holding:
            places = {
                name: cells for name, cells in columns.items() if _PLACES.search(name.lower())
            }
            known = "; ".join(f"{name}: {_kinds(cells)}" for name, cells in places.items())
            raise ValueError(
                f"station={layout.station!r} (--station) is in no column of the file. "
                f"{known or 'No column is named after stations'}."
            )
        columns, note = _rows_of(columns, (named or holding)[0], layout.station)
        notes.append(note)
    return columns, notes


def _rows_of(columns: Columns, name: str, value: str) -> tuple[Columns, str]:
    rows = [row for row, cell in enumerate(columns[name]) if cell == value]
    if not rows:
        raise ValueError(
            f"no row has {value!r} in column {name!r}; it holds {_kinds(columns[name])}."
        )
    kept = {other: [cells[row] for row in rows] for other, cells in columns.items()}
    return kept, f"{len(rows)} of {len(columns[name])} rows count: {name}={value}."


def _kinds(cells: Sequence[str]) -> str:
    kinds = sorted(set(cells) - {""})
    more = f", ... ({len(kinds)} in all)" if len(kinds) > 8 else ""
    return ", ".join(map(repr, kinds[:8])) + more


def unfold_hours(columns: Columns) -> tuple[Columns, bool]:
    """Return a row for each hour of a file that has a column for each, and whether it was one.

    >>> wide = {"date": ["2014-01-01"], **{f"H{hour:02}": [str(hour)] for hour in range(1, 25)}}
    >>> long, unfolded = unfold_hours(wide)
    >>> len(long["date"]), long["hour"][:2], long["value"][:2]
    (24, ['1', '2'], ['1', '2'])
    """
    found = {name: _HOUR.fullmatch(name) for name in columns}
    hours = {name: int(match[1]) for name, match in found.items() if match}
    if sorted(hours.values()) not in ([*range(24)], [*range(1, 25)]):
        return columns, False
    rows = len(next(iter(columns.values())))
    # Such files have a mark of validity beside each hour, V01 and so on.
    marks = re.compile(r"[a-z][ _]*\d{1,2}", re.IGNORECASE)
    long = {
        name: [cell for cell in cells for _ in hours]
        for name, cells in columns.items()
        if name not in hours and not marks.fullmatch(name)
    }
    long[HOUR] = [str(hour) for _ in range(rows) for hour in hours.values()]
    long[VALUE] = [columns[name][row] for row in range(rows) for name in hours]
    return long, True


def kinds_of_rows(columns: Columns, used: Sequence[str]) -> str:
    """Return which options would tell apart rows of one hour; "" if no column does.

    Args:
        columns: Name -> cells.
        used: Columns that tell the time.

    >>> kinds_of_rows({"at": ["1", "1"], "parameter": ["pm25", "o3"]}, ["at"])
    "--where parameter=VALUE ('o3', 'pm25')"
    """
    options = []
    for name, cells in columns.items():
        kinds = set(cells) - {""}
        if name in used or not 1 < len(kinds) <= _MOST_KINDS:
            continue
        if _PLACES.search(name.lower()):
            options.append(f"--station NAME ({name}: {_kinds(cells)})")
        elif is_kind(name):
            options.append(f"--where {name}=VALUE ({_kinds(cells)})")
    return " or ".join(options)
