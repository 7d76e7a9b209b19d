"""Every reward computed from scikit-learn, or from the formula that forecasters write."""

import warnings

import numpy as np
import scipy.stats
from sklearn import metrics as sk


def averaged(function, **options):
    def twin(average):
        def score(y, a, w, K, multilabel):
            labels = list(range(y.shape[1] if multilabel else K))
            extra = {} if average == "binary" else {"labels": labels}
            if average == "samples" or (multilabel and function is sk.accuracy_score):
                extra = {}
            return function(
                y, a, average=average, sample_weight=w, zero_division=0.0, **extra, **options
            )

        return score

    return {
        ("" if a == "binary" else f"_{a}"): twin(a)
        for a in ("binary", "macro", "micro", "weighted", "samples")
    }


def specificity(average):
    def score(y, a, w, K, multilabel):
        if multilabel:
            per = [
                sk.recall_score(1 - y[:, k], 1 - a[:, k], sample_weight=w, zero_division=0.0)
                for k in range(y.shape[1])
            ]
        else:
            per = [
                sk.recall_score(y != k, a != k, sample_weight=w, zero_division=0.0)
                for k in ([1] if average == "binary" else range(K))
            ]
        return np.mean(per)

    return score


def geometric_mean(y, a, w, K, multilabel):
    present = np.unique(y[w > 0])
    recalls = sk.recall_score(y, a, labels=present, average=None, sample_weight=w)
    return np.prod(recalls) ** (1 / len(present))


def worst_recall(y, a, w, K, multilabel):
    present = np.unique(y[w > 0])
    return min(sk.recall_score(y, a, labels=present, average=None, sample_weight=w))


def level_errors(over_classes):
    """Minus the mean absolute level errors of the classes that occur, put together."""

    def score(y, a, w, K, multilabel):
        classes = np.unique(y[w > 0])
        errors = [np.average(np.abs(a[y == k] - k), weights=w[y == k]) for k in classes]
        return -over_classes(errors)

    return score


def harmonic_mean(y, a, w, K, multilabel):
    present = np.unique(y[w > 0])
    recalls = sk.recall_score(y, a, labels=present, average=None, sample_weight=w)
    return scipy.stats.hmean(recalls)


def peirce(y, a, w, K, multilabel):
    C = sk.confusion_matrix(y, a, labels=range(K), sample_weight=w) / w.sum()
    true, predicted = C.sum(1), C.sum(0)
    if (true > 0).sum() < 2:
        return 0.0
    return (np.trace(C) - true @ predicted) / (1 - true @ true)


def gerrity(y, a, w, K, multilabel):
    edges = [k for k in range(1, K) if 0 < w[y >= k].sum() < w.sum()]
    return np.mean([peirce((y >= k) * 1, (a >= k) * 1, w, 2, False) for k in edges] or [0.0])


def two_by_two(score):
    def twin(y, a, w, K, multilabel):
        (r, f), (m, h) = sk.confusion_matrix(y, a, labels=[0, 1], sample_weight=w)
        return score(h, m, f, r)

    return twin


def threat(h, m, f, r):
    chance = (h + m) * (h + f) / (h + m + f + r)
    return (h - chance) / (h + m + f - chance) if m + f > 0 or h * r > 0 else 0.0


def sedi(h, m, f, r):
    if h + m == 0 or f + r == 0:
        return 0.0
    signs = {"f": 1, "m": 1, "h": -1, "r": -1}
    ends = [signs[name] for name, count in zip("hmfr", (h, m, f, r), strict=True) if count == 0]
    if ends:
        return np.mean(ends)
    H, F = h / (h + m), f / (f + r)
    return (np.log(F) - np.log(H) - np.log(1 - F) + np.log(1 - H)) / (
        np.log(F) + np.log(H) + np.log(1 - F) + np.log(1 - H)
    )


def kappa(weights):
    def score(y, a, w, K, multilabel):
        # 0/0 (one class throughout) is 0 here and NaN in scikit-learn.
        return np.nan_to_num(
            sk.cohen_kappa_score(y, a, weights=weights, labels=list(range(K)), sample_weight=w)
        )

    return score


def within(bins):
    return lambda y, a, w, K, m: np.average(np.abs(y - a) <= bins, weights=w)


TWINS = {
    **{f"f1{k}": v for k, v in averaged(sk.fbeta_score, beta=1).items()},
    **{f"f2{k}": v for k, v in averaged(sk.fbeta_score, beta=2).items()},
    **{f"f0.5{k}": v for k, v in averaged(sk.fbeta_score, beta=0.5).items()},
    **{f"jaccard{k}": v for k, v in averaged(sk.jaccard_score).items()},
    **{f"precision{k}": v for k, v in averaged(sk.precision_score).items()},
    **{f"recall{k}": v for k, v in averaged(sk.recall_score).items()},
    "specificity": specificity("binary"),
    "specificity_macro": specificity("macro"),
    "accuracy": lambda y, a, w, K, m: sk.accuracy_score(y, a, sample_weight=w),
    "hamming": lambda y, a, w, K, m: 1 - sk.hamming_loss(y, a, sample_weight=w),
    "within_1": within(1),
    "within_2": within(2),
    "neg_mean_level_error": lambda y, a, w, K, m: -sk.mean_absolute_error(y, a, sample_weight=w),
    "neg_amae": level_errors(np.mean),
    "neg_mmae": level_errors(np.max),
    "cohen_kappa": kappa(None),
    "cohen_kappa_linear": kappa("linear"),
    "cohen_kappa_quadratic": kappa("quadratic"),
    "balanced_accuracy": lambda y, a, w, K, m: sk.balanced_accuracy_score(y, a, sample_weight=w),
    "matthews_corrcoef": lambda y, a, w, K, m: sk.matthews_corrcoef(y, a, sample_weight=w),
    "g_mean": geometric_mean,
    "worst_class_recall": worst_recall,
    "h_mean": harmonic_mean,
    "peirce_skill_score": peirce,
    "gerrity": gerrity,
    "equitable_threat_score": two_by_two(threat),
    "sedi": two_by_two(sedi),
}


def twin(name, y, a, w, K, multilabel):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of empty classes and 0/0
        return TWINS[name](y, a, np.ones(len(y)) if w is None else w, K, multilabel)
