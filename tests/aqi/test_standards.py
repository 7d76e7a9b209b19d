"""Air-quality standards: published examples, every edge on both sides, digits, units."""

from __future__ import annotations

import csv
import gzip
import math
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policygrad_metrics import aqi

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
COLUMNS = [(key, name) for key in aqi.scales() for name in aqi.get_scale(key).pollutants]
INDEXED = [(key, name) for key, name in COLUMNS if aqi.get_scale(key).index_edges is not None]
LEVELS_ONLY = ["eaqi", "eaqi_2024", "uk_daqi", "who_2021"]
quick = settings(deadline=None, max_examples=60)


@pytest.mark.parametrize(("key", "pollutant"), COLUMNS)
def test_every_edge_on_both_sides(key, pollutant):
    column = aqi.get_scale(key).column(pollutant)
    for k, edge in enumerate(aqi.edges(key, pollutant)):
        exact = Decimal(repr(float(edge)))
        unit = Decimal(1).scaleb(-(column.decimals or 0))
        inside = {"truncate": "0.999", "nearest": "0.499", "none": "0"}[column.rounding]
        outside = {"truncate": "1", "nearest": "0.5", "none": "0.000001"}[column.rounding]
        below, above = exact + unit * Decimal(inside), exact + unit * Decimal(outside)
        got = aqi.level([float(exact), float(below), float(above)], key, pollutant)
        np.testing.assert_array_equal(got, [k, k, k + 1], err_msg=f"{edge}")
        assert aqi.thresholds(key, pollutant)[k] <= float(above)


@pytest.mark.parametrize(("key", "pollutant"), COLUMNS)
def test_level_is_where_thresholds_put_it(key, pollutant):
    """Two roads: round then compare with the edges, or compare with the thresholds."""
    digits = (aqi.get_scale(key).column(pollutant).decimals or 0) + 1
    top = aqi.edges(key, pollutant)[-1] * 1.3
    values = np.array([float(f"{v:.{digits}f}") for v in np.linspace(0, top, 20_011)])
    expected = np.digitize(values, aqi.thresholds(key, pollutant))
    np.testing.assert_array_equal(aqi.level(values, key, pollutant), expected)


@pytest.mark.parametrize(
    ("scale", "pollutant", "concentration", "value"),
    [
        # EPA, Technical Assistance Document, "Using the table and the equation": 8-hour ozone
        # 0.07853333 ppm (an exact tie, 125.5), PM2.5 35.9 ug/m3 and CO 8.4 ppm.
        ("us_epa_2024", "o3", 0.07853333, 126),
        ("us_epa_2024", "pm25", 35.92431999, 102),
        ("us_epa_2024", "co", 8.47532711, 90),
        ("us_epa_2012", "pm25", 35.9, 102),
        ("us_epa_2012", "pm25", 12, 50),
        ("us_epa_2012", "co", 8.4, 90),
        ("us_epa_2012", "o3", 0.077, 104),
        # Central Pollution Control Board, National Air Quality Index: PM2.5 of 31, 45, 60.
        ("india", "pm25", 31, 51),
        ("india", "pm25", 45, 75),
        ("india", "pm25", 60, 100),
        # China: 35 and 75 are 50 and 100; 500 and everything above are 500.
        ("china_hj633_2012", "pm25", 35, 50),
        ("china_hj633_2012", "pm25", 75, 100),
        ("china_hj633_2012", "pm25", 999, 500),
    ],
)
def test_published_examples(scale, pollutant, concentration, value):
    assert aqi.index(concentration, scale=scale, pollutant=pollutant) == value


def test_what_lies_above_the_last_breakpoint():
    # US: the line of the last printed band goes on (225.5-325.4 is 301-500 in 2024).
    slope = 199 / (325.4 - 225.5)
    assert aqi.index(400.0) == math.floor(301 + slope * (400 - 225.5) + 0.5)
    assert aqi.index(600.4, "us_epa_2012") == math.floor(401 + 99 / 149.9 * (600.4 - 350.5) + 0.5)
    assert aqi.level(5000.0) == 5
    # India's Severe: carried on, 500 at 380, and no more.
    np.testing.assert_array_equal(aqi.index([251, 380, 2000], "india"), [401, 500, 500])
    for key in ("taiwan", "china_hj633_2012", "korea"):
        assert aqi.index(5000, key) == 500
    # Where a standard changes the averaging time, neither index nor level passes the cap.
    for key, pollutant, cap in [
        ("us_epa_2012", "o3", 300),
        ("us_epa_2024", "o3", 300),
        ("us_epa_2024", "so2", 200),
        ("taiwan", "so2", 200),
        ("china_hj633_2012", "o3", 300),
        ("india", "o3", 300),
    ]:
        value = aqi.index(1e5, key, pollutant)
        assert value == cap
        assert aqi.level(1e5, key, pollutant) == aqi.index_level(value, key)
        assert len(aqi.names(key, pollutant)) == aqi.index_level(value, key) + 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_truncation_is_right_for_every_decimal(dtype):
    tenths = np.arange(6001)
    values = np.array([f"{n // 10}.{n % 10}" for n in tenths]).astype(dtype)
    expected = np.searchsorted([120, 354, 554, 1504, 2504], tenths)
    np.testing.assert_array_equal(aqi.level(values, "us_epa_2012"), expected)
    more = np.array([f"{n // 10}.{n % 10}9" for n in tenths]).astype(dtype)
    np.testing.assert_array_equal(aqi.level(more, "us_epa_2012"), expected)
    ppm = np.array([f"0.{n:03d}" for n in range(1000)]).astype(dtype)
    expected = np.searchsorted([54, 70, 85, 105], np.arange(1000))
    np.testing.assert_array_equal(aqi.level(ppm, "us_epa_2024", "o3"), expected)


def test_a_mean_with_rounding_error_keeps_its_decimal():
    readings = np.full(24, 35.5)
    readings[::2] += 0.1
    readings[1::2] -= 0.1
    mean = sum(readings / 24)
    assert mean != 35.5
    assert aqi.level(mean) == 2
    assert aqi.level(np.nextafter(35.5, 0)) == 2
    assert aqi.level(35.4999) == 1


def test_the_steps_of_the_question():
    """Taiwan rounds, so its unrounded steps are 15.45 and 35.45; the US truncates."""
    np.testing.assert_array_equal(aqi.thresholds("taiwan")[:2], [15.45, 35.45])
    np.testing.assert_array_equal(aqi.level([15.4, 15.44, 15.45, 15.5], "taiwan"), [0, 0, 1, 1])
    np.testing.assert_array_equal(aqi.level([12.04, 12.09, 12.1], "us_epa_2012"), [0, 0, 1])
    np.testing.assert_array_equal(aqi.level(np.array([15.45, 35.45], np.float32), "taiwan"), [1, 2])


@given(data=st.data())
@quick
def test_level_and_index_never_fall(data):
    key, pollutant = data.draw(st.sampled_from(INDEXED))
    top = aqi.get_scale(key).column(pollutant).upper[-1] * 1.5
    values = np.sort(data.draw(st.lists(st.floats(0, top), min_size=2, max_size=40)))
    levels, indices = aqi.level(values, key, pollutant), aqi.index(values, key, pollutant)
    assert np.all(np.diff(levels) >= 0)
    assert np.all(np.diff(indices) >= 0)
    np.testing.assert_array_equal(levels, aqi.index_level(indices, key))


@given(data=st.data())
@quick
def test_levels_only_scales_never_fall(data):
    key, pollutant = data.draw(st.sampled_from([c for c in COLUMNS if c not in INDEXED]))
    top = aqi.edges(key, pollutant)[-1] * 1.5
    values = np.sort(data.draw(st.lists(st.floats(0, top), min_size=2, max_size=40)))
    assert np.all(np.diff(aqi.level(values, key, pollutant)) >= 0)


@pytest.mark.parametrize(("key", "pollutant"), INDEXED)
def test_round_trip(key, pollutant):
    column = aqi.get_scale(key).column(pollutant)
    wanted = np.arange(0, (column.index_limit or 800) + 1)
    back = aqi.concentration(wanted, key, pollutant)
    got = aqi.index(back, key, pollutant)
    np.testing.assert_array_equal(aqi.index_level(got, key), aqi.index_level(wanted, key))
    np.testing.assert_array_equal(aqi.level(back, key, pollutant), aqi.index_level(wanted, key))
    # A kept unit is worth `steepest` points at most, so the nearest one is half of that away, and
    # rounding the index adds half a point. Where a unit is worth at most one point: the same.
    concentrations, indices = aqi.get_scale(key).knots(pollutant)
    step = 0.0 if column.decimals is None else 10.0**-column.decimals
    steepest = step * np.max(np.diff(indices) / np.diff(concentrations))
    assert np.max(np.abs(got - wanted)) <= (0 if steepest <= 1.0 else steepest / 2 + 0.5)
    # Converting a second time changes nothing.
    np.testing.assert_array_equal(
        aqi.index(aqi.concentration(got, key, pollutant), key, pollutant), got
    )


def test_pm25_of_the_us_taiwan_and_china_round_trips_exactly():
    for key, top in [("us_epa_2012", 900), ("us_epa_2024", 900), ("taiwan", 500)]:
        wanted = np.arange(top + 1)
        np.testing.assert_array_equal(aqi.index(aqi.concentration(wanted, key), key), wanted)
    for pollutant in aqi.get_scale("china_hj633_2012").pollutants:
        wanted = np.arange(301)
        back = aqi.concentration(wanted, "china_hj633_2012", pollutant)
        np.testing.assert_array_equal(aqi.index(back, "china_hj633_2012", pollutant), wanted)


def test_index_level_at_the_bounds():
    np.testing.assert_array_equal(
        aqi.index_level([50, 50.4, 50.5, 51, 300, 301]), [0, 0, 1, 1, 4, 5]
    )
    np.testing.assert_array_equal(aqi.index_level([50, 50.1, 300.2], "china_hj633_2012"), [0, 1, 5])
    np.testing.assert_array_equal(aqi.index_level([100, 101, 250, 251], "korea"), [1, 2, 2, 3])


def test_shape_and_nan_are_kept():
    values = np.array([[1.0, np.nan], [40.0, 500.0]])
    for result in (
        aqi.level(values),
        aqi.index(values),
        aqi.concentration(values),
        aqi.index_level(values),
    ):
        assert result.shape == (2, 2)
        assert result.dtype == np.float64
        np.testing.assert_array_equal(np.isnan(result), np.isnan(values))
    assert np.isnan(aqi.level(float("nan"), "eaqi"))
    assert aqi.level(np.zeros((0, 3))).shape == (0, 3)
    masked = np.ma.masked_array([5, 400], mask=[False, True])
    np.testing.assert_array_equal(aqi.level(masked), [0, np.nan])
    np.testing.assert_array_equal(aqi.level(np.array([5, None])), [0, np.nan])


@pytest.mark.parametrize("convert", [aqi.level, aqi.index, aqi.concentration, aqi.index_level])
def test_wrong_values_raise(convert):
    for bad in (-0.1, np.inf, [1.0, -np.inf], [np.nan, -999]):
        with pytest.raises(ValueError, match="must be 0 or more and finite"):
            convert(bad)
    for bad in ("12", ["a"], [1j], np.array(["2020-01-01"], dtype="datetime64[D]"), [object()]):
        with pytest.raises(TypeError, match="must be real numbers"):
            convert(bad)


def test_unknown_names_offer_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'us_epa_2024'"):
        aqi.level(1.0, scale="us_epa_2025")
    with pytest.raises(ValueError, match=r"scale 'taiwan'.*did you mean 'pm25'.*'co', 'no2', 'o3'"):
        aqi.level(1.0, scale="taiwan", pollutant="pm2.5")
    with pytest.raises(ValueError, match="Allowed: 'no2', 'o3', 'pm10', 'pm25', 'so2'"):
        aqi.edges("eaqi", "co")
    for key in LEVELS_ONLY:
        for call in (aqi.index, aqi.concentration, aqi.index_level):
            with pytest.raises(ValueError, match="has levels only"):
                call(1.0, scale=key)
    with pytest.raises(ValueError, match="index must be at most 500"):
        aqi.concentration([10, 501], "taiwan")
    with pytest.raises(ValueError, match="index must be at most 300"):
        aqi.concentration(301, "us_epa_2024", "o3")


@pytest.mark.parametrize(("key", "pollutant"), COLUMNS)
def test_records_are_whole(key, pollutant):
    scale, edges = aqi.get_scale(key), aqi.edges(key, pollutant)
    column = scale.column(pollutant)
    assert np.all(np.diff(column.upper) > 0)
    assert np.all(np.diff(edges) > 0)
    assert len(aqi.names(key, pollutant)) == len(aqi.colours(key, pollutant)) == len(edges) + 1
    assert len(set(scale.names)) == len(scale.names) == len(scale.colours)
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in scale.colours)
    assert column.unit in ("ug/m3", "mg/m3", "ppm", "ppb")
    assert column.averaging in ("15 min", "1 h", "8 h", "24 h")
    assert (column.decimals is None) == (column.rounding == "none")
    assert all((scale.document.title, scale.document.issuer, scale.document.section, scale.notes))
    # What makes sense of the published numbers: they are whole units of the kept digits.
    if column.decimals is not None:
        units = np.array(column.upper) * 10.0**column.decimals
        np.testing.assert_allclose(units, np.rint(units), rtol=1e-12)


def test_levels_only_bands_as_published():
    """Read off as ranges: European index (PM2.5, ozone), WHO (PM2.5 24 h, SO2 24 h, CO 24 h)."""
    np.testing.assert_array_equal(
        aqi.level([10, 10.1, 20, 25, 50, 75, 75.1, 799], "eaqi"), [0, 1, 1, 2, 3, 4, 5, 5]
    )
    np.testing.assert_array_equal(
        aqi.level([50, 100, 130, 240, 380, 381], "eaqi", "o3"), [0, 1, 2, 3, 4, 5]
    )
    np.testing.assert_array_equal(
        aqi.level([15, 25, 37.5, 37.6, 50, 75, 76], "who_2021"), [0, 1, 2, 3, 3, 4, 5]
    )
    np.testing.assert_array_equal(aqi.level([40, 50, 125, 126], "who_2021", "so2"), [0, 1, 2, 3])
    assert aqi.names("who_2021", "co")[1:] == ("Within interim target 1", "Above interim target 1")


@pytest.mark.parametrize(
    ("scale", "pollutant", "concentration", "expected"),
    [
        # Each at its last value of one level and the first of the next.
        ("eaqi_2024", "pm25", [5, 5.1, 140, 140.1], [0, 1, 4, 5]),
        ("eaqi_2024", "so2", [125, 126, 275, 276], [2, 3, 4, 5]),
        ("taiwan_2025", "pm25", [12.4, 12.5, 225.4, 225.5], [0, 1, 4, 5]),
        ("taiwan_2025", "no2", [21, 22, 100, 101], [0, 1, 1, 2]),
        ("taiwan_2016", "pm10", [54, 55, 125, 126], [0, 1, 1, 2]),
        ("taiwan_2016", "pm25", [15.4, 15.5], [0, 1]),  # as in `taiwan`
        ("china_hj633_2026", "pm25", [60, 60.5, 115, 116], [1, 2, 2, 3]),
        ("china_hj633_2026", "no2", [80, 81], [1, 2]),
        ("us_epa_2015", "o3", [0.070, 0.071], [1, 2]),
        ("us_epa_2015", "pm25", [12.0, 12.1], [0, 1]),
        ("uk_daqi", "pm25", [35.4, 35.5, 70, 71], [2, 3, 8, 9]),
    ],
)
def test_newer_tables(scale, pollutant, concentration, expected):
    np.testing.assert_array_equal(aqi.level(concentration, scale, pollutant), expected)


def test_the_index_of_hj633_2026():
    # 100 + 15 / 55 * 50 = 113.6, rounded up; 114 before 2026 would be 100.
    assert aqi.index(75, "china_hj633_2026") == 114
    assert aqi.index(150, "china_hj633_2026", "pm10") == 112


def test_the_table_in_force():
    regions = {scale.region for scale in map(aqi.get_scale, aqi.scales())}
    for region in regions:
        found = [s for s in map(aqi.get_scale, aqi.scales()) if s.region == region]
        found.sort(key=lambda scale: scale.since)
        assert aqi.current(region) == found[-1].key
        # One after the other, without a gap.
        assert [s.until for s in found] == [s.since for s in found[1:]] + [None]
        for scale in found:
            assert aqi.current(region, scale.since) == scale.key
    assert aqi.current("china", "2026-02-28") == "china_hj633_2012"
    assert aqi.current("taiwan") == "taiwan_2025"
    with pytest.raises(ValueError, match="did you mean 'china'"):
        aqi.current("chine")
    with pytest.raises(ValueError, match="in force since 2013-03-18"):
        aqi.current("us", "2001-01-01")


def test_the_overall_index_and_its_pollutant():
    nan = float("nan")
    found = aqi.overall({"pm25": [35.4, 9.0, nan], "pm10": [155.0, 54.0, nan]})
    np.testing.assert_array_equal(found.index, [101, 50, nan])
    np.testing.assert_array_equal(found.level, [2, 0, nan])
    # Of equal ones the first.
    assert found.pollutant.tolist() == ["pm10", "pm25", ""]
    # WHO's ozone jumps over two of the six levels.
    found = aqi.overall({"pm25": [16.0, 30.0], "o3": [101.0, nan]}, "who_2021")
    np.testing.assert_array_equal(found.level, [3, 2])
    assert found.pollutant.tolist() == ["o3", "pm25"]
    assert found.index is None
    with pytest.raises(ValueError, match="one shape"):
        aqi.overall({"pm25": [1.0], "o3": [0.01, 0.02]})
    with pytest.raises(ValueError, match="did you mean 'pm25'"):
        aqi.overall({"pm2.5": [1.0]})


@pytest.mark.parametrize("key", aqi.scales())
def test_the_overall_column_has_all_levels(key):
    scale = aqi.get_scale(key)
    values = range(len(scale.names)) if scale.index_edges is None else [*scale.index_edges, 999]
    found = aqi.level(list(values), key, "overall")
    np.testing.assert_array_equal(found, range(len(scale.names)))
    assert aqi.names(key, "overall") == scale.names


def test_a_scale_of_your_own():
    mine = aqi.Scale(
        key="mine",
        title="Two levels",
        document=aqi.Document("none", "me", 2026, "none"),
        names=("low", "high"),
        colours=("#000000", "#FFFFFF"),
        columns=(aqi.Column("pm25", "ug/m3", "1 h", (20.0,)),),
    )
    np.testing.assert_array_equal(aqi.level([20, 20.5], mine), [0, 1])
    assert aqi.names(mine) == ("low", "high")


@pytest.mark.parametrize(
    ("scale", "counts"),
    [
        ("china_hj633_2012", [12_120, 9_391, 7_122, 4_133, 5_938, 3_053]),
        ("us_epa_2012", [3_387, 8_733, 5_003, 15_643, 5_938, 3_053]),
        ("us_epa_2024", [1_690, 10_430, 5_003, 12_817, 7_822, 3_995]),
    ],
)
def test_counts_on_beijing(scale, counts):
    path = DATA / "beijing_pm25.csv.gz"
    if not path.exists():
        pytest.skip("the shared data folder is not here")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        text = [row["pm2.5"] for row in csv.DictReader(file)]
    values = np.array([np.nan if cell == "NA" else float(cell) for cell in text])
    levels = aqi.level(values, scale)
    assert np.count_nonzero(np.isnan(levels)) == 2_067
    np.testing.assert_array_equal(np.bincount(levels[~np.isnan(levels)].astype(int)), counts)
    aqi.check_units(values)
    with pytest.raises(ValueError, match="look like mg/m3, not ug/m3"):
        aqi.check_units(values / 1000)


@pytest.mark.parametrize(
    ("pollutant", "unit", "good"),
    [
        ("pm25", "ug/m3", 0.6),
        ("pm25", "ug/m3", 499.0),
        ("pm10", "ug/m3", 40.0),
        ("o3", "ug/m3", 60.0),
        ("o3", "ppb", 30.0),
        ("no2", "ppb", 0.3),
        ("so2", "ppb", 0.5),
        ("so2", "ug/m3", 150.0),
        ("co", "ppb", 120.0),
        ("co", "ug/m3", 900.0),
    ],
)
def test_units_a_thousand_times_off_are_caught(pollutant, unit, good):
    large = {"ug/m3": "mg/m3", "ppb": "ppm"}[unit]
    series = good * np.array([0.5, 1.0, 7.0, np.nan])
    series[1] = good
    aqi.check_units(series, pollutant, unit)
    aqi.check_units(series / 1000, pollutant, large)
    with pytest.raises(ValueError, match=f"look like {large}, not {unit}.*by 1000"):
        aqi.check_units(series / 1000, pollutant, unit)
    with pytest.raises(ValueError, match=rf"look like {unit}, not {large}.*by 0\.001"):
        aqi.check_units(series, pollutant, large)


def test_check_units_refuses_what_it_cannot_check():
    aqi.check_units([0.0, 0.0, 0.0, 3.0], "so2", "ppb")
    with pytest.raises(ValueError, match="at least one number"):
        aqi.check_units([np.nan, np.nan])
    with pytest.raises(ValueError, match="-999"):
        aqi.check_units([-999.0, -999.0, 3.0])
    with pytest.raises(ValueError, match="are particles"):
        aqi.check_units([3.0], "pm25", "ppb")
    with pytest.raises(ValueError, match="did you mean 'ug/m3'"):
        aqi.check_units([3.0], "pm25", "ugm3")
    with pytest.raises(ValueError, match="did you mean 'pm25'"):
        aqi.check_units([3.0], "pm2.5")


def test_floor_zero_imports_no_tensorflow():
    folder = Path(aqi.__file__).parent
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    assert not re.search(r"^\s*(?:from|import) (?:tensorflow|keras)", text, flags=re.MULTILINE)
