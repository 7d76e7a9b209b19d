"""A model of a table: trained as `compare` trains it, saved as plain files, used on new rows."""

import io
import json
import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from scipy.special import expit, softmax
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from policygrad_metrics.data import Reading, text_file
from policygrad_metrics.study import TrainedTable, train_table
from policygrad_metrics.study.comparison import compare, plan
from policygrad_metrics.study.methods import METHODS
from policygrad_metrics.study.methods.sklearn_methods import ProbabilityModel
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.study.table_file import TableFile
from policygrad_metrics.study.trained import fit, folds, judge
from policygrad_metrics.study.trained.drift import Drift, Ranges
from policygrad_metrics.study.trained.export import export_table
from policygrad_metrics.study.trained.linear import one_layer
from policygrad_metrics.study.trained.stream import label_file

HOW = {"epochs": 6, "hidden": (8,), "learning_rate": 0.02}


@pytest.fixture(scope="module")
def table():
    """Numbers with gaps, texts, and texts that look like numbers; y is told by x and kind."""
    rng = np.random.default_rng(0)
    N = 300
    x, kind = rng.normal(size=N), rng.choice(["a", "b", "c"], N)
    y = np.where(x + (kind == "a") + 0.3 * rng.normal(size=N) > 0.8, "hi", "lo")
    size = np.where(np.arange(N) % 7 == 0, np.nan, rng.lognormal(size=N).round(3))
    code = [f"0{number % 3}" for number in range(N)]
    return pd.DataFrame({"x": x.round(4), "kind": kind, "size": size, "code": code, "y": y})


@pytest.fixture(scope="module")
def file(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "toy.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def model(file):
    return train_table(file, "y", text=("code",), **HOW)


@pytest.mark.slow
def test_the_test_score_is_that_of_a_comparison(file, model, tmp_path):
    """The same rows, preparation, network and decision, so the same number."""
    how = {"methods": ("policy_gradient",), "seeds": 1, "predictions": True, **HOW}
    files = (TableFile(str(file), ("y",), reading=Reading(text=("code",))),)
    settings = StudySettings(data=(), files=files, **how)
    done = compare(settings, plan(settings, settings.datasets()), tmp_path / "study")
    (run,) = done.runs
    scores, confusion, _ = model.card.tables
    assert scores.rows[0][1].text.startswith(f"{run.tuned:.3f} [")
    assert scores.rows[0][2].text.startswith(f"{run.plain:.3f} [")
    counts = [[int(cell.text) for cell in row[1:]] for row in confusion.rows]
    assert counts == run.confusion_tuned


@pytest.mark.slow
def test_a_frame_and_its_file_give_the_same_model(table, model):
    again = train_table(table, "y", **HOW)
    assert np.array_equal(again.predict_proba(table), model.predict_proba(table))
    assert set(again.predict(table)) == {"hi", "lo"}
    assert (again.predict(table) == table["y"]).mean() > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("method", ["policy_gradient", "boosting_policy_gradient"])
def test_a_saved_model_is_the_same_and_holds_no_code(table, method, tmp_path):
    made = train_table(table, "y", method=method, members=2, **HOW)
    made.save(tmp_path / "model")
    made.save(tmp_path / "model")  # in the place of the earlier one
    loaded = TrainedTable.load(tmp_path / "model")
    assert np.array_equal(loaded.predict_proba(table), made.predict_proba(table))
    assert loaded.card == made.card
    assert loaded.ranges == made.ranges
    suffixes = {path.suffix for path in (tmp_path / "model").iterdir()}
    assert suffixes == {".json", ".md", ".html", ".keras" if method[0] == "p" else ".txt"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    with pytest.raises(FileExistsError, match="name a folder that is new"):
        made.save(tmp_path)
    (tmp_path / "model" / "decision.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        TrainedTable.load(tmp_path / "model")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["logistic_regression", "majority"])
def test_a_linear_model_is_saved_as_a_network(table, tmp_path, method):
    model = train_table(table, "y", method=method, **HOW)
    model.save(tmp_path / "model")
    again = TrainedTable.load(tmp_path / "model")
    assert np.array_equal(again.predict_proba(table), model.predict_proba(table))
    labels = again.predict(table)
    if method == "majority":
        assert len(set(labels)) == 1
    else:
        assert (labels == table["y"]).mean() > 0.85


@pytest.mark.parametrize("classes", [[0, 1], [0, 1, 2], [0, 2], [0, 2, 3], [1]])
@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("made", [LogisticRegression(), DummyClassifier(strategy="prior")])
def test_one_layer_has_the_probabilities_of_the_model(classes, multilabel, made):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)).astype(np.float32), rng.choice(classes, 60)
    task = "multilabel" if multilabel else "multiclass" if classes != [0, 1] else "binary"
    if multilabel:  # columns with both labels, with 0 alone, with 1 alone
        y = np.stack([y > 0, y > 9, y < 9], axis=1).astype(int)
    model = ProbabilityModel(made, 4 if task == "multiclass" else 2, multilabel).fit(x, y)
    outputs = np.asarray(one_layer(model, 3, task)(x), float)
    found = expit(outputs) if task != "multiclass" else softmax(outputs, axis=1)
    expected = model.predict_proba(x)
    np.testing.assert_allclose(found, expected[:, 1:] if task == "binary" else expected, atol=1e-6)


def test_best_takes_only_what_can_be_saved():
    assert all(fit.can_be_saved(METHODS[name]) for name in fit.CANDIDATES)


@pytest.mark.slow
def test_best_is_chosen_by_cross_validation_without_the_test_rows(table, monkeypatch):
    monkeypatch.setattr(fit, "CANDIDATES", ("boosting_cross_entropy", "policy_gradient"))
    best = train_table(table, "y", method="best", **HOW)
    (line,) = [line for line in best.card.method if line.startswith("Chosen by")]
    assert "over five folds of all but test rows" in line
    scores = [float(one.split()[1].rstrip(".")) for one in line.split(": ")[1].split(", ")]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)
    assert best.card.method[0].startswith(line.split(": ")[1].split()[0])


def noise(N):
    """More columns than rows, which tell nothing: who has seen a row is right about it."""
    rng = np.random.default_rng(0)
    columns = {f"x{number}": rng.normal(size=N) for number in range(2 * N)}
    return {**columns, "y": np.where(rng.permutation(N) % 2, "yes", "no")}


LINEAR = {"method": "logistic_regression", "reward": "accuracy"}


def test_folds_are_scored_by_models_that_have_not_seen_them(tmp_path, monkeypatch):
    monkeypatch.setattr(judge, "_REPEATS", 1)
    table = noise(40)
    model = train_table(table, "y", folds=4, **LINEAR)
    settings = StudySettings(
        data=(), files=(TableFile(table, ("y",), reading=Reading()),), reward="accuracy",
        methods=("logistic_regression",), folds=4, seeds=4,
    )  # fmt: skip
    runs = compare(settings, plan(settings, settings.datasets()), tmp_path).runs
    tuned = [run.tuned for run in runs]
    x = np.stack([table[name] for name in table if name != "y"], axis=1)
    assert LogisticRegression().fit(x, table["y"]).score(x, table["y"]) == 1.0
    assert 0.25 < np.mean(tuned) < 0.7
    grid = model.card.tables[1]
    assert grid.title == "Cross-validated scores"
    assert grid.rows[0][1].text.startswith(f"{np.mean(tuned):.3f} [")
    assert grid.rows[0][2].text.startswith(f"{np.mean([run.plain for run in runs]):.3f} [")
    assert ", ".join(f"{score:.3f}" for score in tuned) in grid.below
    model.save(tmp_path / "model")
    assert TrainedTable.load(tmp_path / "model").card.tables[1] == grid
    for kind in ("md", "html"):
        assert "Cross-validated scores" in (tmp_path / "model" / f"model_card.{kind}").read_text()
    without = train_table(table, "y", **LINEAR)
    assert np.array_equal(without.predict_proba(table), model.predict_proba(table))
    assert without.card.tables[0] == model.card.tables[0]
    assert len(without.card.tables) == len(model.card.tables) - 1


@pytest.mark.slow
def test_the_best_method_is_chosen_anew_without_each_fold(monkeypatch):
    asked = []

    def alternating(dataset, settings, progress):
        asked.append({*dataset.numeric[:, 0]})
        return {name: (-1.0) ** (len(asked) + n) for n, name in enumerate(settings.methods)}

    monkeypatch.setattr(fit, "CANDIDATES", ("logistic_regression", "majority"))
    for room in (fit, folds):
        monkeypatch.setattr(room, "compare_methods", alternating)
    table = noise(80)
    model = train_table(table, "y", folds=2, **LINEAR | {"method": "best"})
    first, *rest = asked  # for the model that is kept: all but the test rows
    assert (len(first), [len(rows) for rows in rest]) == (64, [40, 40])
    assert rest[0] | rest[1] == {*table["x0"]}
    anew = "chosen anew without each fold: logistic_regression for 1, majority for 1."
    assert any(anew in line for line in model.card.method)


def labels_of(model, source, **how):
    out = io.StringIO()
    done = label_file(model, source, out, **how)
    return done, pd.read_csv(io.StringIO(out.getvalue()), dtype={"y": str})


def test_a_long_file_is_read_in_blocks(table, file, model, monkeypatch):
    monkeypatch.setattr(text_file, "_BLOCK", 500)
    steps = []
    done, found = labels_of(model, file, said=steps.append)
    assert len(steps) > 5
    assert steps[-1] == done.rows == len(table)
    assert found["y"].tolist() == model.predict(table).tolist()
    assert np.allclose(found["P(hi)"], model.predict_proba(table)[:, 1], atol=1e-5)
    assert done.counts == found["y"].value_counts().to_dict()
    assert done.drift == done.new == ()


def test_other_orders_columns_and_ways_of_writing(table, model, tmp_path):
    changed = table.drop(columns="y").iloc[:, ::-1].assign(id=range(len(table)))
    changed.to_csv(tmp_path / "new.csv", sep=";", decimal=",", index=False)
    done, found = labels_of(model, tmp_path / "new.csv", keep=["id"])
    assert done.new == ("id",)
    assert found["id"].tolist() == [*range(len(table))]
    assert found["y"].tolist() == model.predict(table).tolist()


def test_rows_of_empty_cells_are_labelled_so_that_labels_stand_beside_rows(
    table, model, tmp_path, monkeypatch
):
    monkeypatch.setattr(text_file, "_BLOCK", 500)
    gone = table.drop(columns="y").assign(kind=table["kind"].astype(object))
    gone.iloc[[2, *range(150, 300)]] = None  # whole blocks of them
    gone.to_csv(tmp_path / "new.csv", index=False)
    done, found = labels_of(model, tmp_path / "new.csv")
    assert done.rows == len(found) == len(table)
    assert found["y"].tolist()[3:150] == model.predict(table).tolist()[3:150]


def test_gaps_are_drift_only_beyond_chance():
    ranges = Ranges.of(
        (["x"], []), np.where(np.arange(200) % 4, 1.0, np.nan)[:, None], np.empty([200, 0], object)
    )
    told = {}
    for missing in (14, 30):
        drift = Drift(ranges)
        x = np.where(np.arange(50) < missing, np.nan, 1.0)[:, None]
        drift.add(x, np.empty([50, 0], object))
        told[missing] = " ".join(drift.lines())
    assert "are missing" not in told[14]  # 28 % and 25 %
    assert "60 % of the cells are missing, 25 % in training" in told[30]


def test_drift_is_told(table, model):
    far = table.assign(x=table["x"] + 50, kind=["z", "a"] * 150, size=np.nan)
    done, _ = labels_of(model, far)
    told = {line.split(":")[0]: line for line in done.drift}
    assert set(told) == {"'x'", "'kind'", "'size'"}
    assert "100 % of the rows are outside" in told["'x'"]
    assert "50 % of the rows have texts that training rows had not ('z')" in told["'kind'"]
    assert "100 % of the cells are missing, 14 % in training" in told["'size'"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,kind,size\n1,a,2\n", "columns are missing: 'code'"),
        ("x,kind,sizes,code\n1,a,2,00\n", "'size' may be 'sizes'"),
        ("x,kind,size,code\n1,a,2,00\nlow,a,2,00\n", r"first 'low' \(row 2 below the header\)"),
        ("x,kind,size,code\n", "only a header row"),
        ("", "it holds nothing"),
    ],
)
def test_other_files_are_refused_in_clear_words(model, tmp_path, text, message):
    (tmp_path / "new.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        labels_of(model, tmp_path / "new.csv")


def test_one_row_is_a_file(table, model, tmp_path):
    table.head(1).to_csv(tmp_path / "one.csv", index=False)
    _, found = labels_of(model, tmp_path / "one.csv")
    assert found["y"].tolist() == model.predict(table.head(1)).tolist()


@pytest.mark.slow
def test_a_series_with_a_horizon_tells_the_label_of_a_later_row():
    hour = np.arange(400)
    pm = 50 + 40 * np.sin(hour / 4)
    series = pd.DataFrame({"hour": hour, "pm": pm})
    model = train_table(series, "pm", bins=(50,), time_split="hour", horizon=3, **HOW)
    assert model.schema.features == ("pm",)
    done, found = labels_of(model, series[["pm"]])
    assert next(iter(found)) == "pm, 3 rows after"
    assert done.rows == 400
    later = np.where(pm[3:] > 50, "> 50", "<= 50")
    assert (found.iloc[:-3, 0] == later).mean() > 0.7


@pytest.mark.slow
def test_label_columns(table):
    both = table[["x", "size"]].assign(
        up=(table["x"] > 0).astype(int), far=(table["x"].abs() > 1).astype(int)
    )
    model = train_table(both, ["up", "far"], reward="f1_macro", **HOW)
    assert model.predict(both).shape == model.predict_proba(both).shape == (300, 2)
    _, found = labels_of(model, both)
    assert list(found) == ["up", "far", "P(up)", "P(far)"]
    assert found[["up", "far"]].to_numpy().tolist() == model.predict(both).tolist()


def as_tensorflow_serving_does(written, columns):
    """Answer in a graph that is restored by the SavedModel's own operations, without Python."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], str(written))
        signature = graph.signature_def["serving_default"]
        given = {signature.inputs[name].name: cells.tolist() for name, cells in columns.items()}
        outputs = {name: one.name for name, one in signature.outputs.items()}
        return session.run(outputs, given)


@pytest.mark.slow
@pytest.mark.parametrize("members", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_served_it_answers_as_it_predicts(table, members, tmp_path):
    model = train_table(table.rename(columns={"x": "x (m)"}), "y", members=members, **HOW)
    rows = table.rename(columns={"x": "x (m)"}).head(20)
    written = export_table(model, tmp_path / "served")
    assert written.name == "1"
    columns = {"x__m_": rows["x (m)"], **{name: rows[name] for name in ("size", "kind", "code")}}
    found = as_tensorflow_serving_does(written, columns)
    assert np.allclose(found["probabilities"], model.predict_proba(rows), atol=1e-5)
    names = np.array(model.schema.class_names)
    assert names[found["labels"]].tolist() == model.predict(rows).tolist()
    request = json.loads((tmp_path / "served" / "example_request.json").read_text())
    assert set(request["instances"][0]) == set(columns)


def test_onnx_without_its_packages_says_what_to_install(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ValueError, match=r"policygrad_metrics\[onnx\]"):
        export_table(model, tmp_path / "served", "onnx")


@pytest.mark.parametrize(
    ("target", "how"),
    [
        ("y", {}),
        (["up", "far"], {"reward": "f1_macro"}),
        ("level", {"order": ("low", "mid", "top"), "reward": "quadratic_kappa", "members": 2}),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of tf2onnx
def test_onnx_runtime_gives_the_same_labels(table, tmp_path, target, how):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    table = table.assign(
        up=(table["x"] > 0).astype(int),
        far=(table["x"].abs() > 1).astype(int),
        level=np.array(["low", "mid", "top"])[np.digitize(table["x"], [-0.5, 1])],
    )
    drop = tuple({"y", "up", "far", "level"} - {*np.atleast_1d(target)})
    model = train_table(table, target, drop=drop, **how, **HOW)
    rows = table.assign(kind=["new", *table["kind"][1:]])
    path = export_table(model, tmp_path, "onnx")
    session = runtime.InferenceSession(path)
    types = {"tensor(double)": float, "tensor(string)": object}
    given = {one.name: rows[one.name].to_numpy(types[one.type]) for one in session.get_inputs()}
    assert {*given} == {"x", "size", "kind", "code"}
    labels, chances = session.run(["labels", "probabilities"], given)
    assert np.allclose(chances, model.predict_proba(rows), atol=1e-5)
    names = labels if labels.ndim == 2 else model.classes_[labels]
    assert names.tolist() == model.predict(rows).tolist()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"method": "gradient_boosting"}, "no model that can be saved without code"),
        ({"method": "persistence"}, "no model that can be saved without code"),
        ({"method": "polcy_gradient"}, "did you mean 'policy_gradient'"),
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"subject_to": ("recall[no]>=0.5",)}, "the classes are"),
        ({"reward": "ndcg@10"}, "scores a ranking, and this model gives labels"),
        ({"folds": 0}, "folds must be a whole number from 2 to 1000, got 0"),
        ({"folds": 3, "seeds": 6}, "train_table makes one model: give its seed="),
    ],
)
def test_what_cannot_be_trained_is_refused(table, how, message):
    with pytest.raises(ValueError, match=message):
        train_table(table, "y", **how)


def test_dates_are_read_as_they_were_for_training():
    days = np.datetime64("2024-01-01") + np.arange(400)
    when = [str(day) for day in days]
    weekend = np.is_busday(days, weekmask="0000011")
    table = {"when": when, "y": np.where(weekend, "free", "work")}
    model = train_table(table, "y", method="logistic_regression")
    assert model.schema.features == ("when: month", "when: weekday")
    assert model.predict({"when": ["2031-03-01", "2031-03-05"]}).tolist() == ["free", "work"]
    with pytest.raises(ValueError, match=r"columns are missing: 'when'\. The model reads 'when',"):
        model.predict({"wen": ["2031-03-01"]})
    with pytest.raises(ValueError, match="column 'when' must hold dates"):
        model.predict({"when": ["1 March"]})
