"""Hourly air-quality stations: from a file to features and levels to forecast.

    station = read_station("beijing.csv.gz")               # every hour, gaps as NaN, reported
    task = forecast_task(station, "us_epa_2024", horizon=24)  # features, levels, three parts

Reading order: `station.py`, `features.py` (what may be known when), `task.py`, `comparison.py`.
Names are imported when first used: station files must be had without TensorFlow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
