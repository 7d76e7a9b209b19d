"""What the name of a column tells: a pollutant, a unit, or that it is no weather."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from policygrad_metrics.aqi.tables import OVERALL
from policygrad_metrics.core.checks import choose

#: Pollutants as the scales name them -> how people write them.
TITLES = {"pm25": "PM2.5", "pm10": "PM10", "o3": "O3", "no2": "NO2", "so2": "SO2", "co": "CO"}
#: Other names of pollutants, as `plain` writes them.
_WORDS = {
    "ozone": "o3",
    "nitrogendioxide": "no2",
    "sulfurdioxide": "so2",
    "sulphurdioxide": "so2",
    "carbonmonoxide": "co",
    "ozon": "o3",
    "ozono": "o3",
    "stickstoffdioxid": "no2",
    "schwefeldioxid": "so2",
    "kohlenmonoxid": "co",
}
#: Names of the one column of values in files that name the pollutant elsewhere.
_VALUES = (
    "value",
    "values",
    "concentration",
    "conc",
    "rawconc",
    "measurement",
    "samplemeasurement",
)
#: Names of columns that name the pollutant of each row.
_KINDS = ("parameter", "pollutant", "variable", "component", "species", "type")
#: Single words of names, in small letters, that stand for what is in the air or an index of it.
_SHORT = re.compile(
    r"pm(\d\w*)?|no[2xy]?|o3|so[2x]|co2?|nh3|h2s|ch4|c6h6|nmhc|thc|t?vocs?|bc|hcho|psi"
    r"|(no2|o3|so2|co|nox)\d+h\w*|conc\w*"
)
#: What says so anywhere in a name.
_LONG = re.compile(
    r"oz[oô]n|mon[oó]x[iy]d|di[oó]x[iy]d|nitric|nitrogen|sulph?ur|benzene|toluene|xylene|ammonia"
    r"|methane|parti[ck]|aerosol|dust|smoke|black carbon|pollut|aqh?i\b|nowcast|air ?quality"
    r"|feinstaub|stickst|stickox|schwefel|臭氧|颗粒|顆粒|微粒|二氧化|一氧化|空气质量|空氣品質"
    r"|\b[umµμ]g ?m ?-?[3³]|\bpp[bm]\b"
)
_UNITS = {"ugm3": "ug/m3", "µgm3": "ug/m3", "μgm3": "ug/m3", "mgm3": "mg/m3"} | {
    unit: unit for unit in ("ppb", "ppm")
}


def plain(name: str) -> str:
    """Return a name in small letters without signs, and without a unit in brackets.

    >>> plain("PM2.5 (ug/m3)")
    'pm25'
    """
    return re.sub(r"[^a-z0-9]", "", re.sub(r"[(\[].*", "", name).lower())


def title_of(pollutant: str) -> str:
    """Return how people write a pollutant, or the index over all."""
    return "overall index" if pollutant == OVERALL else TITLES[pollutant]


def pollutant_of(name: str) -> str | None:
    """Return the pollutant that a column is named after.

    >>> pollutant_of("Nitrogen dioxide [ppb]"), pollutant_of("PM_Jingan")
    ('no2', None)
    """
    word = plain(name)
    return word if word in TITLES else _WORDS.get(word)


def unit_in(name: str) -> str | None:
    """Return the unit that a column's name gives.

    >>> unit_in("O3 [ppb]"), unit_in("PM2.5 (µg/m³)"), unit_in("wind (m/s)")
    ('ppb', 'ug/m3', None)
    """
    inside = re.findall(r"[(\[]([^)\]]*)", name)
    words = [re.sub(r"[\s/^.-]|\*\*", "", text.lower()).replace("³", "3") for text in inside]
    return next((_UNITS[unit] for word in words for unit in _UNITS if word.startswith(unit)), None)


def tells_concentration(name: str) -> bool:
    """Return whether a column's name says that it holds a concentration or an index of it.

    Args:
        name: A column; neighbouring stations, other pollutants and indexes count, too.

    >>> [tells_concentration(name) for name in ("PM_Jingan", "NowCast Conc.", "NO", "ozone", "AQI")]
    [True, True, True, True, True]
    >>> [tells_concentration(name) for name in ("TEMP", "wind (m/s)", "No", "pressure", "cbwd")]
    [False, False, False, False, False]
    """
    if name == "No":  # A row number; nitric oxide is NO or no.
        return False
    text = re.sub(r"[\W_]+", " ", name.lower().replace("2.5", "25").replace("/", ""))
    return bool(_LONG.search(text)) or any(_SHORT.fullmatch(word) for word in text.split())


def find_pollutant(columns: Mapping[str, Sequence[str]], pollutant: str, asked: str | None) -> str:
    """Return the column of a pollutant.

    Args:
        columns: Name -> cells.
        pollutant: A key of `TITLES`.
        asked: The column that was named, if one was.

    Raises:
        ValueError: There is no such column, none that is named after it, or several.
    """
    if asked is not None:
        return choose("pollutant_column", asked, columns)
    found = [name for name in columns if pollutant_of(name) == pollutant]
    if not found:
        _check_kind(columns, pollutant)
        found = [name for name in columns if plain(name) in _VALUES]
    if len(found) == 1:
        return found[0]
    several = ", ".join(map(repr, found)) if found else "no column"
    raise ValueError(
        f"the file has {several} named after {TITLES[pollutant]}: name the one to "
        f"predict with pollutant_column= (--pollutant-column). Its columns: "
        f"{', '.join(map(repr, columns))}."
    )


def _check_kind(columns: Mapping[str, Sequence[str]], pollutant: str) -> None:
    """Raise if a column says that the values are of another pollutant."""
    for name, cells in columns.items():
        kinds = set(cells) - {""} if is_kind(name) else set()
        words = [_WORDS.get(plain(kind), plain(kind)) for kind in kinds]
        known = [any(word.startswith(other) for other in TITLES) for word in words]
        if kinds and all(known) and not any(word.startswith(pollutant) for word in words):
            raise ValueError(
                f"the file has no {TITLES[pollutant]}: column {name!r} holds "
                f"{', '.join(map(repr, sorted(kinds)))}. Choose with pollutant= (--pollutant)."
            )


def is_kind(name: str) -> bool:
    """Return whether a column names the pollutant of each row.

    >>> is_kind("Parameter"), is_kind("Site")
    (True, False)
    """
    return plain(name).removesuffix("name") in _KINDS
