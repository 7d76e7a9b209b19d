from .abstaining import (
    Abstaining as Abstaining,
)
from .abstaining import (
    AnsweredRate as AnsweredRate,
)
from .at_or_above import (
    AtOrAbove as AtOrAbove,
)
from .at_or_above import (
    at_or_above as at_or_above,
)
from .base import (
    ClassCountReward as ClassCountReward,
)
from .base import (
    CountReward as CountReward,
)
from .base import (
    RatioReward as RatioReward,
)
from .base import (
    Reward as Reward,
)
from .black_box import (
    BlackBox as BlackBox,
)
from .constraints import (
    Constraint as Constraint,
)
from .constraints import (
    PredictedRate as PredictedRate,
)
from .constraints import (
    at_least as at_least,
)
from .constraints import (
    at_most as at_most,
)
from .constraints import (
    get_constraint as get_constraint,
)
from .counts import (
    GeometricMean as GeometricMean,
)
from .counts import (
    HarmonicMean as HarmonicMean,
)
from .counts import (
    MatthewsCorrelation as MatthewsCorrelation,
)
from .counts import (
    NegMMAE as NegMMAE,
)
from .counts import (
    WorstClassRecall as WorstClassRecall,
)
from .example_costs import (
    ExampleCosts as ExampleCosts,
)
from .forecasts import (
    SEDI as SEDI,
)
from .forecasts import (
    EquitableThreatScore as EquitableThreatScore,
)
from .hierarchical import (
    HierarchicalF as HierarchicalF,
)
from .levels import (
    Accuracy as Accuracy,
)
from .levels import (
    CohenKappa as CohenKappa,
)
from .levels import (
    GainMatrix as GainMatrix,
)
from .levels import (
    Hamming as Hamming,
)
from .levels import (
    NegMeanLevelError as NegMeanLevelError,
)
from .levels import (
    WithinBins as WithinBins,
)
from .levels import (
    cost_matrix as cost_matrix,
)
from .ranking_metrics import (
    AveragePrecision as AveragePrecision,
)
from .ranking_metrics import (
    DiscountedGain as DiscountedGain,
)
from .ranking_metrics import (
    PrecisionAtK as PrecisionAtK,
)
from .ranking_metrics import (
    RecallAtBudget as RecallAtBudget,
)
from .ranking_metrics import (
    RecallAtK as RecallAtK,
)
from .ranking_metrics import (
    ReciprocalRank as ReciprocalRank,
)
from .ranking_metrics import (
    RocAuc as RocAuc,
)
from .rankings import (
    Ranking as Ranking,
)
from .rankings import (
    RankingReward as RankingReward,
)
from .ratios import (
    FBeta as FBeta,
)
from .ratios import (
    Jaccard as Jaccard,
)
from .ratios import (
    Precision as Precision,
)
from .ratios import (
    Recall as Recall,
)
from .registry import (
    ALIASES as ALIASES,
)
from .registry import (
    RANKING_ALIASES as RANKING_ALIASES,
)
from .registry import (
    RANKINGS as RANKINGS,
)
from .registry import (
    REWARDS as REWARDS,
)
from .registry import (
    get_reward as get_reward,
)
from .registry import (
    ranking_names as ranking_names,
)
from .registry import (
    reward_names as reward_names,
)
from .specificity import (
    Specificity as Specificity,
)
from .true_counts import (
    BalancedAccuracy as BalancedAccuracy,
)
from .true_counts import (
    Gerrity as Gerrity,
)
from .true_counts import (
    NegAMAE as NegAMAE,
)
from .true_counts import (
    PeirceSkillScore as PeirceSkillScore,
)

__all__: list[str]
