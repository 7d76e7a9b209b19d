"""Station files, what a forecaster may know, and the levels to forecast."""

import dataclasses
import gzip

import numpy as np
import pytest
from air_cases import made_up, rows_of, write_plain, write_uci

from policygrad_metrics import aqi
from policygrad_metrics.air import convert_unit, forecast_task, read_station
from policygrad_metrics.air.features import make_features, trailing_mean

PLAIN = {"time": "when", "pollutant_column": "fine dust"}


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    return read_station(write_plain(tmp_path_factory.mktemp("air") / "a.csv"), **PLAIN)


# --- files --------------------------------------------------------------------------------------


def test_both_layouts_give_the_same_hours_and_values(station, tmp_path):
    wind, pm25, missing = made_up()
    uci = read_station(write_uci(tmp_path / "uci.csv"))
    for read in (station, uci):
        assert str(read.hours[0]) == "2013-01-01T00"
        assert (np.diff(read.hours).astype(int) == 1).all()
        np.testing.assert_array_equal(read.concentration, np.where(missing, np.nan, pm25))
    np.testing.assert_allclose(station.weather["wind"], wind, atol=0.005)
    assert list(uci.weather) == ["TEMP"]
    assert list(uci.texts) == ["cbwd"]
    notes = " ".join(uci.notes)
    assert "'SO2', 'station' are not used: one value only" in notes


def test_gaps_are_counted_and_never_filled(tmp_path):
    rows = [row for number, row in enumerate(rows_of()) if not 200 <= number < 205]
    read = read_station(write_plain(tmp_path / "a.csv", rows), **PLAIN)
    assert len(read.hours) == 600
    assert "5 of them have no row and count as missing" in read.notes[0]
    unknown = int(np.isnan(read.concentration).sum())
    assert f"'fine dust' is missing in {unknown} of 600 hours" in read.notes[1]
    assert "at most 40 in a row" in read.notes[1]
    assert np.isnan(read.concentration[200:205]).all()
    assert np.isnan(read.weather["wind"][200:205]).all()
    assert (read.texts["from"][200:205] == "").all()


def test_rows_out_of_order_are_sorted_and_reported(station, tmp_path):
    rows = list(rows_of())
    read = read_station(write_plain(tmp_path / "a.csv", rows[300:] + rows[:300]), **PLAIN)
    np.testing.assert_array_equal(read.concentration, station.concentration)
    assert "not in order of time (1 steps back): they were sorted" in read.notes[0]


@pytest.mark.parametrize("offset", ["+08:00", "+05:30", "+05:45", "-0330"])
def test_times_with_a_zone_stay_on_their_clock(offset, tmp_path, station):
    rows = [(f"{time.isoformat()}{offset}", *rest) for time, *rest in rows_of()]
    read = read_station(write_plain(tmp_path / "a.csv", rows), **PLAIN)
    assert str(read.hours[0]) == "2013-01-01T00"
    assert read.zone == f"UTC{offset[:3]}:{offset[-2:]}"
    np.testing.assert_array_equal(read.concentration, station.concentration)


def changed(place, value, column=1):
    rows = [list(row) for row in rows_of()]
    rows[place][column] = value
    return rows


BAD_FILES = {
    "repeated": ([*rows_of(), next(iter(rows_of()))], "1 row repeats the hour of another one"),
    "half past": (
        changed(7, "2013-01-01 07:30", 0),
        "not at a whole hour, the first 2013-01-01 07:30",
    ),
    "no time": (changed(7, "seven", 0), "must hold dates and hours in ISO 8601"),
    "no number": (changed(9, "low"), "neither, first 'low' at"),
    "negative": (
        changed(9, "-999"),
        "1 negative value, the least -999; -999 is not small: --missing=-999",
    ),
    "constant": ([(t, "35", *rest) for t, _, *rest in rows_of()], "a constant series"),
    "empty": ([(t, "", *rest) for t, _, *rest in rows_of()], "holds no number at all"),
    "mg/m3": (
        [(t, pm and str(float(pm) / 1000), *rest) for t, pm, *rest in rows_of()],
        "values look like mg/m3, not ug/m3",
    ),
    "daily": ([row for n, row in enumerate(rows_of()) if n % 24 == 0], "an hourly series"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_refused(case, tmp_path):
    rows, message = BAD_FILES[case]
    with pytest.raises(ValueError, match=message):
        read_station(write_plain(tmp_path / "a.csv", rows), **PLAIN)


def test_bad_names_offer_the_nearest(tmp_path):
    path = write_plain(tmp_path / "a.csv")
    for arguments, message in (
        ({**PLAIN, "pollutant": "pm2.5"}, "did you mean 'pm25'"),
        ({**PLAIN, "time": "wen"}, "did you mean 'when'"),
        ({**PLAIN, "pollutant_column": "fine_dust"}, "did you mean 'fine dust'"),
        ({**PLAIN, "drop": ["winds"]}, "did you mean 'wind'"),
        ({**PLAIN, "unit": "mg"}, "unit='mg' is not known"),
        ({"pollutant_column": "fine dust"}, "name the column that holds date and hour"),
        ({"time": "when"}, "no column named after PM2.5"),
    ):
        with pytest.raises(ValueError, match=message):
            read_station(path, **arguments)


def test_a_unit_in_brackets_is_no_part_of_a_name(tmp_path, station):
    header = ("when", "PM2.5 (µg/m³)", "wind", "O3 [ppb]")
    rows = [(time, pm25, wind, str(float(wind) + 1)) for time, pm25, wind, _ in rows_of()]
    read = read_station(write_plain(tmp_path / "a.csv", rows, header), time="when")
    np.testing.assert_array_equal(read.concentration, station.concentration)
    assert read.telling == {"O3 [ppb]"}
    header = ("when", "PM2.5 (1)", "wind", "PM2.5 (2)")
    with pytest.raises(ValueError, match=r"'PM2.5 \(1\)', 'PM2.5 \(2\)' named after PM2.5"):
        read_station(write_plain(tmp_path / "b.csv", rows, header), time="when")


def test_a_file_in_milligrams_is_converted(tmp_path, station):
    rows = [(t, pm and f"{float(pm) / 1000:.4f}", *rest) for t, pm, *rest in rows_of()]
    read = read_station(write_plain(tmp_path / "a.csv", rows), **PLAIN, unit="mg/m3")
    task = forecast_task(read, "taiwan", horizon=1)
    other = forecast_task(station, "taiwan", horizon=1)
    np.testing.assert_allclose(task.concentration, other.concentration, rtol=1e-12)
    np.testing.assert_array_equal(task.dataset.y, other.dataset.y)
    with pytest.raises(ValueError, match="one is a mass, the other a share of the air"):
        convert_unit(np.ones(2), "ug/m3", "ppb")


def test_compressed_files_and_the_uci_name(tmp_path):
    plain = write_uci(tmp_path / "uci.csv")
    packed = tmp_path / "beijing.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_station(packed).name == "beijing"


# --- what may be known when ---------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [0, 1, 24])
def test_features_know_nothing_that_comes_later(station, horizon):
    """Whatever happens after the forecast is made changes no feature of the hour forecast."""
    rng = np.random.default_rng(1)
    made_at = 400
    hour = made_at + horizon
    later = np.arange(600) > made_at

    def scrambled(values):
        return np.where(later, rng.permutation(values), values)

    other = dataclasses.replace(
        station,
        concentration=scrambled(station.concentration),
        weather={name: scrambled(values) for name, values in station.weather.items()},
        texts={name: scrambled(cells) for name, cells in station.texts.items()},
    )
    before, after = (make_features(one, horizon) for one in (station, other))
    np.testing.assert_array_equal(before.numeric[: hour + 1], after.numeric[: hour + 1])
    np.testing.assert_array_equal(before.categorical[: hour + 1], after.categorical[: hour + 1])
    np.testing.assert_array_equal(before.last_known[: hour + 1], after.last_known[: hour + 1])
    # The test can fail: the hour after it knows the first scrambled one.
    assert not np.array_equal(before.numeric[hour + 1], after.numeric[hour + 1], equal_nan=True)


def test_horizon_0_knows_no_concentration(station):
    other = dataclasses.replace(station, concentration=station.concentration[::-1].copy())
    np.testing.assert_array_equal(
        make_features(station, 0).numeric, make_features(other, 0).numeric
    )
    assert not [name for name in make_features(station, 0).numeric_names if "change" in name]


def test_lags_are_the_hours_they_say(station):
    made = make_features(station, 3)
    column = made.numeric_names.index("log PM2.5, 5 h before")
    np.testing.assert_array_equal(
        made.numeric[8:, column], np.log1p(station.concentration[: 600 - 8])
    )
    # 50 to 89 are missing: at 92 the newest known value was 40 hours old and is too old.
    assert made.last_known[60] == station.concentration[49]
    assert np.isnan(made.last_known[92])


@pytest.mark.parametrize("horizon", [1, 24])
def test_changes_of_the_weather_end_when_the_forecast_is_made(station, horizon):
    rng = np.random.default_rng(2)
    wind = np.where(rng.uniform(size=600) < 0.1, np.nan, rng.normal(size=600))
    made = make_features(dataclasses.replace(station, weather={"wind": wind}), horizon)
    hour = np.arange(48, 600)
    for over in (3, 6, 12, 24):
        column = made.numeric[hour, made.numeric_names.index(f"wind, change over {over} h")]
        # A difference with a gap at either end is a gap: nothing is filled.
        np.testing.assert_array_equal(column, wind[hour - horizon] - wind[hour - horizon - over])
    # Weather after the forecast is made, and concentrations, change none of them.
    for place in (300, 301):
        other = wind.copy()
        other[place:] = -9.0
        later = dataclasses.replace(
            station, weather={"wind": other}, concentration=station.concentration[::-1].copy()
        )
        again = make_features(later, horizon)
        columns = [n for n, name in enumerate(made.numeric_names) if "change over" in name]
        assert len(columns) == 4
        np.testing.assert_array_equal(
            again.numeric[: place + horizon, columns], made.numeric[: place + horizon, columns]
        )
        # The test can fail: the next hour's forecast is made at the first changed one.
        assert not np.array_equal(
            again.numeric[place + horizon, columns],
            made.numeric[place + horizon, columns],
            equal_nan=True,
        )


def test_trailing_means_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    values = np.where(rng.uniform(size=80) < 0.4, np.nan, rng.normal(1e4, 1.0, size=80))
    for hours in (1, 3, 24):
        expected = []
        for end in range(1, 81):
            window = values[max(0, end - hours) : end]
            known = window[~np.isnan(window)]
            expected.append(known.mean() if 2 * len(known) >= hours else np.nan)
        np.testing.assert_allclose(trailing_mean(values, hours), expected, rtol=1e-12)


# --- the task -----------------------------------------------------------------------------------


def test_levels_parts_and_persistence(station):
    task = forecast_task(
        station, "taiwan", horizon=1, valid_from="2013-01-16", test_from="2013-01-21 12:00"
    )
    np.testing.assert_array_equal(task.dataset.y, aqi.level(task.concentration, "taiwan"))
    starts = [str(task.hours[getattr(task.parts, p)][0]) for p in ("train", "valid", "test")]
    assert starts == ["2013-01-01T04", "2013-01-16T00", "2013-01-21T12"]
    known = np.flatnonzero(np.diff(task.hours).astype(int) == 1) + 1
    np.testing.assert_array_equal(task.persistence[known], task.dataset.y[known - 1])
    # Nothing is known before hour 3, and too long nothing before hour 90.
    assert "2 hours are left out" in " ".join(task.dataset.notes)


def test_a_training_part_without_a_level_says_which(station):
    first = np.arange(600) < 500
    values = np.where(first, np.minimum(station.concentration, 30.0), 400.0)
    low = dataclasses.replace(station, concentration=values)
    task = forecast_task(low, "us_epa_2024", horizon=1)
    notes = " ".join(task.dataset.notes)
    assert "the training part has no hour at level" in notes
    assert "'Hazardous'" in notes


def test_bad_tasks(station):
    for arguments, message in (
        ({"scale": "us_epa_2042"}, "did you mean 'us_epa_2024'"),
        ({"horizon": -1}, "horizon must be a whole number of hours from 0"),
        ({"test_from": "tomorrow"}, "test_from must be a date or hour"),
        ({"test_from": "2020-01-01"}, "leave parts of .* each needs some"),
        ({"valid_from": "2012-01-01"}, "leave parts of 0/"),
    ):
        with pytest.raises(ValueError, match=message):
            forecast_task(station, **{"scale": "taiwan", "horizon": 1, **arguments})
    bare = dataclasses.replace(station, weather={}, texts={})
    with pytest.raises(ValueError, match="the file has no weather column"):
        forecast_task(bare, "taiwan", horizon=0)
    clean = dataclasses.replace(station, concentration=station.concentration / 1000)
    with pytest.raises(ValueError, match="there is nothing to tell apart"):
        forecast_task(clean, "taiwan", horizon=1)
    with pytest.raises(ValueError, match="pollutant"):
        forecast_task(dataclasses.replace(station, pollutant="co"), "eaqi", horizon=1)
