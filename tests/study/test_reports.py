"""Tables, pictures and reports of a study: all that needs no training."""

import dataclasses
import html.parser
import io
import re
import subprocess
import sys
import textwrap
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from rich.console import Console
from scipy import stats
from study_cases import a_run

from policygrad_metrics.study.content import overview_grid, summaries
from policygrad_metrics.study.grid import rich_grid
from policygrad_metrics.study.overall import overall
from policygrad_metrics.study.plots import _band, draw_all, draw_learning
from policygrad_metrics.study.records import Run, StudyError
from policygrad_metrics.study.report import write_reports
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.study.table import score_grid, summarise

# --- tables -----------------------------------------------------------------------------------

SCORES = {
    "cross_entropy": [0.50, 0.54, 0.49, 0.57],
    "focal": [0.53, 0.55, 0.55, 0.58],
    "soft_f1": [0.61, 0.48, 0.52, 0.59],
}


def runs_of(scores, data="air"):
    return [a_run(m, s, v, data) for m, values in scores.items() for s, v in enumerate(values)]


def test_a_split_by_time_gets_student_s_interval_and_the_sign_flip_test():
    table = summarise("air", "f1", runs_of(SCORES), [*SCORES], shares=None)
    assert [row.method for row in table.rows] == ["focal", "soft_f1", "cross_entropy"]
    focal = table.rows[0].tuned
    difference = np.subtract(SCORES["focal"], SCORES["cross_entropy"])
    for found, values in ((focal.score, SCORES["focal"]), (focal.difference, difference)):
        bounds = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
        np.testing.assert_allclose([found.low, found.high], bounds, rtol=1e-9)
    # All four differences are positive: 2 of the 16 sign patterns are as extreme.
    assert focal.p_value == 2 / 16
    assert focal.p_holm == 2 * focal.p_value


def test_random_splits_get_wider_intervals_because_they_share_rows():
    table = summarise("air", "f1", runs_of(SCORES), [*SCORES])
    values = np.array(SCORES["focal"])
    half = stats.t.ppf(0.975, 3) * values.std(ddof=1) * np.sqrt(1 / 4 + 0.2 / 0.6)
    interval = table.rows[0].plain.score
    np.testing.assert_allclose([interval.high - interval.low], [2 * half], rtol=1e-9)


def test_a_diverged_method_is_last_and_not_the_best():
    runs = runs_of(SCORES)
    runs += [a_run("wild", s, 0.99) for s in (0, 1, 2)] + [Run("air", "wild", 3, diverged=True)]
    runs += [Run("air", "gone", s, diverged=True) for s in range(4)]
    table = summarise("air", "f1", runs, ["gone", "wild", *SCORES], shares=None)
    assert [row.method for row in table.rows][-2:] == ["wild", "gone"]
    wild, gone = table.rows[-2:]
    assert (wild.diverged, wild.runs, gone.tuned.score) == (1, 4, None)
    assert [row.method for row in table.rows if row.tuned.best] == ["focal"]
    assert "wild (1 of 4 diverged)" in shown(table)
    assert "gone (4 of 4 diverged)" in shown(table)


def shown(table):
    stream = io.StringIO()
    console = Console(file=stream, width=110)
    console.print(rich_grid(score_grid(table, ["tuned"])))
    return stream.getvalue()


def test_equally_good_methods_are_both_the_best():
    table = summarise("air", "f1", runs_of({"a": [0.5, 0.6], "b": [0.6, 0.5]}), ["a", "b"])
    assert [row.tuned.best for row in table.rows] == [True, True]
    assert table.reference is None
    assert "decision - " not in shown(table)


def test_a_single_run_has_no_interval():
    table = summarise(
        "air", "f1", runs_of({"cross_entropy": [0.5], "b": [0.7]}), ["cross_entropy", "b"],
    )  # fmt: skip
    assert "±" not in shown(table)
    assert "+0.200" in shown(table)
    assert table.rows[0].tuned.p_value is None


def test_the_table_says_how_it_is_sorted():
    table = summarise("air", "f1", runs_of(SCORES), [*SCORES])
    assert 'sorted by "tuned decision"' in shown(table)


def test_mean_ranks_put_a_diverged_method_last():
    runs = runs_of(SCORES) + runs_of(SCORES, "wine") + [Run("wine", "focal", 4, diverged=True)]
    tables = [summarise(d, "f1", runs, [*SCORES]) for d in ("air", "wine")]
    found = {one.method: one.rank for one in overall(tables, (), "tuned").standings}
    assert found == {"focal": 2.0, "soft_f1": 1.5, "cross_entropy": 2.5}


def test_over_data_sets_each_counts_once_however_many_seeds_it_has():
    rng = np.random.default_rng(0)
    sets = [f"set {n}" for n in range(7)]
    scores = {m: rng.uniform(size=[7, 3]) for m in SCORES}
    scores["focal"][:6] = scores["cross_entropy"][:6] + 0.01 * np.arange(1, 19).reshape(6, 3)
    runs = [
        a_run(m, seed, float(v), name)
        for m, table in scores.items()
        for name, row in zip(sets, table, strict=True)
        for seed, v in enumerate(row)
    ]
    tables = [summarise(name, "f1", runs, [*SCORES]) for name in sets]
    found = overall(tables, runs, "tuned")
    means = np.array([scores[m].mean(axis=1) for m in SCORES]).T
    ranks = stats.rankdata(-means, axis=1).mean(axis=0)
    by_name = {one.method: one for one in found.standings}
    assert [by_name[m].rank for m in SCORES] == pytest.approx(ranks.tolist())
    assert [one.rank for one in found.standings] == sorted(one.rank for one in found.standings)
    focal, soft = by_name["focal"], by_name["soft_f1"]
    assert focal.won >= 6
    assert focal.won + focal.tied + focal.lost == 7
    for one, place in ((focal, 1), (soft, 2)):
        expected = stats.wilcoxon(means[:, place], means[:, 0], method="exact").pvalue
        assert one.p_value == pytest.approx(expected, rel=1e-9)
        pairs = scores[one.method][:, :, None] > scores["cross_entropy"][:, None, :]
        assert one.improvement.estimate == pytest.approx(pairs.mean())
    p_values = sorted([focal.p_value, soft.p_value])
    assert min(focal.p_holm, soft.p_holm) == pytest.approx(min(1, 2 * p_values[0]))
    # Twice the seeds, the same data sets: the tests over data sets do not change.
    twice = [*runs, *(dataclasses.replace(run, seed=run.seed + 3) for run in runs)]
    tables = [summarise(name, "f1", twice, [*SCORES]) for name in sets]
    again = {one.method: one for one in overall(tables, twice, "tuned").standings}
    assert again["focal"].p_value == pytest.approx(focal.p_value, rel=1e-9)
    assert by_name["cross_entropy"].p_value is None


def test_over_data_sets_a_diverged_method_loses_and_has_no_p():
    runs = runs_of(SCORES) + runs_of(SCORES, "wine") + [Run("wine", "focal", 4, diverged=True)]
    tables = [summarise(d, "f1", runs, [*SCORES]) for d in ("air", "wine")]
    found = {one.method: one for one in overall(tables, runs, "tuned").standings}
    assert (found["focal"].won, found["focal"].lost) == (1, 1)
    assert found["focal"].p_value is found["focal"].improvement is None


# --- pictures and reports ---------------------------------------------------------------------

EVIL = "a|b <script>alert('1')</script> & $x_1$ *c* `d` \" é 优"
TASKS = {"binary": 2, "multiclass": 12, "ordinal": 3, "multilabel": 4}


def a_study(methods=("cross_entropy", "focal", "majority"), seeds=3, name=EVIL, diverged=()):
    rng = np.random.default_rng(0)
    data, runs = {}, []
    for number, (task, K) in enumerate(TASKS.items()):
        set_name = f"{name} {task}" if number else name
        data[set_name] = {
            "title": EVIL,
            "task": task,
            "reward": "f1_macro",
            "rows": 100,
            "features": 3,
            "class_names": [f"{EVIL} {k}" for k in range(K)],
            "counts": [10] * K,
            "parts": [60, 20, 20],
            "epochs": 40,
            "time_ordered": task == "ordinal",
            "notes": [EVIL, "- one", "1. two"],
            "fingerprint": "x",
        }
        shape = (K, 2, 2) if task == "multilabel" else (K, K)
        for method in methods:
            for seed in range(seeds):
                history = {} if method == "majority" else {"val_reward": [0.1, None, 0.3]}
                if method in diverged:
                    runs.append(Run(set_name, method, seed, diverged=True, history=history))
                    continue
                confusion = rng.integers(0, 30, shape).tolist()
                runs.append(
                    a_run(
                        method, seed, float(rng.uniform()), set_name, history=history,
                        confusion_tuned=confusion, confusion_plain=confusion,
                    )
                )  # fmt: skip
    asked = StudySettings(methods=methods, seeds=seeds, data_dir="<dir>")
    record = {
        "command": asked.command(),
        "chosen_data": [*data],
        "methods": [*methods],
        "families": dict.fromkeys(methods, "trivial"),
        "protocol": ["fair"],
        "fixed": asked.fixed(),
        "data": data,
    }
    return record, runs


class Page(html.parser.HTMLParser):
    """Collects tags, addresses, text, anchors, links, and which foldable parts are open."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.texts = [], [], []
        self.anchors, self.links, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append(tag)
        self.addresses += [found[k] for k in ("src", "href", "action", "data") if k in found]
        self.anchors += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []
        is_set = tag == "details" and found.get("class") == "set"
        self.open += ["open" in found] if is_set else []

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The record of a study and its reports, which tests only read."""
    record, runs = a_study()
    return record, write_reports(tmp_path_factory.mktemp("study"), record, runs)


def test_the_html_report_needs_no_other_file_and_escapes_everything(written):
    record, made = written
    page = Page(made.html.read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert page.tags.count("img") == 3 * len(TASKS) + 4  # with ranks and pairs of both columns
    assert all(one.startswith(("data:image/svg+xml,", "#set-")) for one in page.addresses)
    text = " ".join(page.texts)
    for wanted in (EVIL, record["command"], *record["fixed"]["versions"].values(), "fair"):
        assert wanted in text
    for setting in record["fixed"].keys() - {"versions"}:
        assert setting in text


def test_the_markdown_report_has_whole_tables_whatever_names_hold(written):
    record, made = written
    text = made.markdown.read_text(encoding="utf-8")
    assert "<script>" not in text.replace(record["command"], "")
    assert record["command"] in text
    blocks = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    assert len(blocks) == 3 * len(TASKS) + 6  # with ranks, pairs, the data sets and the settings
    for block in blocks:
        bars = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(bars) == 1
    for picture in re.findall(r"\]\((plots/.*?)\)", text):
        assert (made.markdown.parent / picture).read_text().startswith("<?xml")
    assert text.count("](plots/") == 3 * len(TASKS) + 4


def test_every_picture_is_whole_xml_whatever_names_hold():
    name = "--> ]]> \x0b\x00 \x1b[31m & <b>"
    record, runs = a_study(name=name)
    names = [f"{name} {k}" for k in range(2)]
    drawn = draw_all(summaries(record, runs)[0], runs, names, multilabel=False)
    assert len(drawn) == 3
    for one in drawn:
        assert ElementTree.fromstring(one.svg).tag.endswith("svg")


@pytest.mark.parametrize("sets", [1, 4, 5])
@pytest.mark.few(1)
def test_many_data_sets_are_folded_below_one_line_each_that_leads_to_them(tmp_path, sets):
    data, runs = {}, []
    for number in range(sets):
        record, more = a_study(name=f"set {number}")
        data[f"set {number}"] = record["data"][f"set {number}"]
        runs += [run for run in more if run.data == f"set {number}"]
    record = {**record, "data": data, "chosen_data": [*data]}
    made = write_reports(tmp_path, record, runs)
    html_path, markdown_path = made.html, made.markdown
    page = Page(html_path.read_text(encoding="utf-8"))
    anchors = [f"set-{number}" for number in range(1, sets + 1)]
    assert page.anchors == anchors
    assert page.links == ([f"#{anchor}" for anchor in anchors] if sets > 1 else [])
    assert page.open == [sets <= 4] * sets
    text = markdown_path.read_text(encoding="utf-8")
    for number, anchor in enumerate(anchors):
        assert f'<a id="{anchor}"></a>' in text
        assert (f"[set {number}](#{anchor})" in text) == (sets > 1)


def test_the_overview_names_the_best_of_each_column_and_the_reference():
    tables = [summarise(name, "f1", runs_of(SCORES, name), [*SCORES]) for name in ("air", "wine")]
    grid = overview_grid(tables, ["here", "there"])
    assert [cell.link for row in grid.rows for cell in row if cell.link] == ["here", "there"]
    for row, name in zip(grid.rows, ("air", "wine"), strict=True):
        texts = [cell.text for cell in row]
        assert texts[:2] == [name, "f1"]
        assert [text.split(" ±")[0] for text in texts[2:]] == ["focal 0.552"] * 2 + ["0.525"]


def test_a_long_curve_keeps_its_extremes_in_fewer_points():
    rng = np.random.default_rng(0)
    curves = rng.uniform(size=[3, 401])
    curves[0, 300:] = np.nan
    epochs, low, middle, high = _band(curves)
    assert len(epochs) == 67
    assert (low.min(), high.max()) == (np.nanmin(curves), np.nanmax(curves))
    assert middle[:5] == pytest.approx([curves[:, k : k + 6].mean() for k in range(0, 30, 6)])
    assert (epochs[0], epochs[-1]) == (3.5, 399)
    short = _band(curves[:, :75])
    np.testing.assert_array_equal(short[0], np.arange(1, 76))
    np.testing.assert_array_equal(short[1], curves[:, :75].min(axis=0))
    assert _band(np.full([2, 5], np.nan)).shape == (4, 0)


def test_reports_that_cannot_be_written_say_that_the_runs_are_kept(tmp_path):
    record, runs = a_study(methods=("majority",), seeds=1)
    (tmp_path / "plots").write_text("in the way")
    with pytest.raises(StudyError, match=r"cannot be made: .* Finished runs are kept") as raised:
        write_reports(tmp_path, record, runs)
    assert raised.value.running


@pytest.mark.slow
def test_pictures_of_an_earlier_report_are_removed_and_nothing_else(tmp_path):
    record, runs = a_study()
    write_reports(tmp_path, record, runs)
    (tmp_path / "plots" / "mine.svg").write_text("not ours")
    one = {**record, "chosen_data": record["chosen_data"][:1]}
    markdown = write_reports(tmp_path, one, runs).markdown
    shown = set(re.findall(r"\]\(plots/(.*?)\)", markdown.read_text(encoding="utf-8")))
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {*shown, "mine.svg"}


@pytest.mark.slow
def test_both_reports_warn_of_diverged_runs(tmp_path):
    record, runs = a_study(diverged=("focal",))
    made = write_reports(tmp_path, record, runs)
    for path in (made.html, made.markdown):
        text = path.read_text(encoding="utf-8")
        assert "3 of 3 runs of focal" in text
        assert "focal (3 of 3 diverged)" in text.replace("\\", "")


@pytest.mark.parametrize(
    "changes",
    [
        {"methods": ("majority",)},
        {"methods": ("cross_entropy",), "seeds": 1},
        {"methods": ("focal", "majority"), "diverged": ("focal",)},
        {"methods": ("focal",), "diverged": ("focal",)},
    ],
)
@pytest.mark.few(1)
def test_reports_of_little_or_nothing_are_written_too(tmp_path, changes):
    record, runs = a_study(**changes)
    made = write_reports(tmp_path, record, runs)
    for path in (made.html, made.markdown):
        assert "method" in path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_same_runs_give_the_same_pictures_in_any_order():
    record, runs = a_study()
    table = summaries(record, runs)[0]
    names = record["data"][EVIL]["class_names"]
    first = draw_all(table, runs, names, multilabel=False)
    assert first == draw_all(table, runs[::-1], names, multilabel=False)
    assert [picture.name for picture in first] == ["scores", "learning", "confusion"]
    for picture in first:
        assert picture.svg.startswith("<?xml")
        assert "f1_macro" in picture.alt or picture.name == "confusion"


@pytest.mark.parametrize(("methods", "free"), [(2, 0), (3, 1)])
def test_titles_of_learning_curves_fit_and_a_free_place_holds_the_key(methods, free):
    names = ["cross_entropy", "concentration_policy_gradient_likelihood", "reinforce_leave_one_out"]
    history = {"loss": [1.0] * 9, "val_reward": [0.1 * epoch for epoch in range(9)]}
    runs = [
        dataclasses.replace(a_run(), data="air", method=name, history=history)
        for name in names[:methods]
    ]
    summary = summarise("air", "f1", runs, names[:methods], shares=None)
    figure = draw_learning(summary.rows, runs, summary)
    FigureCanvasAgg(figure).draw()
    panels = figure.axes
    assert len(panels) == methods + free
    assert sum(axes.get_legend() is not None for axes in panels) == free
    assert all(axes.axison or axes.get_legend() for axes in panels)
    boxes = [axes._left_title.get_window_extent() for axes in panels]
    assert boxes[0].x1 < boxes[1].x0
    assert boxes[1].x1 <= figure.bbox.x1


def test_settings_tables_and_reports_need_no_tensorflow_and_no_pyplot():
    script = """
        import sys
        import policygrad_metrics.study.settings, policygrad_metrics.study.report
        import policygrad_metrics.study.runs
        print([m for m in ("tensorflow", "keras", "matplotlib.pyplot") if m in sys.modules])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
