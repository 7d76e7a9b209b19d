"""Every index equals an exact, slow twin that works on the bands as the standards print them."""

from __future__ import annotations

import math
import re
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
import pytest

from policygrad_metrics import aqi

INDEXED = [
    (key, name)
    for key in aqi.scales()
    for name in aqi.get_scale(key).pollutants
    if aqi.get_scale(key).index_edges is not None
]

# The bands as the standards print them, lowest and highest value of each, next to the index
# values of those bands: a second copy in another form than the package's, for the slow twin.
US_INDEX = "0-50 51-100 101-150 151-200 201-300 301-400 401-500"
US_INDEX_2024 = "0-50 51-100 101-150 151-200 201-300 301-500"
CHINA_INDEX = "0-50 50-100 100-150 150-200 200-300 300-400 400-500"
INDIA_INDEX = "0-50 51-100 101-200 201-300 301-400"
KOREA_INDEX = "0-50 51-100 101-250 251-500"
CO_PPM = "0-4.4 4.5-9.4 9.5-12.4 12.5-15.4 15.5-30.4"
NO2_PPB = "0-53 54-100 101-360 361-649 650-1249"
PM10 = "0-54 55-154 155-254 255-354 355-424"
OZONE = "0-0.054 0.055-0.070 0.071-0.085 0.086-0.105 0.106-0.200"
PRINTED: dict[tuple[str, str], dict[str, str]] = {
    ("us_epa_2012", US_INDEX): {
        "pm25": "0-12.0 12.1-35.4 35.5-55.4 55.5-150.4 150.5-250.4 250.5-350.4 350.5-500.4",
        "pm10": PM10 + " 425-504 505-604",
        "o3": "0-0.059 0.060-0.075 0.076-0.095 0.096-0.115 0.116-0.374",
        "no2": NO2_PPB + " 1250-1649 1650-2049",
        "so2": "0-35 36-75 76-185 186-304",
        "co": CO_PPM + " 30.5-40.4 40.5-50.4",
    },
    ("us_epa_2024", US_INDEX_2024): {
        "pm25": "0-9.0 9.1-35.4 35.5-55.4 55.5-125.4 125.5-225.4 225.5-325.4",
        "pm10": PM10 + " 425-604",
        "o3": OZONE,
        "no2": NO2_PPB + " 1250-2049",
        "so2": "0-35 36-75 76-185 186-304",
        "co": CO_PPM + " 30.5-50.4",
    },
    ("taiwan", US_INDEX): {
        "pm25": "0-15.4 15.5-35.4 35.5-54.4 54.5-150.4 150.5-250.4 250.5-350.4 350.5-500.4",
        "pm10": "0-50 51-100 101-254 255-354 355-424 425-504 505-604",
        "o3": OZONE,
        "no2": "0-30 31-100 101-360 361-649 650-1249 1250-1649 1650-2049",
        "so2": "0-20 21-75 76-185 186-304",
        "co": CO_PPM + " 30.5-40.4 40.5-50.4",
    },
    ("china_hj633_2012", CHINA_INDEX): {
        "pm25": "0-35 35-75 75-115 115-150 150-250 250-350 350-500",
        "pm10": "0-50 50-150 150-250 250-350 350-420 420-500 500-600",
        "o3": "0-100 100-160 160-215 215-265 265-800",
        "no2": "0-40 40-80 80-180 180-280 280-565 565-750 750-940",
        "so2": "0-50 50-150 150-475 475-800 800-1600 1600-2100 2100-2620",
        "co": "0-2 2-4 4-14 14-24 24-36 36-48 48-60",
    },
    ("india", INDIA_INDEX): {
        "pm25": "0-30 31-60 61-90 91-120 121-250",
        "pm10": "0-50 51-100 101-250 251-350 351-430",
        "o3": "0-50 51-100 101-168 169-208",
        "no2": "0-40 41-80 81-180 181-280 281-400",
        "so2": "0-40 41-80 81-380 381-800 801-1600",
        "co": "0-1.0 1.1-2.0 2.1-10 10.1-17 17.1-34",
    },
    ("korea", KOREA_INDEX): {
        "pm25": "0-15 16-35 36-75 76-500",
        "pm10": "0-30 31-80 81-150 151-600",
        "o3": "0-0.030 0.031-0.090 0.091-0.150 0.151-0.600",
        "no2": "0-0.030 0.031-0.060 0.061-0.200 0.201-2",
        "so2": "0-0.020 0.021-0.050 0.051-0.150 0.151-1",
        "co": "0-2 2.01-9 9.01-15 15.01-50",
    },
}
# Tables that change single columns of another one, and those columns.
CHANGED = {
    "us_epa_2015": (("us_epa_2012", US_INDEX), {"o3": OZONE}),
    "taiwan_2016": (
        ("taiwan", US_INDEX),
        {
            "pm10": "0-54 55-125 126-254 255-354 355-424 425-504 505-604",
            "no2": NO2_PPB + " 1250-1649 1650-2049",
            "so2": "0-35 36-75 76-185 186-304",
        },
    ),
    "taiwan_2025": (
        ("taiwan", US_INDEX),
        {
            "pm25": "0-12.4 12.5-30.4 30.5-50.4 50.5-125.4 125.5-225.4 225.5-325.4 325.5-500.4",
            "pm10": "0-30 31-75 76-190 191-354 355-424 425-504 505-604",
            "no2": "0-21 22-100 101-360 361-649 650-1249 1250-1649 1650-2049",
            "so2": "0-8 9-65 66-160 161-304",
        },
    ),
    "china_hj633_2026": (
        ("china_hj633_2012", CHINA_INDEX),
        {
            "pm25": "0-35 35-60 60-115 115-150 150-250 250-350 350-500",
            "pm10": "0-50 50-120 120-250 250-350 350-420 420-500 500-600",
        },
    ),
}
for _key, (_base, _columns) in CHANGED.items():
    PRINTED[_key, _base[1]] = PRINTED[_base] | _columns


def _pairs(text):
    return [tuple(Fraction(part) for part in band.split("-")) for band in text.split()]


def _digits(key, pollutant):
    """Read the number of decimals off the printed lower ends of the table."""
    text = next(table[pollutant] for (name, _), table in PRINTED.items() if name == key)
    return max(len(low.partition(".")[2]) for low in re.findall(r"(?:^| )([\d.]+)-", text))


def _twin(value, key, bands, index_bands, digits):
    """Convert one decimal string with exact fractions; None outside the printed bands."""
    how = ROUND_DOWN if key.startswith("us_epa") else ROUND_HALF_UP
    decimal = Decimal(value)
    if not key.startswith("china"):
        decimal = decimal.quantize(Decimal(1).scaleb(-digits), rounding=how)
    c = Fraction(decimal)
    for (low, high), (index_low, index_high) in zip(bands, index_bands, strict=False):
        if low <= c <= high:
            exact = index_low + (index_high - index_low) / (high - low) * (c - low)
            return (
                math.ceil(exact) if key.startswith("china") else math.floor(exact + Fraction(1, 2))
            )
    return None


@pytest.mark.parametrize(("key", "pollutant"), INDEXED)
@pytest.mark.few(7)
def test_index_equals_an_exact_twin_on_the_printed_bands(key, pollutant):
    index_text, text = next(
        (index, table[pollutant]) for (name, index), table in PRINTED.items() if name == key
    )
    bands, index_bands = _pairs(text), _pairs(index_text)
    digits = _digits(key, pollutant)
    assert len(aqi.get_scale(key).column(pollutant).upper) == len(bands)
    top = bands[-1][1]
    values = [
        f"{float(top * k / 2000):.{digits}f}{tail}" if digits else f"{int(top * k / 2000)}{tail}"
        for k in range(2000)
        for tail in (("", "4", "5", "9") if digits else ("", ".4", ".5", ".9"))
    ]
    values += [f"{float(end):.{digits}f}" for band in bands for end in band]
    expected = [_twin(value, key, bands, index_bands, digits) for value in values]
    kept = [
        (value, number)
        for value, number in zip(values, expected, strict=True)
        if number is not None
    ]
    assert len(kept) > 7000
    got = aqi.index([float(value) for value, _ in kept], scale=key, pollutant=pollutant)
    np.testing.assert_array_equal(got, [number for _, number in kept])


def test_the_printed_bands_cover_every_column():
    printed = {(key, name) for (key, _), table in PRINTED.items() for name in table}
    assert printed == set(INDEXED)
