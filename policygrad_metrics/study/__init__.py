"""The comparison of methods: fair, resumable, reported (floor 5).

Reading order: `settings.py` (what is asked), `plan.py` (what is trained), `train.py` and
`evaluate.py` (a run), `runs.py` (runs on disk), `table.py` (summed up), `content.py` with
`report.py`, `markdown.py` and `plots.py` (reported), `compare.py` (all of it in order).

Nothing is imported here: the settings must be had without TensorFlow, the reports without it too.
"""
