"""Diagnostics: what they report is what enumeration and formulas say."""

import itertools
import json

import numpy as np
import pytest
import tensorflow as tf
from enumeration import all_label_sets, blackbox, chances, problem, slow_truth

import policygrad_metrics as pgm
from policygrad_metrics.cli import main as cli
from policygrad_metrics.study.diagnostics import measure_gradients, published, toy_problem


def test_variance_and_bias_are_those_of_enumeration():
    logits, y_true = problem((3,), 2)
    f1, draws = pgm.get_reward("f1_macro"), 1024
    _, truth = slow_truth(f1, logits, y_true)
    labels = all_label_sets((3,), 2)
    chance = chances(logits, labels)
    report = measure_gradients(
        y_true, logits, "f1_macro", estimators=["coma", "straight_through"], samples=1, draws=draws
    )
    for row in report.records:
        estimator = pgm.estimators.get_estimator(row["estimator"], samples=1)
        every = np.array(
            [estimator.from_samples(logits, f1, y_true, one[None]).gradient for one in labels]
        )
        mean = np.einsum("s,snk->nk", chance, every)
        squares = ((every - mean) ** 2).sum(axis=(1, 2))
        variance = chance @ squares
        # The measured variance has standard error sd(squares) / sqrt(draws); 4.5 of them.
        noise = 4.5 * np.sqrt(chance @ (squares - variance) ** 2 / draws)
        norm = np.linalg.norm(truth)
        assert abs(row["variance"] * norm**2 - variance) < noise
        bias = np.linalg.norm(mean - truth) / norm
        assert abs(row["bias"] - bias) < 4.5 * row["bias_noise"]
        assert row["unbiased"] == (bias < 1e-5)
        assert row["error"] == pytest.approx(
            row["variance"] * (1 - 1 / draws) + row["bias"] ** 2 + row["bias_noise"] ** 2, rel=0.02
        )


def test_reward_calls_are_counted_not_claimed():
    y_true, logits = toy_problem(12, 2)
    report = measure_gradients(
        y_true,
        logits,
        "f1",
        estimators={
            "exact": pgm.estimators.ExactExpectation(),
            "greedy": pgm.estimators.Reinforce(4, "greedy"),
            "local": pgm.estimators.LocalExpectation(4),
            "muprop": pgm.estimators.get_estimator("muprop", samples=4),
        },
        draws=2,
    )
    calls = {
        row["estimator"]: (row["reward_calls"], row["flipped_sets"], row["soft_scores"])
        for row in report.records
    }
    assert calls["exact"] == (0, 0, 0)
    assert calls["greedy"] == (5, 0, 0)
    assert calls["local"] == (4, 4, 0)
    assert calls["muprop"] == (4, 0, 1)


def test_truth_is_exact_enumerated_sampled_or_refused():
    def truth(reward, sites, K=2, **options):
        y_true, logits = toy_problem(sites, K)
        return measure_gradients(
            y_true, logits, reward, estimators=["reinforce"], draws=2, **options
        ).setting

    assert truth("f1", 64)["truth"] == "exact"
    assert truth(pgm.rewards.BlackBox(blackbox), 4)["truth"] == "enumerate"
    sampled = truth("worst_class_recall", 40, 3)
    assert sampled["truth"].startswith("local expectation")
    assert 0.0 < sampled["truth_error"] < 0.01
    with pytest.raises(TypeError, match=r"black box 'blackbox'.*16 sites.*truth="):
        truth(pgm.rewards.BlackBox(blackbox), 64)
    with pytest.raises(ValueError, match=r"shaped like the logits, \(64, 2\)"):
        truth("f1", 64, truth=np.zeros([64]))
    assert (
        truth("f1", 64, truth=pgm.estimators.LocalExpectation(4, False))["truth"]
        == "LocalExpectation"
    )
    with pytest.raises(ValueError, match="gradient is zero"):
        measure_gradients([0, 1], tf.constant([[200.0, 0.0], [0.0, 200.0]]), "f1")


@pytest.mark.slow
def test_skipped_by_default_and_refused_by_name():
    y_true, logits = toy_problem(9, 3)
    report = measure_gradients(y_true, logits, "worst_class_recall", draws=2, samples=2, warm_up=2)
    assert "no exact expectation" in report.skipped["exact"]
    assert "two classes" in report.skipped["disarm"]
    with pytest.raises(TypeError, match="two classes"):
        measure_gradients(y_true, logits, "f1_macro", estimators=["disarm"], draws=2)
    with pytest.raises(ValueError, match="did you mean 'muprop'"):
        measure_gradients(y_true, logits, "f1_macro", estimators=["mu_prop"], draws=2)


def test_multilabel_outputs_and_weights():
    rng = np.random.default_rng(0)
    y_true, outputs = rng.integers(0, 2, [6, 3]), rng.normal(size=[6, 3]).astype("float32")
    report = measure_gradients(
        y_true, outputs, "f1_samples", policy="sigmoid", sample_weight=[1, 2, 1, 0, 1, 1],
        estimators=["disarm"], draws=2,
    )  # fmt: skip
    assert report.setting["truth"] == "exact"
    assert report.setting["sites"] == 18


def test_command_writes_table_data_and_picture(tmp_path, capsys):
    words = ["variance", "--quick", "--batch", "16", "--classes", "2", "--draws", "4"]
    words += ["--estimators", "exact,disarm", "--out", str(tmp_path)]
    assert cli.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("f1_macro: 16 sites, 2 classes, 4 draws; expected reward 0.")
    assert [line.split("|")[1].strip() for line in lines[4:]] == ["exact", "disarm"]
    saved = json.loads((tmp_path / "gradients.json").read_text())
    assert [row["estimator"] for row in saved["records"]] == ["exact", "disarm"]
    assert (tmp_path / "gradients.png").stat().st_size > 10_000
    assert cli.main(["variance", "--estimators", "exakt"]) == 2
    assert "did you mean 'exact'" in capsys.readouterr().err
    assert cli.main(["variance", "--csv", "a.csv"]) == 2
    assert "--model FILE.keras goes with --csv" in capsys.readouterr().err
    assert cli.main(["variance", "--draws", "1"]) == 2
    assert "--draws must be at least 2" in capsys.readouterr().err


def test_command_reads_a_network_and_its_data(tmp_path, capsys):
    import keras

    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3)])
    model.save(tmp_path / "net.keras")
    rows = ["a,label,b", *(f"{i / 7},{i % 3},{i % 5}" for i in range(9))]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(rows))
    words = ["variance", "--model", str(tmp_path / "net.keras"), "--csv", str(table)]
    words += ["--estimators", "coma", "--draws", "2", "--json", "--out", str(tmp_path)]
    assert cli.main([*words, "--target", "label", "--batch", "7"]) == 0
    report = json.loads(capsys.readouterr().out)
    x = np.array([[i / 7, i % 5] for i in range(7)], np.float32)
    exact = pgm.estimators.ExactExpectation()(
        model(x), pgm.get_reward("f1_macro"), np.arange(7) % 3
    )
    assert report["setting"]["expected_reward"] == pytest.approx(float(exact.value), abs=1e-6)
    assert cli.main([*words, "--target", "b"]) == 2
    assert "no label of the Softmax policy" in capsys.readouterr().err
    table.write_text("\n".join([*rows, "x,1,2"]))
    assert cli.main([*words, "--target", "label"]) == 2
    assert "numbers only" in capsys.readouterr().err


@pytest.mark.slow
def test_published_experiments_come_out_as_published():
    exact, *rest = published.kool_records(4096, etas=(-4.0,), sizes=(2,))
    assert exact["ours"] == pytest.approx(exact["reference"], rel=5e-3)
    for row in rest:
        # The references are rounded to two digits and have noise of their own.
        noise = 4.5 * row["standard_error"] + 0.05 * row["reference"]
        assert abs(row["ours"] - row["reference"]) < 2 * noise, row
    assert abs(rest[-1]["ours"] - 2.978e-5) < 4.5 * rest[-1]["standard_error"]  # see below
    disarm = published.toy_records(256, names=["disarm"])
    assert disarm[0]["ours"] < 1e-14
    assert "| disarm, variance | theta = 0.5, k = 2 |" in published.published_table(disarm)


def small_fit(loss, *callbacks, bias=0.0, epochs=1):
    import keras

    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3)).astype("float32")
    y = (x[:, 0] + rng.normal(size=64) > 0).astype("int32")
    model = keras.Sequential([keras.layers.Dense(2, kernel_initializer="zeros")])
    model.build((None, 3))
    model.layers[0].bias.assign([0.0, bias])
    model.compile(keras.optimizers.SGD(1e-3), loss=loss, run_eagerly=True)
    monitor = pgm.GradientMonitor(x, y, batch_size=16)
    history = model.fit(
        x, y, batch_size=32, epochs=epochs, verbose=0, callbacks=[monitor, *callbacks]
    )
    return history.history, model, x, y


def test_monitor_logs_what_the_formulas_say(tmp_path):
    import keras

    csv = tmp_path / "log.csv"
    loss = pgm.PolicyGradientLoss("f1_macro", cross_entropy=0.0)
    history, model, x, y = small_fit(loss, keras.callbacks.CSVLogger(str(csv)))
    assert csv.read_text().startswith("epoch,gradient_snr,loss,policy_entropy")
    probs = tf.nn.softmax(model(x)).numpy()
    entropy = -(probs * np.log(probs)).sum(-1).mean()
    assert history["policy_entropy"][0] == pytest.approx(entropy, rel=1e-5)
    gradients = []
    for rows in np.split(np.arange(64), 4):
        with tf.GradientTape() as tape:
            value = loss(y[rows], model(x[rows]))
        slopes = tape.gradient(value, model.trainable_variables)
        gradients.append(np.concatenate([s.numpy().ravel() for s in slopes]))
    mean, noise = np.mean(gradients, 0), np.var(gradients, 0, ddof=1).sum()
    snr = np.sqrt(max((mean**2).sum() - noise / 4, 0) / noise)
    assert history["gradient_snr"][0] == pytest.approx(snr, rel=1e-4)


@pytest.mark.slow
def test_monitor_warns_once_of_a_policy_that_is_certain_where_it_is_wrong():
    with pytest.warns(RuntimeWarning, match=r"collapsed in epoch 0: it decides \d+% of") as caught:
        small_fit(pgm.PolicyGradientLoss("f1_macro"), bias=20.0, epochs=2)
    assert sum("collapsed" in str(w.message) for w in caught) == 1
    small_fit(pgm.PolicyGradientLoss("f1_macro"), bias=2.0)  # sure, not certain: no warning


def test_monitor_leaves_a_moving_average_alone():
    loss = pgm.PolicyGradientLoss(
        "f1_macro",
        gradient_estimator=pgm.estimators.Reinforce(2, "moving_average"),
        cross_entropy=0.0,
    )
    monitor = pgm.GradientMonitor(np.zeros([4, 1]), [0, 1, 0, 1], batch_size=2)
    import keras

    model = keras.Sequential([keras.layers.Dense(2)])
    model.build((None, 1))
    model.compile("sgd", loss=loss)
    monitor.set_model(model)
    monitor.on_train_begin()
    before = [v.numpy() for v in loss.variables]
    logs = {}
    monitor.on_epoch_end(0, logs)
    assert [v.numpy() for v in loss.variables] == before
    assert set(logs) == {"gradient_snr", "policy_entropy"}


def test_monitor_errors():
    import keras

    with pytest.raises(ValueError, match="at least two batches of batch_size=256"):
        pgm.GradientMonitor(np.zeros([300, 1]), np.zeros(300))
    with pytest.raises(ValueError, match="as many rows"):
        pgm.GradientMonitor(np.zeros([300, 1]), np.zeros(200), batch_size=8)
    monitor = pgm.GradientMonitor(np.zeros([4, 1]), np.zeros(4), batch_size=2)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    monitor.set_model(model)
    with pytest.raises(ValueError, match="PolicyGradientLoss or SurrogateLoss"):
        monitor.on_train_begin()


def in_any_order(chance, chosen):
    """The probability that draws without replacement give this set."""
    total = 0.0
    for order in itertools.permutations(chosen):
        left, product = sum(chance.values()), 1.0
        for one in order:
            product *= chance[one] / left
            left -= chance[one]
        total += product
    return total


@pytest.mark.parametrize(
    ("eta", "k", "expected"),
    [(0, 2, 6.11e-3), (0, 4, 1.13e-3), (-4, 2, 2.98e-5), (-4, 4, 1.06e-6)],
)
def test_the_variance_of_unordered_sets_over_all_subsets(eta, k, expected):
    """The formulas of Kool 2020 in plain Python, on its three Bernoullis."""
    on = 1 / (1 + np.exp(-eta))
    chance = {
        x: np.prod([on if b else 1 - on for b in x]) for x in itertools.product((0, 1), repeat=3)
    }
    reward = {
        x: sum((b - p) ** 2 for b, p in zip(x, (0.6, 0.51, 0.48), strict=True)) for x in chance
    }

    def without(*gone):
        return {x: p for x, p in chance.items() if x not in gone}

    moments = np.zeros(2)
    for chosen in itertools.combinations(chance, k):
        whole, gradient = in_any_order(chance, chosen), 0.0
        for s in chosen:
            rest = [x for x in chosen if x != s]
            first = in_any_order(without(s), rest)
            baseline = chance[s] * reward[s] + sum(
                chance[t]
                * reward[t]
                * in_any_order(without(s, t), [x for x in rest if x != t])
                / first
                for t in rest
            )
            gradient += chance[s] * first / whole * (reward[s] - baseline) * (sum(s) - 3 * on)
        moments += whole * np.array([gradient, gradient**2])
    assert moments[0] == pytest.approx(published._KOOL_GRADIENT[eta], rel=1e-3)
    assert moments[1] - moments[0] ** 2 == pytest.approx(expected, rel=5e-3)
