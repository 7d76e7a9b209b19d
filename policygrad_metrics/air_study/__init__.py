"""Forecasts of air-quality levels: methods side by side on one station's file (floor 5).

Reading order: `settings.py` (what is asked), `forecasters.py` and `train.py` (what is trained),
`predictions.py` (what is kept beside the runs), `scores.py`, `content.py` and `plots.py` (what is
reported), `forecast.py` (all of it in order). Runs, tables and pages are those of `study`.

Nothing is imported here, so that settings can be had without TensorFlow.
"""
