"""Training networks: many replicas as one compiled program, fine-tuning, and batches.

Every training shares `step.py` (one step of one network), `optimizer.py` (Keras's optimizers as
functions), `weights.py` (a row of numbers and back), `stopping.py` (the best epoch, and when to
end) and `order.py` (the order of examples, held-out rows).
For replicas read `records.py` (what goes in and comes out), `program.py` (the step stacked), then
`run.py` and `replicas.py` (epochs and the way back); `refit.py` trains on validation data too.
`finetune.py` tunes a trained Keras model; `shuffling.py` and `balanced.py` feed Keras's own `fit`.
"""

from policygrad_metrics.training.balanced import balanced_batches
from policygrad_metrics.training.distributed import DistributedModel
from policygrad_metrics.training.finetune import finetune
from policygrad_metrics.training.finetune_validation import FineTuned
from policygrad_metrics.training.network import Network
from policygrad_metrics.training.records import Replica, Trained, TrainingSettings
from policygrad_metrics.training.refit import refit_replicas
from policygrad_metrics.training.replicas import train_replicas
from policygrad_metrics.training.shuffling import shuffled_batches

__all__ = [
    "DistributedModel",
    "FineTuned",
    "Network",
    "Replica",
    "Trained",
    "TrainingSettings",
    "balanced_batches",
    "finetune",
    "refit_replicas",
    "shuffled_batches",
    "train_replicas",
]
