"""Forecasters that are saved, and what they say of the hours that come."""

import dataclasses
import io
from types import SimpleNamespace
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from policygrad_metrics import aqi
from policygrad_metrics.air import Forecaster, look_ahead, train_forecaster
from policygrad_metrics.air.outlook import Outlook, alerts_of
from policygrad_metrics.air.outlook_plot import draw_outlook
from policygrad_metrics.air.settings import StationFile, forecast_settings
from policygrad_metrics.air.station import Station
from policygrad_metrics.air.trained import METHOD


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Hours that follow the hour before, with a wind direction and gaps."""
    rng, x = np.random.default_rng(0), np.zeros(900)
    for hour in range(1, 900):
        x[hour] = 0.97 * x[hour - 1] + 0.15 * rng.normal()
    path = tmp_path_factory.mktemp("station") / "north.csv"
    lines = ["time,pm2.5,wind,snow"]
    for hour, value in enumerate(40 * np.exp(x)):
        when = str(np.datetime64("2024-01-01T00") + hour).replace("T", " ")
        cell = "NA" if hour % 50 == 7 else f"{value:.0f}"
        lines.append(f"{when}:00,{cell},{'NE' if hour % 3 else 'S'},{int(hour < 90)}")
    path.write_text("\n".join(lines))
    return path


def trained(path, method, horizons):
    file = StationFile(str(path), time="time")
    settings = forecast_settings(file, methods=(method,), seeds=1, epochs=5, hidden=(16,))
    return train_forecaster(file, settings, horizons)


@pytest.fixture(scope="module")
def two_ahead(path):
    return trained(path, "cross_entropy", [2])


@pytest.mark.parametrize("method", [METHOD, "boosting_policy_gradient"])
@pytest.mark.slow
def test_it_is_saved_and_forecasts_the_hours_after_the_file(path, method, tmp_path):
    made = trained(path, method, [3, 1])
    made.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model")
    assert loaded.file == made.file
    assert loaded.card == made.card
    found, again = look_ahead(made, path), look_ahead(loaded, path)
    assert np.array_equal(found.chances, again.chances)
    assert np.isnan(found.values).all() == (method != METHOD)
    assert (found.hours - found.station.hours[-1]).astype(int).tolist() == [1, 3]
    assert np.allclose(found.chances.sum(axis=1), 1, atol=1e-5)
    last = aqi.level(found.station.concentration[-1], "us_epa_2024")
    assert abs(found.levels[0] - last) <= 1
    assert draw_outlook(found)[:4] == b"\x89PNG"
    assert found.text().splitlines()[1].startswith("2024-02-07 12:00,")
    likely = found.chances.argmax(axis=1)
    assert "probable" not in dataclasses.replace(found, levels=likely).grid().below
    likely[1] = 5 - likely[1]
    told = dataclasses.replace(found, levels=likely).grid().below
    assert "In 1 of 2 rows the level is not the most probable one" in told


def test_the_dot_of_an_improbable_level_is_drawn_whole():
    """At the edge of the axis it has as many dark pixels as in the middle of a bar."""
    hours = np.datetime64("2024-01-10T00") + np.arange(24)
    known: Any = SimpleNamespace(
        hours=hours, concentration=np.full(24, 20.0), pollutant="pm25", unit="µg/m³",
        is_daily=False, name="North",
    )  # fmt: skip
    dark = []
    for level in (1, 5):
        found = Outlook(
            known, "us_epa_2024", hours[-1] + np.arange(1, 13),
            np.tile([0, 1, 0, 0, 0, 0], (12, 1)), np.full(12, level), np.full(12, np.nan),
        )  # fmt: skip
        picture = matplotlib.image.imread(io.BytesIO(draw_outlook(found)))
        dark.append(int((picture[..., :3].max(axis=-1) < 0.3).sum()))
    assert dark[1] == pytest.approx(dark[0], abs=24)  # two a dot; half of each is 96


def test_a_forecast_knows_nothing_of_what_comes_and_little_is_enough(path, two_ahead, tmp_path):
    """The last row of the features of a cut file is that of the whole file at that hour."""
    task = dataclasses.replace(two_ahead.file, horizon=2).task()
    lines = path.read_text().splitlines()
    short = tmp_path / "short.csv"
    short.write_text("\n".join([lines[0], *lines[700:801]]))  # hours 699 to 799; no snow in them
    found = look_ahead(two_ahead, short)
    row = np.flatnonzero(task.hours == found.hours[0])
    numeric, texts = task.dataset.numeric[row], task.dataset.categorical[row]
    expected = two_ahead.deciders[2].probabilities(numeric, texts)
    assert np.allclose(found.chances, expected, atol=1e-5)


def test_missing_columns_and_stale_values_are_refused(path, two_ahead, tmp_path):
    lines = path.read_text().splitlines()
    without = tmp_path / "without.csv"
    without.write_text("\n".join(line.rsplit(",", 1)[0] for line in lines))
    with pytest.raises(ValueError, match=r"columns are missing.*'snow'"):
        look_ahead(two_ahead, without)
    stale = tmp_path / "stale.csv"
    gone = [f"{line.split(',')[0]},NA,NE,0" for line in lines[-30:]]
    stale.write_text("\n".join([*lines[:-30], *gone]))
    with pytest.raises(ValueError, match="no concentration is known shortly before"):
        look_ahead(two_ahead, stale)


def toy(alerts=None):
    hours = np.datetime64("2024-01-01T00", "h") + np.arange(22)
    values = np.full(22, 5.0)
    values[3] = 40.0  # level 2
    station = Station("toy", "pm25", "ug/m3", hours, values, {}, {})
    chances = np.array([[0.5, 0.5, 0, 0, 0, 0], [0.2, 0.2, 0.2, 0.4, 0, 0], [1, 0, 0, 0, 0, 0]])
    ahead = hours[-1] + np.array([1, 2, 3])
    return Outlook(
        station, "us_epa_2024", ahead, chances, np.array([0, 3, 0]), np.full(3, np.nan), alerts
    )


def test_the_highest_level_of_today_and_tomorrow():
    today, tomorrow = toy().days()
    assert (today.known, today.forecast, today.level) == (22, 2, 3)
    # Level 2 was there already; level 3 is forecast in one of the hours.
    assert today.low.tolist() == pytest.approx([1, 1, 1, 0.4, 0, 0])
    assert (tomorrow.known, tomorrow.forecast, tomorrow.level) == (0, 1, 0)
    assert tomorrow.high.tolist() == pytest.approx([1, 0, 0, 0, 0, 0])
    assert "highest level 3 (Unhealthy), of 22 hours known and 2 forecast" in today.words(
        toy().names, 3
    )


@pytest.mark.parametrize(
    ("how", "alerts"),
    [
        ({"floor": {1: 0.6, 3: 0.4}}, [0, 3, 0]),
        ({"floor": {1: 0.5}}, [1, 1, 0]),
        ({"cost": np.abs(np.subtract.outer(np.arange(6), np.arange(6)))}, [0, 2, 0]),
    ],
)
def test_alerts(how, alerts):
    assert alerts_of(toy(), how.get("cost"), how.get("floor")).tolist() == alerts


def test_costs_and_floors_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="must be 6 rows"):
        alerts_of(toy(), [[0, 1], [1, 0]], None)
    with pytest.raises(ValueError, match="levels from 1 to 5"):
        alerts_of(toy(), None, {9: 0.5})
    with pytest.raises(ValueError, match=r"got rows of \[6, 6, 6, 6, 6, 5\] costs"):
        alerts_of(toy(), [*np.zeros([5, 6]).tolist(), [0.0] * 5], None)
    with pytest.raises(ValueError, match="finite numbers alone"):
        alerts_of(toy(), np.full([6, 6], np.nan).tolist(), None)


def test_two_equal_hours_are_enough(path, two_ahead, tmp_path):
    lines = path.read_text().splitlines()
    few = tmp_path / "few.csv"
    few.write_text("\n".join([lines[0], "2024-03-01 00:00,12,NE,0", "2024-03-01 01:00,12,S,0"]))
    found = look_ahead(two_ahead, few)
    assert np.allclose(found.chances.sum(axis=1), 1, atol=1e-5)


def test_a_forecast_behind_a_gap_of_a_month_is_that_of_the_hours_behind_it(
    path, two_ahead, tmp_path
):
    lines = path.read_text().splitlines()
    gap, alone = tmp_path / "gap.csv", tmp_path / "alone.csv"
    gap.write_text("\n".join([lines[0], *lines[1:61], *lines[-100:]]))
    alone.write_text("\n".join([lines[0], *lines[-100:]]))
    assert np.allclose(
        look_ahead(two_ahead, gap).chances, look_ahead(two_ahead, alone).chances, atol=1e-6
    )
    days = tmp_path / "days.csv"
    days.write_text("\n".join([lines[0], *lines[1::24]]))
    with pytest.raises(ValueError, match=r"have no row; an hourly series is needed\."):
        look_ahead(two_ahead, days)


def test_the_zone_stands_beside_the_time():
    found = dataclasses.replace(toy(), station=dataclasses.replace(toy().station, zone="UTC+01:00"))
    assert found.grid().header[0] == "time (UTC+01:00)"
    assert found.text().startswith("time (UTC+01:00),")
    assert toy().grid().header[0] == "time"
