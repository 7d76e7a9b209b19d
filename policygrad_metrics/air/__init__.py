"""Hourly air-quality stations: from a file to features and levels to forecast.

    station = read_station("beijing.csv.gz")               # every hour, gaps as NaN, reported
    task = forecast_task(station, "us_epa_2024", horizon=24)  # features, levels, three parts

Reading order: `station.py`, `features.py` (what may be known when), `task.py`.
"""

from policygrad_metrics.air.station import Station, convert_unit, read_station
from policygrad_metrics.air.task import ForecastTask, forecast_task

__all__ = ["ForecastTask", "Station", "convert_unit", "forecast_task", "read_station"]
