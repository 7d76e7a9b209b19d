"""The comparison of methods: fair, resumable, reported.

Reading order: `settings.py` (what is asked), `plan.py` (what is trained), `train.py` and
`evaluate.py` (a run), `runs.py` (runs on disk), `table.py` and `overall.py` (summed up, on a data
set and over them), `content.py` with `report.py`, `markdown.py` and `plots.py` (reported),
`compare.py` with `workers.py` and `processes.py` (all of it in order).

Nothing is imported here: the settings must be had without TensorFlow, the reports without it too.
"""
