"""A training that is killed at random moments, for test_backup.py: prints one line of JSON.

    python backup_kills.py KILLS FOLDER

TensorFlow is imported once and not used; every sitting is a fork of this process, so that a kill
costs no second import.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import keras
import numpy as np

import policygrad_metrics as pgm

EPOCHS = 8


def train(folder):
    """One sitting; the weights it ends with are saved in the folder."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 4)).astype("float32")
    y = np.argmax(x[:, :3], axis=1)
    start = [keras.initializers.GlorotUniform(seed=seed) for seed in (0, 1)]
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(8, "relu", kernel_initializer=start[0]),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5, seed=5),
            keras.layers.Dense(3, kernel_initializer=start[1]),
        ]
    )
    loss = pgm.PolicyGradientLoss(
        "f1_macro", gradient_estimator=pgm.estimators.Reinforce(4, "moving_average")
    )
    model.compile(keras.optimizers.Adam(0.03), loss, metrics=[pgm.RewardMetric("f1_macro")],
                  run_eagerly=True)  # fmt: skip
    batches = pgm.training.shuffled_batches(x, y, batch_size=16, seed=3)
    slower = keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=0.05, factor=0.7)
    best = keras.callbacks.EarlyStopping("loss", patience=50, restore_best_weights=True)
    backup = pgm.BackupAndRestore(folder / "backup", also=[batches, slower, best])
    model.fit(batches, epochs=EPOCHS, shuffle=False, verbose=0,
              callbacks=[backup, slower, best])  # fmt: skip
    arrays = [v.numpy() for v in (*model.variables, *model.optimizer.variables, *loss.variables)]
    np.savez(folder / "end.npz", *arrays)


def sitting(folder):
    pid = os.fork()
    if pid == 0:
        try:
            train(folder)
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return pid


def weights(folder):
    with np.load(folder / "end.npz") as file:
        return [file[name].tobytes() for name in file.files]


def main(kills, folder):
    began = time.monotonic()
    (folder / "whole").mkdir()
    assert os.waitpid(sitting(folder / "whole"), 0)[1] == 0
    seconds, whole = time.monotonic() - began, weights(folder / "whole")
    moments, killed, same, epochs = random.Random(0), 0, 0, []
    while killed < kills:
        run = folder / str(len(epochs))
        run.mkdir()
        pid = sitting(run)
        time.sleep(moments.uniform(0.0, 1.0) * seconds)
        os.kill(pid, signal.SIGKILL)
        killed += os.waitpid(pid, 0)[1] == signal.SIGKILL  # or it had come to its end
        epochs.append(
            json.loads((run / "backup/backup").read_bytes().split(b"\n")[1])["state"]["epoch"]
            if (run / "backup/backup").exists()
            else None
        )
        assert os.waitpid(sitting(run), 0)[1] == 0
        same += weights(run) == whole
        assert not (run / "backup").exists()
    print(json.dumps({"killed": killed, "runs": len(epochs), "same": same, "epochs": epochs}))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
