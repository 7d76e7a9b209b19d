"""Every two methods over data sets: numbers, texts and picture."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from scipy import stats
from study_cases import a_run

from policygrad_metrics.study.content import pairs_grid
from policygrad_metrics.study.overall import overall
from policygrad_metrics.study.pairs import MOST_METHODS, PairMatrix, draw_pairs
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.table import summarise

RNG = np.random.default_rng(0)
#: Seven data sets: b is better than a on all, c is noise.
MEANS = {"a": RNG.uniform(size=7)}
MEANS |= {"b": MEANS["a"] + 0.01 * np.arange(1, 8), "c": RNG.uniform(size=7)}


def over(means, more=()):
    runs = [
        a_run(method, 0, float(score), f"set {place}")
        for method, scores in means.items()
        for place, score in enumerate(scores)
    ]
    runs += more
    sets = range(len(next(iter(means.values()))))
    tables = [summarise(f"set {n}", "f1", runs, [*means]) for n in sets]
    return overall(tables, runs, "tuned")


def test_pairs_have_the_differences_of_means_and_wilcoxon_s_p_of_scipy():
    found = over(MEANS)
    places = [one.method for one in found.standings]
    assert [(pair.method, pair.other) for pair in found.pairs] == [
        (places[0], places[1]), (places[0], places[2]), (places[1], places[2]),
    ]  # fmt: skip
    for pair in found.pairs:
        ours, theirs = MEANS[pair.method], MEANS[pair.other]
        assert pair.difference == pytest.approx(np.mean(ours - theirs))
        assert (pair.won, pair.tied, pair.lost) == (
            (ours > theirs).sum(), 0, (ours < theirs).sum(),
        )  # fmt: skip
        expected = stats.wilcoxon(ours, theirs, method="exact").pvalue
        assert pair.p_value == pytest.approx(expected, rel=1e-9)


def test_other_methods_change_no_pair():
    numbers = {frozenset((p.method, p.other)): p.p_value for p in over(MEANS).pairs}
    (pair,) = over({"a": MEANS["a"], "b": MEANS["b"]}).pairs
    assert numbers[frozenset("ab")] == pair.p_value == 2 / 2**7


def test_the_table_mirrors_its_cells_and_certain_ones_are_bold():
    grid = pairs_grid(over(MEANS))
    cells = {
        (row[0].text, name): cell
        for row in grid.rows
        for name, cell in zip(grid.header[1:], row[1:], strict=True)
    }
    assert cells["b", "a"].text == "+0.040, 7 / 0 / 0, p = 0.016"
    assert cells["a", "b"].text == "-0.040, 0 / 0 / 7, p = 0.016"
    assert {key for key, cell in cells.items() if cell.bold} == {("b", "a"), ("a", "b")}
    assert all(cells[name, name].text == "-" for name in MEANS)


def test_a_method_that_diverged_loses_without_a_difference_or_a_p():
    found = over(MEANS, [Run("set 3", "b", 1, diverged=True)])
    (pair,) = [p for p in found.pairs if {p.method, p.other} == {"a", "b"}]
    assert {pair.won, pair.lost} == {1, 6}
    assert pair.difference is pair.p_value is None
    matrix = PairMatrix.of(found)
    place = [matrix.methods.index(name) for name in "ab"]
    assert matrix.cells[place[0]][place[1]].lines == ("diverged", "1 / 0 / 6")


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 20])
def test_texts_of_the_picture_lie_inside_their_cells(count):
    found = over({f"a long name of method {n}": RNG.uniform(size=4) for n in range(count)})
    figure = draw_pairs(found)
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    K = min(count, MOST_METHODS)
    assert len(axes.texts) == K * K
    assert len(axes.get_yticklabels()) == K
    width, height = axes.bbox.width / K, axes.bbox.height / K
    for text in axes.texts:
        box = text.get_window_extent()
        assert box.width < width
        assert box.height < height
    assert all(label.get_window_extent().x1 <= figure.bbox.x1 for label in axes.get_xticklabels())
    assert ("Of 20 methods the 16" in PairMatrix.of(found).words) == (count == 20)
