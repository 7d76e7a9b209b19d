"""Keras callbacks: stop on a bad batch, back up and restore, watch the gradient.

Each file holds one callback; `backup_file.py` is the file that `backup.py` writes.
"""

from policygrad_metrics.callbacks.backup import BackupAndRestore
from policygrad_metrics.callbacks.gradient_monitor import GradientMonitor
from policygrad_metrics.callbacks.stop_on_bad_batch import StopOnBadBatch

__all__ = ["BackupAndRestore", "GradientMonitor", "StopOnBadBatch"]
