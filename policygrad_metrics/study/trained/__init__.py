"""One method on one table as a model to keep: trained, judged, saved, and used on new rows.

Reading order: `schema.py` (the columns), `drift.py` (how new rows differ), `models.py` and
`decider.py` (from columns to labels), `judge.py` (test scores, importance), `card.py` (in words),
`table.py` (all of it together, saved and loaded), `fit.py` (trained), `stream.py` (long files).
"""
