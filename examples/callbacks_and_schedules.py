"""Keras callbacks on the true metric: log, schedule, stop and keep by validation macro-F1.

`RewardMetric` computes the reward over the whole validation set, so everything that Keras offers
can watch `val_f1_macro`: JSON lines per epoch, a warm-up schedule, a slower rate on a plateau,
early stopping, a CSV log and the best model on disk, which is loaded again at the end.

    python examples/callbacks_and_schedules.py --out run
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import keras
from sklearn.datasets import make_classification
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

import policygrad_metrics as pgm

RATE = 0.004
MONITOR = {"monitor": "val_f1_macro", "mode": "max"}


def data(seed=0):
    x, y = make_classification(
        4000,
        n_features=10,
        n_informative=6,
        n_classes=4,
        weights=[0.65, 0.2, 0.1, 0.05],
        random_state=seed,
    )
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.3, stratify=y, random_state=seed)
    x, x_valid, y, y_valid = train_test_split(x, y, test_size=0.3, stratify=y, random_state=seed)
    return (x, y), (x_valid, y_valid), (x_test, y_test)


def network(seed=0):
    layers = [keras.layers.Input((10,))]
    for size, activation in ((64, "relu"), (4, None)):
        start = keras.initializers.GlorotUniform(seed=(seed := seed + 1))
        layers.append(
            keras.layers.Dense(
                size,
                activation,
                kernel_initializer=start,
                kernel_regularizer=keras.regularizers.L2(1e-4),
                kernel_constraint=keras.constraints.MaxNorm(4.0),
            )
        )
    return keras.Sequential(layers)


def warm_up(epoch, rate):
    """Rise to RATE over five epochs, then leave the rate to ReduceLROnPlateau."""
    return RATE * (epoch + 1) / 5 if epoch < 5 else rate


def callbacks(folder, log, patience):
    def write_json_line(epoch, logs):
        log.write(json.dumps({"epoch": epoch, **logs}, default=float) + "\n")

    return [
        pgm.StopOnBadBatch(),
        keras.callbacks.LearningRateScheduler(warm_up),
        keras.callbacks.ReduceLROnPlateau(**MONITOR, factor=0.5, patience=patience // 2),
        keras.callbacks.EarlyStopping(**MONITOR, patience=patience, start_from_epoch=5),
        keras.callbacks.ModelCheckpoint(folder / "best.keras", **MONITOR, save_best_only=True),
        keras.callbacks.CSVLogger(folder / "epochs.csv"),
        keras.callbacks.LambdaCallback(on_epoch_end=write_json_line),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="at most 12 epochs")
    parser.add_argument("--out", type=Path, default=Path("callbacks_run"), help="folder")
    arguments = parser.parse_args()
    epochs, patience = (12, 4) if arguments.quick else (80, 10)
    arguments.out.mkdir(parents=True, exist_ok=True)
    train_set, valid_set, test_set = data()
    model = network()
    model.compile(
        keras.optimizers.Adam(RATE),
        loss=pgm.PolicyGradientLoss("f1_macro"),
        metrics=[pgm.RewardMetric("f1_macro")],
    )
    with (arguments.out / "epochs.jsonl").open("w", encoding="utf-8") as log:
        model.fit(
            *train_set,
            batch_size=256,
            epochs=epochs,
            shuffle=False,
            validation_data=valid_set,
            callbacks=callbacks(arguments.out, log, patience),
            verbose=0,
        )

    lines = (arguments.out / "epochs.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    print(f"{'epoch':>5}{'learning rate':>15}{'loss':>9}{'macro-F1':>10}{'validation':>12}")
    best = max(rows, key=lambda row: row["val_f1_macro"])
    for row in rows:
        if row["epoch"] < 6 or row["epoch"] % 5 == 0 or row in (best, rows[-1]):
            mark = "  <- best" if row is best else ""
            print(f"{row['epoch']:5d}{row['learning_rate']:15.5f}{row['loss']:9.4f}", end="")
            print(f"{row['f1_macro']:10.3f}{row['val_f1_macro']:12.3f}{mark}")
    print(f"stopped after {len(rows)} of at most {epochs} epochs")

    loaded = keras.models.load_model(arguments.out / "best.keras")
    for name, (x, y) in (("validation", valid_set), ("test", test_set)):
        score = f1_score(y, loaded(x).numpy().argmax(axis=1), average="macro")
        print(f"best.keras, loaded again: {name} macro-F1 {score:.3f}")
    print("wrote", ", ".join(sorted(path.name for path in arguments.out.glob("epochs.*"))), end="")
    print(f" and best.keras to {arguments.out}")


if __name__ == "__main__":
    main()
