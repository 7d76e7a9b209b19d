"""Keras callbacks, regularisers and constraints together with the policy-gradient loss."""

import csv
import json

import keras
import numpy as np
import pytest

import policygrad_metrics as pgm

MONITOR = "val_f1_macro"


def toy(seed=0, N=128):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 4)).astype(np.float32)
    y = np.argmax(x[:, :3] + 0.3 * rng.normal(size=(N, 3)), axis=1)
    return x, y


def network(hidden_options=None, learning_rate=0.05, **compile_options):
    start = [keras.initializers.GlorotUniform(seed=seed) for seed in (0, 1)]
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(8, "tanh", kernel_initializer=start[0], **(hidden_options or {})),
            keras.layers.Dense(3, kernel_initializer=start[1]),
        ]
    )
    # Eagerly, because for such small data compiling would be most of the work.
    model.compile(
        keras.optimizers.Adam(learning_rate),
        loss=pgm.PolicyGradientLoss("f1_macro"),
        metrics=[pgm.RewardMetric("f1_macro")],
        **(compile_options or {"run_eagerly": True}),
    )
    return model


def fit(model, *callbacks, epochs=3, verbose=0):
    x, y = toy()
    return model.fit(
        x[:96],
        y[:96],
        batch_size=32,
        epochs=epochs,
        shuffle=False,
        validation_data=(x[96:], y[96:]),
        callbacks=[*callbacks],
        verbose=verbose,
    )


def score(model):
    x, y = toy()
    return model.evaluate(x[96:], y[96:], verbose=0, return_dict=True)["f1_macro"]


# ---------------------------------------------------------------- Keras's callbacks


class Own(keras.callbacks.Callback):
    """A subclass of one's own: counts batches, and stops once validation's reward is enough."""

    def __init__(self, enough):
        super().__init__()
        self.enough, self.train, self.test = enough, 0, 0

    def on_train_batch_end(self, batch, logs=None):
        self.train += 1

    def on_test_batch_end(self, batch, logs=None):
        self.test += 1

    def on_epoch_end(self, epoch, logs=None):
        if logs[MONITOR] >= self.enough:
            self.model.stop_training = True


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One `fit` with every callback that only listens or sets the rate."""
    folder = tmp_path_factory.mktemp("run")
    own = Own(enough=0.75)
    model = network()
    with (folder / "log.jsonl").open("w") as file:
        history = fit(
            model,
            keras.callbacks.CSVLogger(folder / "log.csv"),
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: file.write(
                    json.dumps({"epoch": epoch, **logs}, default=float) + "\n"
                )
            ),
            keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.02 * 0.9**epoch),
            pgm.StopOnBadBatch(),
            own,
            epochs=40,
        )
    return folder, own, model, history.history


@pytest.mark.slow
def test_history_holds_loss_and_reward_of_both_parts(run):
    _, _, model, history = run
    assert set(history) == {"loss", "f1_macro", "val_loss", MONITOR, "learning_rate"}
    assert history[MONITOR][-1] == pytest.approx(score(model), abs=1e-6)


@pytest.mark.slow
def test_a_subclass_of_your_own(run):
    _, own, _, history = run
    assert 1 < len(history[MONITOR]) < 40
    assert history[MONITOR][-1] >= 0.75 > max(history[MONITOR][:-1])
    assert (own.train, own.test) == (3 * len(history[MONITOR]), len(history[MONITOR]))


@pytest.mark.slow
def test_csv_logger_writes_the_rewards(run):
    folder, _, _, history = run
    with (folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row[MONITOR]) for row in rows] == pytest.approx(history[MONITOR])
    assert [int(row["epoch"]) for row in rows] == list(range(len(history["loss"])))


@pytest.mark.slow
def test_lambda_callback_writes_json_lines(run):
    folder, _, _, history = run
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(len(history["loss"])))
    assert [row[MONITOR] for row in rows] == pytest.approx(history[MONITOR])


@pytest.mark.slow
def test_learning_rate_scheduler_sets_every_epoch(run):
    rates = run[3]["learning_rate"]
    np.testing.assert_allclose(rates, 0.02 * 0.9 ** np.arange(len(rates)), rtol=1e-6)


@pytest.mark.slow
def test_early_stopping_and_checkpoint_keep_the_weights_of_the_best_reward(tmp_path):
    """mode="auto": the metric itself tells Keras that more is better."""
    path = tmp_path / "best.keras"
    stop = keras.callbacks.EarlyStopping(MONITOR, patience=3, restore_best_weights=True)
    keep = keras.callbacks.ModelCheckpoint(path, MONITOR, save_best_only=True)
    model = network(learning_rate=0.5)  # so large that the reward goes up and down
    history = fit(model, stop, keep, epochs=60).history[MONITOR]
    assert len(history) == stop.best_epoch + 1 + 3 < 60
    assert stop.best_epoch == int(np.argmax(history)) > 0
    assert score(model) == pytest.approx(max(history), abs=1e-6)
    best = keras.models.load_model(path)
    assert isinstance(best.loss, pgm.PolicyGradientLoss)
    assert score(best) == pytest.approx(max(history), abs=1e-6)
    assert max(history) > history[-1]  # or best and last could not be told apart


@pytest.mark.slow
def test_reduce_lr_on_plateau_watches_the_reward():
    slow = keras.callbacks.ReduceLROnPlateau(MONITOR, factor=0.5, patience=1, min_delta=2.0)
    model = network(learning_rate=0.08)
    rates = fit(model, slow, epochs=4).history["learning_rate"]
    # A reward cannot rise by 2: every epoch but the first is a plateau.
    np.testing.assert_allclose(rates, [0.08, 0.08, 0.04, 0.02], rtol=1e-6)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)


@pytest.mark.slow
def test_terminate_on_nan_stops_at_a_bad_batch():
    """Under XLA, where the loss cannot raise."""
    x, y = toy()
    x[40] = np.nan  # in the second of four batches
    model = network(jit_compile=True)
    batches = []
    count = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: batches.append(batch)
    )
    stop = keras.callbacks.TerminateOnNaN()
    options = {"batch_size": 32, "epochs": 5, "shuffle": False, "verbose": 0}
    model.fit(x, y, callbacks=[stop, count], **options)
    assert batches == [0, 1]


def test_tensorboard_writes_the_reward(tmp_path):
    pytest.importorskip("tensorboard")
    fit(network(), keras.callbacks.TensorBoard(tmp_path, histogram_freq=1))
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("events.out.tfevents.*"))
    assert b"epoch_f1_macro" in written


@pytest.mark.few(1)
@pytest.mark.parametrize("suffix", ["keras", "h5"])  # MLflow's autologging writes .h5
def test_a_checkpoint_of_the_whole_model_is_loaded_with_its_loss(tmp_path, suffix):
    model = network()
    fit(model, keras.callbacks.ModelCheckpoint(tmp_path / f"model.{suffix}"), epochs=1)
    loaded = keras.models.load_model(tmp_path / f"model.{suffix}")
    assert loaded.loss.get_config() == model.loss.get_config()
    assert score(loaded) == score(model)


def test_logs_are_numbers_that_trackers_take(tmp_path):
    x, y = toy()
    monitor, seen = pgm.GradientMonitor(x, y, batch_size=32), {}
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.update(logs))
    fit(network(), monitor, keep, epochs=1)
    assert {*seen} >= {"f1_macro", MONITOR, "gradient_snr", "policy_entropy"}
    assert json.loads(json.dumps(seen)) == seen


def test_the_progress_bar_shows_the_reward(capsys):
    fit(network(), epochs=1, verbose=2)
    printed = capsys.readouterr().out
    assert " f1_macro: 0." in printed
    assert f"{MONITOR}: 0." in printed


# ---------------------------------------------------------------- regularisers and constraints

PENALTIES = {
    "l1": (keras.regularizers.L1(0.02), lambda w: 0.02 * np.abs(w).sum()),
    "l2": (keras.regularizers.L2(0.03), lambda w: 0.03 * (w**2).sum()),
    "l1_l2": (
        keras.regularizers.L1L2(0.02, 0.03),
        lambda w: 0.02 * np.abs(w).sum() + 0.03 * (w**2).sum(),
    ),
}


def values_of_a_step(options, x, y):
    """The loss of one full batch before training, and the kernel after one step of SGD at .1."""
    model = network(options)
    model.compile(
        keras.optimizers.SGD(0.1), loss=pgm.PolicyGradientLoss("f1_macro"), run_eagerly=True
    )
    before = model.layers[0].kernel.numpy()
    value = model.train_on_batch(x, y, return_dict=True)["loss"]
    return float(value), before, model.layers[0].kernel.numpy()


@pytest.mark.parametrize("name", PENALTIES)
def test_weight_penalties_are_added_to_the_loss_and_to_its_gradient(name):
    x, y = toy()
    regulariser, penalty = PENALTIES[name]
    plain, start, plain_kernel = values_of_a_step({}, x, y)
    value, _, kernel = values_of_a_step({"kernel_regularizer": regulariser}, x, y)
    assert value - plain == pytest.approx(penalty(start), abs=1e-5)
    step = 1e-3
    slope = np.zeros_like(start)
    for cell in np.ndindex(*start.shape):
        shift = np.zeros_like(start, dtype=np.float64)
        shift[cell] = step
        slope[cell] = (penalty(start + shift) - penalty(start - shift)) / (2 * step)
    # The penalties are linear or quadratic around weights larger than the step.
    assert np.abs(start).min() > step
    np.testing.assert_allclose(plain_kernel - kernel, 0.1 * slope, rtol=0, atol=1e-5)


def test_activity_regularisation_is_added_to_the_loss():
    x, y = toy()
    plain, start, plain_kernel = values_of_a_step({}, x, y)
    options = {"activity_regularizer": keras.regularizers.L1(0.5)}
    value, _, kernel = values_of_a_step(options, x, y)
    # Keras divides an activity penalty by the size of the batch.
    penalty = 0.5 * np.abs(np.tanh(x @ start)).sum() / len(x)
    assert value - plain == pytest.approx(penalty, abs=1e-5)
    assert np.abs(kernel - plain_kernel).max() > 1e-3
    # Validation sees the penalty too, the reward does not.
    model = network(options)
    result = model.evaluate(x, y, batch_size=len(x), verbose=0, return_dict=True)
    assert result["loss"] == pytest.approx(value, abs=1e-5)
    assert 0.0 <= result["f1_macro"] <= 1.0


@pytest.mark.slow
def test_max_norm_holds_after_every_step():
    norms = []

    def watch(batch, logs):
        norms.append(np.linalg.norm(model.layers[0].kernel.numpy(), axis=0).max())

    model = network({"kernel_constraint": keras.constraints.MaxNorm(0.7)}, learning_rate=0.3)
    fit(model, keras.callbacks.LambdaCallback(on_train_batch_end=watch))
    assert len(norms) == 9
    assert max(norms) <= 0.7 + 1e-5
    free = network(learning_rate=0.3)
    fit(free)
    assert np.linalg.norm(free.layers[0].kernel.numpy(), axis=0).max() > 0.8  # it was binding
