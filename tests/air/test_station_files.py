"""Station files as they are found: times, layouts, names, units, faults."""

import csv
import dataclasses
import datetime
import re

import numpy as np
import pytest
from air_cases import FIRST, made_up, rows_of, write_plain

from policygrad_metrics.air import StationLayout, forecast_task, read_station
from policygrad_metrics.air.names import tells_concentration
from policygrad_metrics.air.settings import StationFile
from policygrad_metrics.air.units import convert_unit
from policygrad_metrics.data import Reading

N = 200
WIND, PM25, MISSING = made_up(N)
HOURS = [FIRST + datetime.timedelta(hours=hour) for hour in range(N)]
VALUES = ["" if gone else str(value) for gone, value in zip(MISSING, PM25, strict=True)]
EXPECTED = np.where(MISSING, np.nan, PM25)


def write(path, header, rows):
    with open(path, "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def series(tmp_path, header, times, **layout):
    """A file of the made-up hours, whose times are these cells, read."""
    rows = [(*t, v, w) for t, v, w in zip(times, VALUES, WIND, strict=True)]
    path = write(tmp_path / "a.csv", (*header, "PM2.5", "wind"), rows)
    return read_station(path, layout=StationLayout(**layout))


def hour_24(time):
    """Midnight as the end of the day before."""
    day = time.date() - datetime.timedelta(days=time.hour == 0)
    return day, time.hour or 24


EPOCH = datetime.datetime(1970, 1, 1)
TIMES = {
    "ISO": (["t"], lambda t: [t.isoformat()], {"time": "t"}),
    "slashes": (["t"], lambda t: [f"{t:%Y/%m/%d %H:%M}"], {"time": "t"}),
    "AM and PM": (["t"], lambda t: [f"{t:%Y-%m-%d %I:%M %p}"], {"time": "t"}),
    "compact": (["t"], lambda t: [f"{t:%Y%m%d%H}"], {"time": "t"}),
    "hour 24": (["t"], lambda t: ["{} {}:00".format(*hour_24(t))], {"time": "t"}),
    "seconds": (["t"], lambda t: [f"{(t - EPOCH).total_seconds():.0f}"], {"time": "t"}),
    "milliseconds": (["t"], lambda t: [f"{(t - EPOCH).total_seconds():.0f}000"], {"time": "t"}),
    "two columns": (["Date", "Time"], lambda t: [t.date(), f"{t:%H.%M.%S}"], {"time": "Date,Time"}),
    "a bare hour": (["Date", "H"], lambda t: [t.date(), t.hour], {"time": ("Date", "H")}),
    "three columns and quotes": (
        ["ANO", "MES", "DIA", "Uhr"],
        lambda t: [t.year, t.month, t.day, f"'{t:%H}:00'"],
        {"time": ("ANO", "MES", "DIA", "Uhr")},
    ),
    "day first": (
        ["t"],
        lambda t: [f"{t:%d/%m/%Y %H:%M}"],
        {"time": "t", "time_format": "%d/%m/%Y %H:%M"},
    ),
    "day first, hour 24": (
        ["t"],
        lambda t: [f"{hour_24(t)[0]:%d.%m.%Y} {hour_24(t)[1]:02}:00"],
        {"time": "t", "time_format": "%d.%m.%Y %H:%M"},
    ),
    "capitals": (
        ["Year", "Month", "Day", "Hour"],
        lambda t: [t.year, t.month, t.day, t.hour],
        {},
    ),
    "hours 1 to 24": (
        ["year", "month", "day", "hour"],
        lambda t: [*hour_24(t)[0].timetuple()[:3], hour_24(t)[1]],
        {},
    ),
    "half past": (["t"], lambda t: [t + datetime.timedelta(minutes=30)], {"time": "t"}),
}


@pytest.mark.parametrize("case", TIMES)
def test_times_of_many_kinds(case, tmp_path):
    header, cells_of, layout = TIMES[case]
    read = series(tmp_path, header, [cells_of(time) for time in HOURS], **layout)
    assert str(read.hours[0]) == "2013-01-01T00"
    np.testing.assert_array_equal(read.concentration, EXPECTED)
    np.testing.assert_allclose(read.weather["wind"], WIND)
    assert list(read.weather) == ["wind"]


@pytest.mark.parametrize(
    ("cells", "hint"),
    [
        (lambda t: f"{t:%d/%m/%Y %H:%M}", r"'%d/%m/%Y %H:%M'"),
        (lambda t: f"{t:%m/%d/%Y %I:%M %p}", r"'%m/%d/%Y %I:%M %p'"),
        (lambda t: f"0{t.day % 9 + 1}/05/2013", "if the day stands first"),
    ],
)
def test_the_format_of_other_times_is_offered(cells, hint, tmp_path):
    times = [[cells(FIRST + datetime.timedelta(days=n // 4, hours=n % 24))] for n in range(N)]
    with pytest.raises(ValueError, match="--time-format") as error:
        series(tmp_path, ["t"], times, time="t")
    assert hint in str(error.value)


def test_the_doubled_hour_of_autumn(tmp_path):
    doubled = [*HOURS[:100], HOURS[99], *HOURS[100:-1]]
    times = [[time] for time in doubled]
    with pytest.raises(ValueError, match=r"1 row repeats the hour .* --duplicates first, or mean"):
        series(tmp_path, ["t"], times, time="t")
    first = series(tmp_path, ["t"], times, time="t", duplicates="first")
    mean = series(tmp_path, ["t"], times, time="t", duplicates="mean")
    assert first.concentration[99] == PM25[99]
    assert mean.concentration[99] == pytest.approx((PM25[99] + PM25[100]) / 2)
    assert mean.weather["wind"][99] == pytest.approx((WIND[99] + WIND[100]) / 2)
    assert first.concentration[100] == mean.concentration[100] == PM25[101]
    # With offsets the two hours are two hours, on the clock of winter.
    offsets = [f"{time.isoformat()}+0{2 if n < 100 else 1}:00" for n, time in enumerate(doubled)]
    read = series(tmp_path, ["t"], [[text] for text in offsets], time="t")
    assert (len(read.hours), read.zone) == (N, "UTC+01:00")
    assert "the clock of UTC+01:00, also of rows with another offset" in read.notes[0]
    np.testing.assert_array_equal(read.concentration, EXPECTED)


def test_rows_within_the_hour(tmp_path):
    times = [[FIRST + datetime.timedelta(minutes=20 * n)] for n in range(N)]
    with pytest.raises(ValueError, match="--duplicates mean takes the mean of each hour"):
        series(tmp_path, ["t"], times, time="t")
    read = series(tmp_path, ["t"], times, time="t", duplicates="mean")
    hours = np.append(EXPECTED, np.nan).reshape(67, 3)
    known = ~np.isnan(hours).all(axis=1)
    assert 0 < known.sum() < 67
    np.testing.assert_array_equal(~np.isnan(read.concentration), known)
    np.testing.assert_allclose(read.concentration[known], np.nanmean(hours[known], axis=1))


def test_a_long_file(tmp_path):
    rows = [
        (place, time, name, value)
        for place, add in (("North", 0), ("South", 7))
        for time, value in zip(HOURS, VALUES, strict=True)
        for name, value in (("pm25", value and float(value) + add), ("o3", "40"))
    ]
    path = write(tmp_path / "a.csv", ("location", "at", "parameter", "value"), rows)
    layout = StationLayout(time="at", where=("parameter=pm25",), station="South")
    read = read_station(path, layout=layout)
    np.testing.assert_allclose(read.concentration, EXPECTED + 7)
    with pytest.raises(ValueError, match=r"--station NAME \(location: 'North', 'South'\)") as error:
        read_station(path, time="at")
    assert "--where parameter=VALUE ('o3', 'pm25')" in str(error.value)
    # The values of one pollutant are not taken for those of another.
    with pytest.raises(ValueError, match="no NO2: column 'parameter' holds 'pm25'"):
        read_station(path, pollutant="no2", layout=layout)
    asked = StationFile(str(path), pollutant="overall", **dataclasses.asdict(layout))
    with pytest.raises(ValueError, match="the file has none"):
        asked.task()
    with pytest.raises(ValueError, match="it holds 'o3', 'pm25'"):
        read_station(path, layout=StationLayout(time="at", where=("parameter=PM",)))
    with pytest.raises(ValueError, match="location: 'North', 'South'"):
        read_station(path, layout=StationLayout(time="at", station="East"))


@pytest.mark.parametrize("name", ["H{:02}", "{}", "hour {}", "{:02}:00"])
def test_a_wide_file(name, tmp_path):
    header = ("date", "wind", *(name.format(hour) for hour in range(1, 25)))
    rows = [
        (HOURS[24 * day].date(), day, *VALUES[24 * day + 1 : 24 * day + 25]) for day in range(8)
    ]
    path = write(tmp_path / "a.csv", header, rows)
    read = read_station(path, time="date", reading=Reading(header=True))
    assert str(read.hours[0]) == "2013-01-01T01"
    np.testing.assert_array_equal(read.concentration, EXPECTED[1:193])
    np.testing.assert_array_equal(read.weather["wind"], np.arange(8).repeat(24))


def test_a_daily_file(tmp_path):
    days = [[FIRST.date() + datetime.timedelta(days=day)] for day in range(N)]
    read = series(tmp_path, ["date"], days, time="date", step="day")
    assert str(read.hours[-1]) == "2013-07-19"
    np.testing.assert_array_equal(read.concentration, EXPECTED)
    task = forecast_task(read, "taiwan", horizon=2)
    assert task.step == "day"
    made, column = task.dataset, task.dataset.numeric_names.index("log PM2.5, 3 d before")
    rows = (task.hours - read.hours[0]).astype(int)
    np.testing.assert_array_equal(made.numeric[:, column], np.log1p(EXPECTED)[rows - 5])
    assert not [name for name in made.numeric_names if "hour" in name]
    with pytest.raises(ValueError, match="--step day for a file of days"):
        series(tmp_path, ["date"], days, time="date")


def test_small_negatives(tmp_path):
    values = EXPECTED.copy()
    values[[10, 20]] = -0.4, -1.5
    rows = [(t, "" if np.isnan(v) else v, 1 + t.hour) for t, v in zip(HOURS, values, strict=True)]
    path = write(tmp_path / "a.csv", ("t", "PM2.5", "wind"), rows)
    with pytest.raises(ValueError, match=r"2 negative values, the least -1.5.*--negative"):
        read_station(path, time="t")
    zero, missing = (
        read_station(path, layout=StationLayout(time="t", negative=how))
        for how in ("zero", "missing")
    )
    assert zero.concentration[[10, 20]].tolist() == [0, 0]
    assert np.isnan(missing.concentration[[10, 20]]).all()
    # A code is no small negative, whatever was chosen.
    path.write_text(path.read_text().replace("-1.5", "-999"))
    with pytest.raises(ValueError, match=r"-999 is not small: --missing=-999"):
        read_station(path, layout=StationLayout(time="t", negative="zero"))
    layout = StationLayout(time="t", negative="zero")
    read = read_station(path, layout=layout, reading=Reading(missing=("-999",)))
    assert np.isnan(read.concentration[20])
    assert read.concentration[10] == 0


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["NR", "-0.5"], [r"'PM2.5' must hold.*--missing 'NR'", "1 negative value, the"]),
        (["9999", "9999"], [r"'PM2.5' is 9999 in 2 of .*--missing 9999.*--missing ''"]),
    ],
)
def test_each_fault_of_the_series_is_told_once(tmp_path, cells, told):
    rows = [[f"{t}", v] for t, v in zip(HOURS, np.abs(np.nan_to_num(EXPECTED)) + 1, strict=True)]
    rows[7][1], rows[9][1] = cells
    path = write(tmp_path / "a.csv", ("t", "PM2.5"), rows)
    with pytest.raises(ValueError, match=r"'PM2[.]5'") as error:
        read_station(path, time="t")
    faults = [line for line in str(error.value).splitlines() if "PM2.5" in line]
    assert len(faults) == len(told)
    for fault, words in zip(faults, told, strict=True):
        assert re.search(words, fault)


def test_all_faults_at_once(tmp_path):
    rows = [[f"{t:%d/%m/%Y %H:%M}", v, w] for t, v, w in zip(HOURS, VALUES, WIND, strict=True)]
    rows[7][1], rows[9][2] = "-999", "NR"
    path = write(tmp_path / "a.csv", ("t", "PM2.5", "wind"), rows)
    with pytest.raises(ValueError, match=r"has 4 faults") as error:
        read_station(path, time="t", drop=("rain",))
    for option in ("drop='rain'", "--time-format", "--missing=-999", "--missing 'NR'"):
        assert option in str(error.value)


# --- names and units ----------------------------------------------------------------------------

TELLING = """NowCast Conc.|AQI|AQI Category|PM_Jingan|PM_US Post|nitrogen_dioxide|ozone|NO|NOx|
PM2.5_CF1|pm25_atm|carbon monoxide|CO(GT)|C6H6(GT)|benzene|NMHC(GT)|Raw Conc.|O3 8h|co_8hr|IAQI|
SO2|black carbon|visible aerosol depth (ppb)|PT08.S1(CO)|caqi|voc|dust (µg/m³)|x [ug/m3]|
Ozon|Feinstaub (PM2,5)|dioxyde de soufre|monóxido de carbono|臭氧|懸浮微粒|tVOC [ppb]|no"""
WEATHER = """TEMP|DEWP|PRES|cbwd|Iws|Is|Ir|No|wind speed (m/s)|RH|AH|T|humidity|pressure|rain (mm)|
cloud cover|absolute humidity (g/m3)|direction|station|snow|uv index|solar (W/m2)|comfort"""


@pytest.mark.parametrize("name", TELLING.replace("\n", "").split("|"))
def test_names_that_tell_a_concentration(name):
    assert tells_concentration(name)


@pytest.mark.parametrize("name", WEATHER.replace("\n", "").split("|"))
def test_names_of_weather(name):
    assert not tells_concentration(name)


def test_what_tells_is_unknown_at_horizon_0_and_lagged_later(tmp_path):
    extra = ("NowCast Conc.", "AQI Category", "wind", "PM_Jingan")
    rows = [
        (time, value, n, "GB"[n % 2], f"{wind:.2f}", 3 * n % 71)
        for n, (time, value, wind) in enumerate(zip(HOURS, VALUES, WIND, strict=True))
    ]
    path = write(tmp_path / "a.csv", ("t", "PM2.5", *extra), rows)
    read = read_station(path, time="t")
    assert read.telling == {"NowCast Conc.", "AQI Category", "PM_Jingan"}
    now = forecast_task(read, "taiwan", horizon=0)
    assert now.columns == ("wind",)
    assert not [name for name in now.dataset.numeric_names if "PM" in name or "AQI" in name]
    assert now.dataset.categorical_names == ()
    assert "not used, as their names tell concentrations or an index: 'NowCast Conc.'" in " ".join(
        now.dataset.notes
    )
    later = forecast_task(read, "taiwan", horizon=3)
    assert set(later.columns) == {"wind", *read.telling}
    # Of three hours before, not of the hour itself.
    column = later.dataset.numeric_names.index("PM_Jingan")
    rows = (later.hours - read.hours[0]).astype(int)
    np.testing.assert_array_equal(later.dataset.numeric[:, column], 3 * (rows - 3) % 71)
    named = read_station(path, layout=StationLayout(time="t", weather=("PM_Jingan",)))
    assert set(forecast_task(named, "taiwan", horizon=0).columns) == {"wind", "PM_Jingan"}
    # A name may hide what it is, the values do not.
    hidden = dataclasses.replace(read, weather={"x": 2 * read.concentration, **read.weather})
    notes = " ".join(forecast_task(hidden, "taiwan", horizon=0).dataset.notes)
    assert "'x' counts as weather, but follows the concentration (correlation 1.00)" in notes
    assert "follows" not in " ".join(now.dataset.notes)
    # Without any weather there is nothing to tell it from.
    bare = read_station(path, time="t", drop=("wind",))
    with pytest.raises(ValueError, match=r"'AQI Category', .* tell concentrations"):
        forecast_task(bare, "taiwan", horizon=0)


def test_the_unit_of_the_name_counts(tmp_path):
    rows = [(t, v and float(v) / 1000, w) for t, v, w in zip(HOURS, VALUES, WIND, strict=True)]
    path = write(tmp_path / "a.csv", ("t", "PM2.5 [mg/m3]", "wind"), rows)
    assert read_station(path, time="t").unit == "mg/m3"
    with pytest.raises(ValueError, match=r"column 'PM2.5 \[mg/m3\]' says mg/m3"):
        read_station(path, time="t", unit="ug/m3")
    path = write(
        tmp_path / "b.csv", ("t", "value", "Conc. Unit"), [(*r[:2], "mg/m³") for r in rows]
    )
    assert read_station(path, time="t").unit == "mg/m3"


def test_masses_become_shares_of_the_air(tmp_path):
    """EPA's rule: 1 ppb of ozone is 1.96 ug/m3 at 25 degrees, 2.00 at 20."""
    rows = [(t, v and 3 * float(v), w) for t, v, w in zip(HOURS, VALUES, WIND, strict=True)]
    path = write(tmp_path / "a.csv", ("t", "ozone", "wind"), rows)
    read = read_station(path, time="t", pollutant="o3")
    with pytest.raises(ValueError, match="--temperature 25"):
        forecast_task(read, "us_epa_2024", horizon=1)
    layout = StationLayout(time="t", temperature=25.0)
    warm = forecast_task(read_station(path, pollutant="o3", layout=layout), horizon=1)
    again = read_station(path, time="t", pollutant="o3")
    plain = forecast_task(again, "eaqi_2024", horizon=1)
    np.testing.assert_allclose(warm.concentration, plain.concentration / 1.9620 / 1000, rtol=2e-4)
    one = np.ones(1)
    assert convert_unit(one, "ppb", "ug/m3", "o3", 20.0) == pytest.approx(1.9953, rel=1e-3)
    assert convert_unit(one, "ppm", "mg/m3", "co", 25.0) == pytest.approx(1.145, rel=1e-3)
    assert convert_unit(one, "ug/m3", "ppb", "no2", 25.0) == pytest.approx(1 / 1.88, rel=2e-3)
    with pytest.raises(ValueError, match="one is a mass"):
        convert_unit(one, "ug/m3", "ppb", "pm25", 25.0)


def test_the_file_of_the_tests_is_as_before(tmp_path):
    """The rows that other tests use are those of this file, so that a mistake here shows."""
    read = read_station(
        write_plain(tmp_path / "a.csv", list(rows_of(N))),
        time="when",
        pollutant_column="fine dust",
    )
    np.testing.assert_array_equal(read.concentration, EXPECTED)
