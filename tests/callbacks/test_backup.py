"""Exact resume: the same bits after a kill; damaged, foreign and busy backups refused."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import policygrad_metrics as pgm
from policygrad_metrics.core import durable

KILLS = int(os.environ.get("POLICYGRAD_KILLS", "3"))


class Crash(keras.callbacks.Callback):
    """Raises in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch, self.now = epoch, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch) == (self.epoch, 1):
            raise KeyboardInterrupt


def toy():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 4)).astype(np.float32)
    return x, np.argmax(x[:, :3], axis=1)


def network(seed=0, units=8, activation="relu", reward="f1_macro", optimizer=None, **options):
    start = [keras.initializers.GlorotUniform(seed=seed + k) for k in (0, 1)]
    for initializer in start:  # where a run starts from is in its backup
        initializer.get_config = dict
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(units, activation, kernel_initializer=start[0]),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3, kernel_initializer=start[1]),
        ]
    )
    loss = pgm.PolicyGradientLoss(reward, **options)
    model.compile(optimizer or keras.optimizers.Adam(0.05), loss, run_eagerly=True)
    return model


def batches(batch_size=16, seed=3):
    return pgm.training.shuffled_batches(*toy(), batch_size=batch_size, seed=seed)


def fit(model, folder, *others, data=None, epochs=4, **options):
    data = data or batches()
    backup = pgm.BackupAndRestore(folder, also=[data], **options)
    callbacks = [backup, *others]
    try:
        model.fit(data, epochs=epochs, callbacks=callbacks, shuffle=False, verbose=0)
    except KeyboardInterrupt:
        backup.close()
    return backup


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The folder of a run that was interrupted in its third epoch."""
    folder = tmp_path_factory.mktemp("interrupted") / "run"
    fit(network(), folder, Crash(2))
    return folder


@pytest.fixture
def interrupted(original, tmp_path):
    """A copy of it."""
    return shutil.copytree(original, tmp_path / "run")


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path):
    """Twenty kills: POLICYGRAD_KILLS=20."""
    program = Path(__file__).with_name("backup_kills.py")
    done = subprocess.run(
        [sys.executable, program, str(KILLS), tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["killed"] == KILLS
    assert result["same"] == result["runs"]


@pytest.mark.slow
def test_the_backup_overrules_where_the_second_sitting_starts(tmp_path):
    """Other initial weights, another seed of dropout, a rate that each epoch changes."""

    def decay():
        return keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.7 * rate)

    whole, resumed = network(), network(seed=10)
    dropout = whole.layers[1].seed_generator.state.numpy()
    fit(whole, tmp_path / "whole", decay())
    killed = network()
    killed.layers[1].seed_generator.state.assign(dropout)
    fit(killed, tmp_path / "run", Crash(2), decay())
    assert resumed.layers[1].seed_generator.state.numpy()[0] != dropout[0]
    fit(resumed, tmp_path / "run", decay())
    for a, b in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert whole.optimizer.learning_rate.numpy() == resumed.optimizer.learning_rate.numpy()


@pytest.mark.slow
def test_running_counts_are_resumed_before_the_loss_has_made_them(tmp_path):
    def run(folder, *others):
        model = network(running_counts=True)
        model.layers[1].seed_generator.state.assign([7, 0])
        fit(model, tmp_path / folder, *others)
        return model

    whole = run("whole")
    run("run", Crash(2))
    resumed = run("run")
    (counts,), (again,) = whole.loss.variables, resumed.loss.variables
    assert counts.numpy().sum() > 0
    np.testing.assert_array_equal(counts.numpy(), again.numpy())
    np.testing.assert_array_equal(whole.get_weights()[0], resumed.get_weights()[0])


@pytest.mark.slow
def test_without_the_states_of_dropout_it_would_not_be_exact(tmp_path, monkeypatch):
    """The test above can fail."""
    monkeypatch.setattr(
        pgm.BackupAndRestore,
        "_variables",
        lambda self: {"model": self.model.weights, "optimizer": self.model.optimizer.variables},
    )
    whole, killed, resumed = network(), network(), network()
    for model in (whole, killed, resumed):
        model.layers[1].seed_generator.state.assign([7, 0])
    fit(whole, tmp_path / "whole")
    fit(killed, tmp_path / "run", Crash(2))
    fit(resumed, tmp_path / "run")
    assert np.abs(whole.get_weights()[0] - resumed.get_weights()[0]).max() > 1e-3


@pytest.mark.slow
def test_callbacks_that_remember_go_on_from_there(tmp_path):
    def watchers():
        return (
            keras.callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True),
            keras.callbacks.ReduceLROnPlateau("loss", patience=3, min_delta=9.0),
        )

    def run(folder, *others):
        stop, slower = watchers()
        data = batches()
        backup = pgm.BackupAndRestore(tmp_path / folder, also=[stop, data, slower])
        model = network()
        model.layers[1].seed_generator.state.assign([7, 0])
        try:
            model.fit(data, epochs=5, shuffle=False, verbose=0,
                      callbacks=[backup, stop, *others, slower])  # fmt: skip
        except KeyboardInterrupt:
            backup.close()
        return model, stop, slower

    model, stop, slower = run("whole")
    run("run", Crash(3))
    again, stop_again, slower_again = run("run")
    assert stop_again.best == stop.best
    assert stop_again.best_epoch == stop.best_epoch
    assert (stop_again.wait, slower_again.wait) == (stop.wait, slower.wait)
    # The rate falls in the fourth epoch, after three without improvement by 9.
    assert again.optimizer.learning_rate.numpy() == pytest.approx(0.005)
    np.testing.assert_array_equal(model.get_weights()[0], again.get_weights()[0])


@pytest.mark.slow
def test_a_finished_run_leaves_nothing_unless_told_to(tmp_path):
    model = network()
    fit(model, tmp_path / "gone")
    assert not (tmp_path / "gone").exists()
    fit(model, tmp_path / "kept", delete_checkpoint=False)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["backup"]
    # A second fit starts from its first epoch, which Keras's own callback forgets.
    assert model.fit(*toy(), epochs=2, verbose=0).epoch == [0, 1]


# ---------------------------------------------------------------- what is refused

OTHERS = {
    "model.layers.1.config.units was 8, now 6": {"units": 6},
    "activation was 'relu', now 'tanh'": {"activation": "tanh"},
    "loss.0.reward": {"reward": "f1_micro"},
    "optimizer.class was 'Adam', now 'SGD'": {"optimizer": "sgd"},
}


@pytest.mark.few(2)
@pytest.mark.parametrize("difference", OTHERS)
def test_the_backup_of_another_run_is_refused(interrupted, difference):
    before = (interrupted / "backup").read_bytes()
    with pytest.raises(ValueError, match="is the backup of another run") as error:
        fit(network(**OTHERS[difference]), interrupted)
    assert difference in str(error.value).replace('"', "'")
    assert str(interrupted / "backup") in str(error.value)
    assert "choose another directory" in str(error.value)
    assert (interrupted / "backup").read_bytes() == before


def test_other_batches_are_refused(interrupted):
    with pytest.raises(ValueError, match="steps per epoch was 3, now 5"):
        fit(network(), interrupted, data=batches(batch_size=8))
    with pytest.raises(ValueError, match=r"shuffled_batches.0.seed was 3, now 4"):
        fit(network(), interrupted, data=batches(seed=4))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:-100], "its checksum does not fit its content"),
        (lambda content: content[:5000] + b"x" + content[5001:], "its checksum does not fit"),
        (lambda content: b"", "no backup of this version"),
        (lambda content: b"PK\x03\x04 an archive", "no backup of this version"),
    ],
)
def test_damaged_and_foreign_files_are_refused(interrupted, damage, reason):
    path = interrupted / "backup"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=reason) as error:
        fit(network(), interrupted)
    assert f"{path} cannot be resumed from" in str(error.value)
    assert "Delete it to start from the first epoch" in str(error.value)


def test_a_crash_while_writing_leaves_the_backup_before(tmp_path, monkeypatch):
    def crash(source, target):
        raise OSError("no space left")

    path = tmp_path / "backup"
    durable.write_atomically(path, b"old")
    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(OSError, match="no space left"):
        durable.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_directory_in_use_is_refused(tmp_path):
    program = (
        "import fcntl, os, sys; file = open(sys.argv[1], 'a+b'); fcntl.flock(file, 2); "
        "file.write(b'process %d' % os.getpid()); file.flush(); print(flush=True); input()"
    )
    command = [sys.executable, "-c", program, tmp_path / "lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(RuntimeError, match=f"in use by process {other.pid}; wait for it"):
            fit(network(), tmp_path)
        other.communicate(b"\n")
    fit(network(), tmp_path, epochs=1)  # the operating system has dropped the lock


def test_after_an_interrupt_the_same_callback_or_a_new_one_goes_on(tmp_path):
    data = batches()
    first = pgm.BackupAndRestore(tmp_path, also=[data])
    model = network()
    options = {"epochs": 3, "shuffle": False, "verbose": 0}
    with pytest.raises(KeyboardInterrupt):
        model.fit(data, callbacks=[first, Crash(1)], **options)
    second = pgm.BackupAndRestore(tmp_path, also=[data])
    with pytest.raises(RuntimeError, match=r"earlier fit .* call its close\(\)"):
        model.fit(data, callbacks=[second], **options)
    assert model.fit(data, callbacks=[first], **options).epoch == [1, 2]


def test_what_cannot_be_backed_up_is_refused(tmp_path):
    with pytest.raises(TypeError, match="datasets that shuffled_batches or"):
        pgm.BackupAndRestore(tmp_path, also=[batches().map(lambda x, y: (x, y))])
    with pytest.raises(TypeError, match="EarlyStopping, ReduceLROnPlateau, ModelCheckpoint"):
        pgm.BackupAndRestore(tmp_path, also=[keras.callbacks.CSVLogger("log.csv")])
    with pytest.raises(ValueError, match="directory must name a folder"):
        pgm.BackupAndRestore("")
    model = keras.Sequential([keras.layers.Dense(3)])
    model.compile("sgd", pgm.PolicyGradientLoss("f1_macro"))
    with pytest.raises(ValueError, match="needs a model that is built before fit"):
        fit(model, tmp_path)


# ---------------------------------------------------------------- shuffled batches


def test_each_epoch_is_a_permutation_that_seed_and_epoch_decide():
    x, y = np.arange(50), np.arange(50) % 2
    weight = np.arange(50) / 50
    data = pgm.training.shuffled_batches({"x": x}, y, weight, batch_size=16, seed=2)
    again = pgm.training.shuffled_batches({"x": x}, y, weight, batch_size=7, seed=2)
    other = pgm.training.shuffled_batches({"x": x}, y, weight, batch_size=16, seed=3)

    def epoch(dataset):
        parts = [(a["x"].numpy(), b.numpy(), w.numpy()) for a, b, w in dataset]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    first, second = epoch(data), epoch(data)
    assert len(data) == 4
    assert sorted(first[0]) == list(x)
    assert list(first[0]) != list(second[0]) != list(x)
    np.testing.assert_array_equal(first[1], first[0] % 2)
    np.testing.assert_array_equal(first[2], first[0] / 50)
    assert list(first[0]) == list(epoch(again)[0]) != list(epoch(other)[0])
    data.epoch_order.epoch = 0
    assert list(epoch(data)[0]) == list(first[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": np.ones(3), "batch_size": 0}, "batch_size must be a whole number, 1 or more; it is"),
        ({"x": np.ones(3), "batch_size": 2, "seed": -1}, "seed must be a whole number, 0 or more"),
        ({"x": np.ones(3), "y": np.ones(4), "batch_size": 2}, r"they hold \[3, 4\]"),
        ({"x": np.ones([0, 2]), "batch_size": 2}, "at least one"),
        ({"x": np.ones(3), "sample_weight": np.ones(3), "batch_size": 2}, "needs y"),
    ],
)
def test_shuffled_batches_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        pgm.training.shuffled_batches(**arguments)
