"""Training networks: many replicas as one compiled program, fine-tuning, and batches.

Replicas, the scikit-learn estimators and `finetune` share one epoch driver and one rule of early
stopping (`stopping.py`), and one order of the examples and one hold-out (`order.py`). Of epochs
with the same validation reward, the last is the best.
Replicas and the estimators also share `program.py` (the compiled functions of one network or of
many stacked ones), `optimizer.py` (Keras's optimizers as functions) and `weights.py` (a row of
numbers and back). `finetune` trains an epoch with Keras's
`fit`, because a given model may be of any kind.
For replicas read `records.py` (what goes in and comes out), then `replicas.py` (the plan, and
training on validation data too) and `stack.py` (epochs and results). `shuffling.py` and
`balanced.py` make batches for Keras's `fit`.
"""

from policygrad_metrics.training.balanced import balanced_batches
from policygrad_metrics.training.distributed import DistributedModel
from policygrad_metrics.training.finetune import FineTuningSettings, finetune
from policygrad_metrics.training.finetune_validation import FineTuned
from policygrad_metrics.training.network import Network
from policygrad_metrics.training.records import Replica, Trained, TrainingSettings
from policygrad_metrics.training.replicas import refit_replicas, train_replicas
from policygrad_metrics.training.shuffling import shuffled_batches

__all__ = [
    "DistributedModel",
    "FineTuned",
    "FineTuningSettings",
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
