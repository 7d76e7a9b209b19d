"""`balanced_batches`: a floor on every class, and weights that undo it."""

import keras
import numpy as np
import pytest

import policygrad_metrics as pgm

COUNTS = (700, 250, 40, 10)
Y = np.random.default_rng(0).permutation(np.repeat(np.arange(4), COUNTS))
X = np.arange(1000)


def passed(batches):
    return [[part.numpy() for part in batch] for batch in batches]


def test_every_batch_has_the_floor_and_the_datas_weighted_shares():
    batches = passed(pgm.training.balanced_batches(X, Y, batch_size=64, at_least=5, seed=1))
    assert len(batches) == 16  # 1000 / 64, rounded up
    for x, y, weight in batches:
        np.testing.assert_array_equal(Y[x], y)
        counts = np.bincount(y, minlength=4)
        assert counts.sum() == 64
        assert (counts[2:] == 5).all()
        # 54 are left for the first two, in proportion 700 : 250.
        assert counts[:2].tolist() == [40, 14]
        shares = np.bincount(y, weight, minlength=4) / weight.sum()
        np.testing.assert_allclose(shares, np.array(COUNTS) / 1000, rtol=1e-6)
        assert weight.mean() == pytest.approx(1.0, abs=1e-6)


def test_the_weighted_reward_of_a_pass_is_that_of_the_data():
    """Every class seen in whole passes: the counts are then exactly the data's."""
    y = np.repeat([0, 1], [48, 16])
    labels = np.where(np.arange(64) % 3 == 0, 1 - y, y)
    batches = pgm.training.balanced_batches(labels, y, batch_size=16, at_least=8, seed=0)
    # 4 batches of 8 and 8: class 1 comes twice, two thirds of class 0 once.
    metric = pgm.RewardMetric("accuracy", policy="softmax")
    seen = []
    for a, truth, weight in batches:
        metric.update_state(truth, np.eye(2, dtype=np.float32)[a], weight)
        seen.append(np.stack([truth, a, weight]))
    truth, a, weight = np.concatenate(seen, axis=1)
    assert float(metric.result()) == pytest.approx(np.average(truth == a, weights=weight), abs=1e-6)
    of_class_1 = truth == 1
    expected = (labels[y == 1] == 1).mean()
    assert (a[of_class_1] == 1).mean() == pytest.approx(expected)


def test_examples_of_a_class_come_once_before_any_comes_again():
    batches = passed(pgm.training.balanced_batches(X, Y, batch_size=64, at_least=5, seed=1))
    rows = np.concatenate([x for x, _, _ in batches])
    for k, per_batch in enumerate((40, 14, 5, 5)):
        seen = np.bincount(rows[Y[rows] == k], minlength=1000)[np.equal(Y, k)]
        assert seen.sum() == 16 * per_batch
        assert seen.max() - seen.min() <= 1


def test_the_order_depends_on_seed_and_epoch_alone():
    first, other = (pgm.training.balanced_batches(X, Y, batch_size=64, seed=3) for _ in range(2))
    keras.utils.set_random_seed(1)
    passes = [passed(first), passed(first)]
    keras.utils.set_random_seed(2)
    again = [passed(other), passed(other)]
    for a, b in zip(passes, again, strict=True):
        np.testing.assert_array_equal([x for x, _, _ in a], [x for x, _, _ in b])
    assert any((a[0] != b[0]).any() for a, b in zip(*passes, strict=True))
    third = passed(pgm.training.balanced_batches(X, Y, batch_size=64, seed=4))
    assert any((a[0] != b[0]).any() for a, b in zip(passes[0], third, strict=True))


def test_strata_for_targets_that_are_no_classes():
    values = np.where(Y == 3, 400.0, 10.0 * Y)
    x, y, _ = next(iter(pgm.training.balanced_batches({"a": X}, values, strata=Y, batch_size=32)))
    np.testing.assert_array_equal(values[x["a"]], y)
    assert (np.bincount(Y[x["a"]], minlength=4) >= 2).all()
    assert len(next(iter(pgm.training.balanced_batches(X, Y, batch_size=32, weighted=False)))) == 2


def test_fit_takes_them():
    x = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    x[:, 0] += Y
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(4)])
    metric = pgm.RewardMetric("f1_macro")
    loss = pgm.PolicyGradientLoss("f1_macro")
    model.compile("adam", loss=loss, weighted_metrics=[metric], jit_compile=False)
    batches = pgm.training.balanced_batches(x, Y, batch_size=100)
    history = model.fit(batches, epochs=2, shuffle=False, verbose=0).history
    assert len(history["loss"]) == 2
    assert int(model.optimizer.iterations) == 20


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"classes \[1\] have no example"):
        pgm.training.balanced_batches(X[:2], [0, 2], batch_size=8)
    with pytest.raises(ValueError, match="Give strata="):
        pgm.training.balanced_batches(X[:2], [0.5, 2.0], batch_size=8)
    with pytest.raises(ValueError, match="Give strata="):
        pgm.training.balanced_batches(X[:2], np.eye(2), batch_size=8)
    with pytest.raises(ValueError, match="batch_size must be"):
        pgm.training.balanced_batches(X, Y, batch_size=3)
    with pytest.raises(ValueError, match="at_least must be a whole number from 1 to 8"):
        pgm.training.balanced_batches(X, Y, batch_size=32, at_least=9)
    with pytest.raises(ValueError, match="same number of examples"):
        pgm.training.balanced_batches(X[:5], Y, batch_size=32)
