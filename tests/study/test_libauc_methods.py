"""LibAUC's networks in the comparison; the tests need `libauc`, which brings PyTorch."""

import numpy as np
import pytest

from policygrad_metrics.data import load, prepare, split
from policygrad_metrics.rewards import get_reward
from policygrad_metrics.study.methods import METHODS, TaskInfo

torch = pytest.importorskip("torch")
pytest.importorskip("libauc")
NAMES = ("libauc_auc_margin", "libauc_average_precision")


@pytest.fixture(scope="module")
def parts():
    dataset = load("breast_cancer")
    return prepare(dataset, split(dataset, 0))


def trained(name, parts, *valid):
    info = TaskInfo.of("ranking", "average_precision", parts.y_train, 2)
    return METHODS[name].model(info, seed=3).fit(parts.x_train, parts.y_train, *valid)


@pytest.mark.parametrize("name", NAMES)
def test_it_ranks_and_the_validation_part_chooses_the_epoch(name, parts):
    reward = get_reward("average_precision")
    model = trained(name, parts, parts.x_valid, parts.y_valid)
    longer = trained(name, parts)
    assert model.epochs_ <= longer.epochs_ == 300  # 600 steps, two an epoch
    chances = model.predict_proba(parts.x_valid)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, rtol=1e-12)
    best = reward(parts.y_valid, chances[:, 1])
    assert best >= reward(parts.y_valid, longer.predict_proba(parts.x_valid)[:, 1])
    assert reward(parts.y_test, model.predict_proba(parts.x_test)[:, 1]) > 0.9
    assert model.refit(parts.x_train, parts.y_train).epochs_ == model.epochs_


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_bits_and_leaves_pytorch_alone(name, parts):
    states = []
    for _ in range(2):
        torch.manual_seed(7)
        chances = trained(name, parts).predict_proba(parts.x_test)
        states.append((chances.tobytes(), torch.rand(1).item()))
    torch.manual_seed(7)
    assert states[0] == states[1]
    assert states[0][1] == torch.rand(1).item()
