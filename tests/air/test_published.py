"""Series as indexes are published from: NowCast, running means, overall index, days."""

import csv

import numpy as np
import pytest
from air_cases import rows_of

from policygrad_metrics import aqi
from policygrad_metrics.air import forecast_task, overall_station, published, read_station, to_days
from policygrad_metrics.air.averages import average_of, nowcast, running_mean
from policygrad_metrics.air.settings import StationFile
from policygrad_metrics.aqi import Column

N = 480


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """PM2.5, ozone in ppm and wind."""
    path = tmp_path_factory.mktemp("air") / "a.csv"
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["t", "PM2.5", "O3 (ppm)", "wind"])
        for hour, (time, pm25, wind, _) in enumerate(rows_of(N)):
            ozone = "" if hour % 50 == 7 else f"{0.04 + 0.05 * (hour % 24) / 24:.3f}"
            writer.writerow([time, pm25, ozone, wind])
    return path


def series(seed=0):
    rng = np.random.default_rng(seed)
    values = np.round(rng.gamma(2.0, 20.0, 300), 1)
    return np.where(rng.uniform(size=300) < 0.2, np.nan, values)


def test_nowcast_is_that_of_epas_steps():
    """The eight steps of EPA's fact sheet, hour by hour."""
    values = series()
    expected = []
    for end in range(1, 301):
        last = values[max(0, end - 12) : end][::-1]
        known = last[~np.isnan(last)]
        if (~np.isnan(last[:3])).sum() < 2:
            expected.append(np.nan)
            continue
        weight = max(0.5, 1 - (known.max() - known.min()) / known.max())
        terms = [(weight**age, one) for age, one in enumerate(last) if not np.isnan(one)]
        expected.append(sum(w * one for w, one in terms) / sum(w for w, _ in terms))
    np.testing.assert_allclose(nowcast(values), expected, rtol=1e-12)
    # Twelve equal hours are their value; zeros are zero.
    assert nowcast(np.full(12, 35.0))[-1] == pytest.approx(35.0)
    assert nowcast(np.zeros(12))[-1] == 0.0


@pytest.mark.parametrize(("hours", "least"), [(24, 18), (8, 6)])
def test_running_means_need_three_quarters_of_the_hours(hours, least):
    values = series(1)
    expected = []
    for end in range(1, 301):
        known = values[max(0, end - hours) : end]
        known = known[~np.isnan(known)]
        expected.append(known.mean() if len(known) >= least else np.nan)
    assert np.isnan(expected).sum() > hours
    np.testing.assert_allclose(running_mean(values, hours), expected, rtol=1e-12)


def test_which_average():
    ozone, pm25 = Column("o3", "ppm", "8 h", (1.0,)), Column("pm25", "ug/m3", "24 h", (1.0,))
    hourly = Column("no2", "ppb", "1 h", (1.0,))
    assert average_of("nowcast", pm25) == "nowcast"
    assert average_of("nowcast", ozone, among_others=True) == "8"
    assert average_of("scale", pm25) == "24"
    assert average_of("scale", hourly) is None
    with pytest.raises(ValueError, match="--average scale"):
        average_of("nowcast", ozone)
    with pytest.raises(ValueError, match="did you mean 'nowcast'"):
        average_of("nowcats", pm25)


def test_levels_of_averages(file):
    station = read_station(file, time="t")
    task = forecast_task(station, "us_epa_2024", horizon=3, average="24")
    means = running_mean(station.concentration, 24)
    rows = (task.hours - station.hours[0]).astype(int)
    np.testing.assert_array_equal(task.concentration, means[rows])
    np.testing.assert_array_equal(task.dataset.y, aqi.level(means[rows]))
    # Persistence is the last published value, and the hours themselves stay known.
    fresh = ~np.isnan(means[rows - 3])
    np.testing.assert_array_equal(task.last_known[fresh], means[rows - 3][fresh])
    column = task.dataset.numeric_names.index("PM2.5, hourly")
    np.testing.assert_array_equal(task.dataset.numeric[:, column], station.concentration[rows - 3])
    notes = " ".join(task.dataset.notes)
    assert "means of 24 h (75 % of the hours known) of PM2.5 are predicted" in notes
    assert "serve as labels only" not in notes
    # At horizon 0 they tell too much.
    assert "PM2.5, hourly" not in forecast_task(station, horizon=0, average="24").columns


def test_the_overall_index_of_a_file(file):
    task = StationFile(str(file), time="t", pollutant="overall", horizon=1, average="scale").task()
    station = read_station(file, time="t")
    pm25 = running_mean(station.concentration, 24)
    ozone = running_mean(read_station(file, time="t", pollutant="o3").concentration, 8)
    expected = aqi.overall({"pm25": pm25, "o3": ozone})
    rows = (task.hours - station.hours[0]).astype(int)
    np.testing.assert_array_equal(task.concentration, expected.index[rows])
    np.testing.assert_array_equal(task.dataset.y, expected.level[rows])
    assert (task.pollutant, task.unit) == ("overall", "index")
    notes = " ".join(task.dataset.notes)
    counts = {name: int((expected.pollutant == name).sum()) for name in ("pm25", "o3")}
    assert f"each decides: PM2.5 {counts['pm25']}, O3 {counts['o3']}" in notes
    assert "without PM10, NO2, SO2, CO: the file has no such column" in notes
    assert not {"PM2.5", "O3", "O3 (ppm)"} & set(
        StationFile(str(file), time="t", pollutant="overall", horizon=0).task().columns
    )


def test_a_pollutant_can_be_left_out_of_the_overall_index(file):
    asked = {"time": "t", "pollutant": "overall", "horizon": 1}
    task = StationFile(str(file), drop=("O3 (ppm)",), **asked).task()
    alone = forecast_task(read_station(file, time="t", drop=("O3 (ppm)",)), horizon=1)
    np.testing.assert_array_equal(task.concentration, aqi.index(alone.concentration))
    with pytest.raises(ValueError, match=r"(?s)PM2.5.* mg/m3.*O3.*--drop leaves out .*pm25, o3"):
        StationFile(str(file), unit="ppb,pm25=mg/m3", **asked).task()


def test_the_overall_level_of_a_scale_without_index(file):
    file = StationFile(
        str(file), "eaqi_2024", time="t", pollutant="overall", horizon=1, temperature=20.0
    )
    task = file.task()
    np.testing.assert_array_equal(task.dataset.y, task.concentration)
    assert task.unit == "level"
    with pytest.raises(ValueError, match=r"no pollutant|has none"):
        overall_station({}, "us_epa_2024")


def test_the_highest_value_of_a_day(file):
    station = published(read_station(file, time="t"), "us_epa_2024", "8")
    days = to_days(station)
    hours = station.concentration.reshape(20, 24)
    known = (~np.isnan(hours)).sum(axis=1) >= 18
    assert 0 < known.sum() < 20
    np.testing.assert_array_equal(~np.isnan(days.concentration), known)
    np.testing.assert_array_equal(days.concentration[known], np.nanmax(hours[known], axis=1))
    means = to_days(station, "mean").concentration
    np.testing.assert_allclose(means[known], np.nanmean(hours[known], axis=1))
    winds = station.weather["wind"].reshape(20, 24)
    np.testing.assert_allclose(days.weather["wind"], winds.mean(axis=1))
    task = StationFile(str(file), time="t", step="day", average="8").task()
    assert (task.horizon, task.step) == (1, "day")
    rows = (task.hours - days.hours[0]).astype(int)
    np.testing.assert_array_equal(task.concentration, days.concentration[rows])


def test_choices_that_do_not_go_together(file):
    for fields, message in (
        ({"daily": "mean"}, "goes with step='day'"),
        ({"step": "week"}, "step='week' is not known"),
        ({"pollutant": "overall", "pollutant_column": "x"}, "rename them"),
        ({"average": "12"}, "average='12' is not known"),
        ({"pollutant": "overall", "average": "12"}, "average='12' is not known"),
        ({"temperature": 999.0}, "--temperature"),
        ({"where": ("x",)}, "must be COLUMN=VALUE"),
    ):
        with pytest.raises(ValueError, match=message):
            StationFile(str(file), time="t", horizon=1, **fields).task()


def test_the_command_says_it_all(file):
    written = StationFile(
        "a.csv",
        time=("Date", "Time"),
        where=("parameter=pm25",),
        temperature=25.0,
        average="nowcast",
        step="day",
    )
    assert " ".join(written.words()) == (
        "policygrad aqi a.csv --time Date,Time --where parameter=pm25 --step day "
        "--temperature 25 --average nowcast --scale us_epa_2024 --horizon 1"
    )
