# The public names: those of everyday use, then the rooms that hold the others.
from . import air as air
from . import aqi as aqi
from . import callbacks as callbacks
from . import data as data
from . import estimators as estimators
from . import losses as losses
from . import policies as policies
from . import rewards as rewards
from . import study as study
from . import surrogates as surrogates
from . import training as training
from .callbacks import BackupAndRestore as BackupAndRestore
from .callbacks import GradientMonitor as GradientMonitor
from .callbacks import StopOnBadBatch as StopOnBadBatch
from .decision import DecisionTuner as DecisionTuner
from .estimators import expected_reward as expected_reward
from .losses import PolicyGradientLoss as PolicyGradientLoss
from .losses import RewardMetric as RewardMetric
from .losses import SurrogateLoss as SurrogateLoss
from .rewards import at_least as at_least
from .rewards import at_most as at_most
from .rewards import get_reward as get_reward
from .saving import export_decision as export_decision
from .saving import load_model as load_model
from .tabular import PolicyGradientBoostingClassifier as PolicyGradientBoostingClassifier
from .tabular import PolicyGradientClassifier as PolicyGradientClassifier
from .tabular import PolicyGradientLevelRegressor as PolicyGradientLevelRegressor
from .tabular import PolicyGradientRanker as PolicyGradientRanker
from .tabular import boosting as boosting
from .tabular import reward_scorer as reward_scorer
from .training import finetune as finetune

__version__: str
__all__: list[str]
