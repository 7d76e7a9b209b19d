"""Training many replicas of one network as one compiled program (floor 4).

Read `records.py` (what goes in and comes out), then `program.py` (one replica's step, stacked),
then `replicas.py` (epochs, early stopping, the way back); `refit.py` trains on validation data too.
"""

from policygrad_metrics.training.network import Network
from policygrad_metrics.training.records import Replica, Trained
from policygrad_metrics.training.refit import refit_replicas
from policygrad_metrics.training.replicas import train_replicas

__all__ = [
    "Network",
    "Replica",
    "Trained",
    "refit_replicas",
    "train_replicas",
]
