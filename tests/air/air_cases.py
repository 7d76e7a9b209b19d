"""Small made-up station files for the tests of forecasts."""

import csv
import datetime

import numpy as np

FIRST = datetime.datetime(2013, 1, 1)


def made_up(N=600, seed=0):
    """PM2.5 of N hours, with memory and wind; a stretch and single hours are missing."""
    rng = np.random.default_rng(seed)
    wind = np.abs(rng.normal(size=N)).cumsum() % 9
    log_pm25 = np.empty(N)
    state = 0.0
    for hour in range(N):
        state = 0.9 * state + 0.35 * rng.normal()
        log_pm25[hour] = 3.4 - 0.1 * wind[hour] + state
    pm25 = np.round(np.exp(log_pm25), 1)
    missing = np.zeros(N, bool)
    missing[:3] = missing[50:90] = True
    missing[rng.integers(100, N, 12)] = True
    return wind, pm25, missing


def rows_of(N=600, seed=0):
    """Rows as texts: time, PM2.5 ("" where missing), wind, wind direction."""
    wind, pm25, missing = made_up(N, seed)
    for hour in range(N):
        time = FIRST + datetime.timedelta(hours=hour)
        yield (
            time,
            "" if missing[hour] else str(pm25[hour]),
            f"{wind[hour]:.2f}",
            "NS"[hour % 5 > 2],
        )


def write_plain(path, rows=None, header=("when", "fine dust", "wind", "from")):
    """The plain layout: time and named columns."""
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        for time, *cells in rows_of() if rows is None else rows:
            writer.writerow([time.isoformat(sep=" ") if hasattr(time, "year") else time, *cells])
    return path


def write_uci(path, N=600):
    """The layout of the UCI files of Beijing's stations."""
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        time = ("year", "month", "day", "hour")
        writer.writerow(["No", *time, "pm2.5", "TEMP", "SO2", "cbwd", "station"])
        for number, (time, pm25, wind, side) in enumerate(rows_of(N), start=1):
            parts = (time.year, time.month, time.day, time.hour)
            writer.writerow([number, *parts, pm25 or "NA", wind, "3", side, "A"])
    return path
