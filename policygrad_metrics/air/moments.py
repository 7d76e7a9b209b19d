"""The moments that the rows of a station file belong to, as its clock shows them."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from policygrad_metrics.air.layout import HOUR, StationLayout
from policygrad_metrics.core.checks import choose
from policygrad_metrics.data.cells import to_numbers

#: The columns that tell the time in the UCI files of Beijing's stations, in any capitals.
UCI_TIME = ("year", "month", "day", "hour")
_TIME = r"(\d{1,2})(?:[:.]?(\d\d)(?:[:.]?(\d\d)(?:\.\d+)?)?)?\s*([ap]\.?m\.?)?"
_ZONE = r"\s*(z|utc|gmt|[+-]\d\d:?\d\d|[+-]\d\d)?"
_YEAR_FIRST = (
    re.compile(rf"(\d{{4}})[-/. ](\d\d?)[-/. ](\d\d?)(?:[t\s]+{_TIME}{_ZONE})?", re.IGNORECASE),
    re.compile(rf"((?:19|20)\d\d)(\d\d)(\d\d)(?:[t\s]*{_TIME}{_ZONE})?", re.IGNORECASE),
)
_DAY_OR_MONTH_FIRST = re.compile(r"(\d\d?)[-/.](\d\d?)[-/.](\d{4})(.*)")
#: The least epoch in seconds that is read as one, 1973; and the least in milliseconds.
_SECONDS, _MILLISECONDS = 1e8, 1e11

#: A time on the clock of its row, and how many minutes that is ahead of UTC, if it says so.
_Moment = tuple[datetime.datetime, int | None]


class Moments(NamedTuple):
    """When the rows are: datetime64[s] `[N]`, their zone ("" if not told), columns, and notes."""

    times: np.ndarray
    zone: str
    used: tuple[str, ...]
    notes: list[str]


def read_moments(
    columns: Mapping[str, Sequence[str]], layout: StationLayout, *, unfolded: bool = False
) -> Moments:
    """Return when each row is.

    Times with an offset from UTC are put on one clock: that of the file's smallest offset, which
    is its standard time.

    Args:
        columns: Name -> cells.
        layout: Which columns tell the time, and how.
        unfolded: Whether hours that had columns of their own are in the column `HOUR`.

    Raises:
        ValueError: There is no such column, or a row has no time.

    >>> columns = {"at": ["2014-01-01 00:00+05:30", "2014-01-01T01:00+05:30"]}
    >>> found = read_moments(columns, StationLayout(time="at"))
    >>> found.times.astype(str).tolist(), found.zone
    (['2014-01-01T00:00:00', '2014-01-01T01:00:00'], 'UTC+05:30')
    """
    names = _time_columns(columns, layout)
    if names is None:
        times, used = _from_numbers(columns, layout.step)
        return Moments(times, "", used, [])
    rows = zip(*(columns[name] for name in names), strict=True)
    cells = [" ".join(part.strip("'\" ") for part in parts).strip() for parts in rows]
    title = f"time={','.join(names)!r}"
    if layout.time_format is None and _are_epochs(cells):
        numbers = np.array(cells, np.float64)
        unit = "ms" if numbers.min() >= _MILLISECONDS else "s"
        times = np.rint(numbers).astype(np.int64).astype(f"datetime64[{unit}]")
        seconds = "milliseconds" if unit == "ms" else "seconds"
        return Moments(
            times.astype("datetime64[s]"),
            "UTC",
            names,
            [f"{title}: {seconds} since 1970 were read as times in UTC."],
        )
    found = _on_one_clock(title, _parsed(title, cells, layout.time_format), names)
    if not unfolded:
        return found
    hours = np.array(columns[HOUR], int).astype("timedelta64[h]")
    return found._replace(times=found.times + hours, used=(*names, HOUR))


def _time_columns(
    columns: Mapping[str, Sequence[str]], layout: StationLayout
) -> tuple[str, ...] | None:
    if layout.time is None:
        return None
    asked = (layout.time,) if isinstance(layout.time, str) else tuple(layout.time)
    if len(asked) == 1 and asked[0] not in columns:
        asked = tuple(name.strip() for name in asked[0].split(","))
    return tuple(choose("time", name, columns) for name in asked)


def _are_epochs(cells: Sequence[str]) -> bool:
    numbers = to_numbers(cells)
    if numbers is None or not np.isfinite(numbers).all() or numbers.min() < _SECONDS:
        return False
    return not all(_YEAR_FIRST[1].fullmatch(cell) for cell in cells[:100])


def _parsed(title: str, cells: Sequence[str], time_format: str | None) -> list[_Moment]:
    moments, wrong = [], []
    for row, cell in enumerate(cells, start=1):
        try:
            moments.append(_by_format(cell, time_format) if time_format else _year_first(cell))
        except ValueError:
            wrong.append((row, cell))
    if not wrong:
        return moments
    row, cell = wrong[0]
    if time_format:
        raise ValueError(
            f"{title}: {len(wrong)} cells are not written as time_format={time_format!r} "
            f"(--time-format) says, the first {cell!r} in row {row} below the header."
        )
    raise ValueError(
        f"{title} must hold dates and hours in ISO 8601 in every row, such as 2014-12-31 23:00; "
        f"{len(wrong)} of {len(cells)} do not, the first {cell!r} in row {row} below the header. "
        f"Say how they are written with time_format= (--time-format), {_formats(cells, cell)}."
    )


def _formats(cells: Sequence[str], first: str) -> str:
    """The formats that cells which begin with day or month may have."""
    found = _DAY_OR_MONTH_FIRST.fullmatch(first)
    if not found:
        return "in the letters of Python's strptime, such as '%d.%m.%Y %H:%M'"
    parts = [match for match in map(_DAY_OR_MONTH_FIRST.fullmatch, cells) if match]
    mark = re.sub(r"\d", "", first)[0]
    rest = re.sub(r"(?i)[ap]m", "%p", found[4])
    for letter in "HMS":
        rest = re.sub(r"(?<![%\w])\d\d?", f"%{letter}", rest, count=1)
    rest = rest.replace("%H", "%I") if "%p" in rest else rest
    day, month = (f"'{a}{mark}{b}{mark}%Y{rest}'" for a, b in (("%d", "%m"), ("%m", "%d")))
    if any(int(match[1]) > 12 for match in parts):
        return day
    if any(int(match[2]) > 12 for match in parts):
        return month
    return f"{day} if the day stands first, {month} if the month does"


def _by_format(cell: str, time_format: str) -> _Moment:
    at_24 = re.search(r"\b24(?=[:.]00)", cell)
    if at_24:
        cell = f"{cell[: at_24.start()]}00{cell[at_24.end() :]}"
    moment = datetime.datetime.strptime(cell, time_format)
    offset = moment.utcoffset()
    naive = moment.replace(tzinfo=None) + datetime.timedelta(days=bool(at_24))
    return naive, None if offset is None else int(offset.total_seconds() // 60)


def _year_first(cell: str) -> _Moment:
    found = _YEAR_FIRST[0].fullmatch(cell) or _YEAR_FIRST[1].fullmatch(cell)
    if not found:
        raise ValueError(cell)
    year, month, day, hour, minute, second, half, zone = found.groups()
    clock = int(hour or 0)
    if half:
        if not 1 <= clock <= 12:
            raise ValueError(cell)
        clock = clock % 12 + 12 * (half[0] in "pP")
    rest = int(minute or 0), int(second or 0)
    late = clock == 24 and not any(rest)
    moment = datetime.datetime(int(year), int(month), int(day), 0 if late else clock, *rest)
    return moment + datetime.timedelta(days=late), _offset(zone)


def _offset(zone: str | None) -> int | None:
    """Minutes ahead of UTC.

    >>> _offset("+05:30"), _offset("-0800"), _offset("Z"), _offset(None)
    (330, -480, 0, None)
    """
    if not zone:
        return None
    if zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "")
    minutes = 60 * int(digits[:2]) + int(digits[2:] or 0)
    return -minutes if zone[0] == "-" else minutes


def _on_one_clock(title: str, moments: Sequence[_Moment], used: tuple[str, ...]) -> Moments:
    times = np.array([moment for moment, _ in moments], "datetime64[s]")
    offsets = {offset for _, offset in moments}
    if offsets == {None}:
        return Moments(times, "", used, [])
    if None in offsets:
        raise ValueError(f"{title}: some rows have a time zone and some have not.")
    known = np.array([offset or 0 for _, offset in moments])
    standard = int(known.min())
    several = ", also of rows with another offset" if len(offsets) > 1 else ""
    notes = [f"{title}: hours are those of the clock of {zone_name(standard)}{several}."]
    shifted = times - (60 * (known - standard)).astype("timedelta64[s]")
    return Moments(shifted, zone_name(standard), used, notes)


def zone_name(minutes: int) -> str:
    """Return the name of the zone that many minutes ahead of UTC.

    >>> zone_name(345), zone_name(-480), zone_name(0)
    ('UTC+05:45', 'UTC-08:00', 'UTC')
    """
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}" if minutes else "UTC"


def _from_numbers(
    columns: Mapping[str, Sequence[str]], step: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    by_name = {name.lower(): name for name in columns}
    wanted = UCI_TIME if step == "hour" or "hour" in by_name else UCI_TIME[:3]
    lost = [name for name in wanted if name not in by_name]
    if lost:
        raise ValueError(
            f"the file has no column {', '.join(map(repr, lost))}: name the column that holds date "
            f"and hour with time= (--time; two columns: --time Date,Time; days alone: --step "
            f"day). Its columns: {', '.join(map(repr, columns))}."
        )
    used, fields = tuple(by_name[name] for name in wanted), []
    for name in used:
        numbers = to_numbers(columns[name])
        if numbers is None or not (np.isfinite(numbers) & (numbers == np.rint(numbers))).all():
            raise ValueError(f"column {name!r} must hold a whole number in every row.")
        fields.append(numbers.astype(int).tolist())
    times, wrong = [], []
    for year, month, day, *hour in zip(*fields, strict=True):
        try:
            midnight = datetime.datetime(year, month, day)
            if not 0 <= sum(hour) <= 24:
                raise ValueError
            times.append(midnight + datetime.timedelta(hours=sum(hour)))
        except ValueError:
            wrong.append((year, month, day, *hour))
    if wrong:
        year, month, day, *hour = wrong[0]
        raise ValueError(
            f"{', '.join(used)} are no hour of any day in {len(wrong)} rows, the first "
            f"{year}-{month}-{day} {sum(hour)} h; hours go from 0 to 23, or from 1 to 24."
        )
    return np.array(times, "datetime64[s]"), used
