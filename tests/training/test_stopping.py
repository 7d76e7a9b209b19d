"""Which epoch is kept, and when a training ends."""

import numpy as np

from policygrad_metrics.training.stopping import EarlyStopping, best_epoch


def test_of_epochs_with_the_same_reward_the_last_is_kept():
    stopping = EarlyStopping(2, patience=2, to_beat=0.4)
    kept = [stopping.update(rewards).tolist() for rewards in ((0.4, 0.5), (0.3, 0.5), (0.9, 0.5))]
    # The first is never better than 0.4 and ends after two epochs; the second ends after two
    # epochs without a rise, and keeps the last that it saw.
    assert kept == [[False, True], [False, True], [False, True]]
    assert stopping.best_epoch.tolist() == [-1, 2]
    assert not stopping.active.any()
    assert best_epoch([0.4, 0.5, 0.6, 0.6, 0.5]) == 3
    assert best_epoch([0.4, 0.4]) == 0


def test_a_fall_of_cross_entropy_counts_for_patience_and_not_for_the_best_epoch():
    stopping = EarlyStopping(patience=2)
    for reward, cross_entropy in ((0.5, 0.9), (0.4, 0.8), (0.4, 0.7), (0.4, 0.7)):
        assert stopping.active.all()
        stopping.update([reward], cross_entropy=[cross_entropy])
    assert stopping.best_epoch.tolist() == [0]
    assert stopping.active.all()
    stopping.update([0.4], cross_entropy=[0.7])
    assert not stopping.active.any()


def test_a_training_that_is_not_finite_ends_and_lengths_choose_nothing():
    stopping = EarlyStopping(3, lengths=[1, 3, 3])
    assert stopping.update([0.5, 0.9, np.nan], [True, True, False]).tolist() == [True, True, False]
    assert stopping.active.tolist() == [False, True, False]
    assert stopping.update([0.5, 0.1, 0.9]).tolist() == [False, True, False]
    assert stopping.best_epoch.tolist() == [0, 1, -1]
