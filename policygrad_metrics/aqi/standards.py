"""The tables of the standards, as published.

Every breakpoint was checked against at least one public source, nearly all against two;
most of these report the standard at second hand. The documents named are the standards' own.

One column is one averaging time: where a standard goes over to another averaging time at high
values (8-hour to 1-hour ozone, 1-hour to 24-hour sulphur dioxide) the column ends there, and its
index is capped at that value. Second columns of a pollutant (1-hour ozone and the like), ammonia
and lead are left out. The bands are meant for the averaging time stated in each column; on other
means (hourly PM2.5) they serve as labels only.
"""

from __future__ import annotations

from policygrad_metrics.aqi.tables import Column, Document, Rounding, Scale

_US_NAMES = (
    "Good",
    "Moderate",
    "Unhealthy for Sensitive Groups",
    "Unhealthy",
    "Very Unhealthy",
    "Hazardous",
)
_US_COLOURS = ("#00E400", "#FFFF00", "#FF7E00", "#FF0000", "#8F3F97", "#7E0023")
_SIX_LEVELS = (50, 100, 150, 200, 300)
_TO_400_500 = (50, 100, 150, 200, 300, 400, 500)
_TO_500 = (50, 100, 150, 200, 300, 500)
_US_NOTES = (
    "Concentrations are truncated, not rounded, to the digits of the table: 12.04 counts as 12.0.",
    "Above AQI 500 the line of the Hazardous category is carried on, without limit.",
    "8-hour ozone defines no AQI above 300 and 1-hour sulphur dioxide none above 200: both columns "
    "are capped there (the standard goes over to 1-hour ozone and 24-hour sulphur dioxide).",
)


def _column(
    pollutant: str,
    unit: str,
    averaging: str,
    decimals: int,
    upper: tuple[float, ...],
    index: tuple[int, ...],
    limit: int | None,
    rounding: Rounding,
) -> Column:
    return Column(pollutant, unit, averaging, upper, index, decimals, rounding, limit)


def _us(pm25: tuple[float, ...], ozone: tuple[float, ...], two_tops: bool) -> tuple[Column, ...]:
    """Return the columns of a US table; the older ones have a breakpoint at AQI 400."""
    index = _TO_400_500 if two_tops else _TO_500

    def tops(at_400: float, at_500: float) -> tuple[float, ...]:
        return (at_400, at_500) if two_tops else (at_500,)

    pm10 = (54, 154, 254, 354, 424, *tops(504, 604))
    no2 = (53, 100, 360, 649, 1249, *tops(1649, 2049))
    co = (4.4, 9.4, 12.4, 15.4, 30.4, *tops(40.4, 50.4))
    cut: Rounding = "truncate"
    return (
        _column("pm25", "ug/m3", "24 h", 1, pm25, index, None, cut),
        _column("pm10", "ug/m3", "24 h", 0, pm10, index, None, cut),
        _column("o3", "ppm", "8 h", 3, ozone, _SIX_LEVELS, 300, cut),
        _column("no2", "ppb", "1 h", 0, no2, index, None, cut),
        _column("so2", "ppb", "1 h", 0, (35, 75, 185, 304), (50, 100, 150, 200), 200, cut),
        _column("co", "ppm", "8 h", 1, co, index, None, cut),
    )


US_EPA_2012 = Scale(
    key="us_epa_2012",
    title="US EPA Air Quality Index, December 2012 to May 2024 (PM2.5)",
    document=Document(
        title="National Ambient Air Quality Standards for Particulate Matter, final rule, "
        "78 FR 3086; 40 CFR Part 58, Appendix G",
        issuer="United States Environmental Protection Agency",
        year=2012,
        section="Table 2, breakpoints for the AQI",
    ),
    names=_US_NAMES,
    colours=_US_COLOURS,
    columns=_us(
        (12.0, 35.4, 55.4, 150.4, 250.4, 350.4, 500.4),
        (0.059, 0.075, 0.095, 0.115, 0.374),
        two_tops=True,
    ),
    index_edges=_SIX_LEVELS,
    gapped=True,
    notes=(
        *_US_NOTES,
        "Ozone is the 8-hour column in force in 2012; the one of October 2015 is in us_epa_2024.",
    ),
)

US_EPA_2024 = Scale(
    key="us_epa_2024",
    title="US EPA Air Quality Index since May 2024",
    document=Document(
        title="Technical Assistance Document for the Reporting of Daily Air Quality - the Air "
        "Quality Index (AQI), EPA-454/B-24-002",
        issuer="United States Environmental Protection Agency",
        year=2024,
        section="Part IV and Table 6, breakpoints for the AQI; Table 2, colours",
    ),
    names=_US_NAMES,
    colours=_US_COLOURS,
    columns=_us(
        (9.0, 35.4, 55.4, 125.4, 225.4, 325.4),
        (0.054, 0.070, 0.085, 0.105, 0.200),
        two_tops=False,
    ),
    index_edges=_SIX_LEVELS,
    gapped=True,
    notes=_US_NOTES,
)

TAIWAN = Scale(
    key="taiwan",
    title="Taiwan Air Quality Index of December 2016",
    document=Document(
        title="Air Quality Index (AQI)",
        issuer="Environmental Protection Administration (now Ministry of Environment), Taiwan",
        year=2016,
        section="Pollutant concentrations and sub-index values",
    ),
    names=(
        "Good",
        "Moderate",
        "Unhealthy for sensitive groups",
        "Unhealthy",
        "Very unhealthy",
        "Hazardous",
    ),
    colours=("#009865", "#FFFB26", "#FF9835", "#CA0034", "#670099", "#7E0123"),
    columns=tuple(
        _column(*row, "nearest")
        for row in (
            (
                *("pm25", "ug/m3", "24 h", 1),
                (15.4, 35.4, 54.4, 150.4, 250.4, 350.4, 500.4),
                _TO_400_500,
                500,
            ),
            ("pm10", "ug/m3", "24 h", 0, (50, 100, 254, 354, 424, 504, 604), _TO_400_500, 500),
            ("o3", "ppm", "8 h", 3, (0.054, 0.070, 0.085, 0.105, 0.200), _SIX_LEVELS, 300),
            ("no2", "ppb", "1 h", 0, (30, 100, 360, 649, 1249, 1649, 2049), _TO_400_500, 500),
            ("so2", "ppb", "1 h", 0, (20, 75, 185, 304), (50, 100, 150, 200), 200),
            ("co", "ppm", "8 h", 1, (4.4, 9.4, 12.4, 15.4, 30.4, 40.4, 50.4), _TO_400_500, 500),
        )
    ),
    index_edges=_SIX_LEVELS,
    gapped=True,
    notes=(
        "PM2.5 is rounded to one decimal and PM10 to none, as the ministry does with its moving "
        "averages; for the gases no rule is stated and the same is done with the table's digits. "
        "So 15.45 counts as 15.5, level 1, and 15.44 as 15.4, level 0: on unrounded values the "
        "first two steps lie at 15.45 and 35.45.",
        "Values above the last breakpoint give 500. 8-hour ozone is capped at 300 and 1-hour "
        "sulphur dioxide at 200, where the standard goes over to other averaging times.",
        "The ministry has published tighter bands since; they are not in this table.",
        "Colours are those of the ministry's web page, read by a secondary source.",
    ),
)

CHINA_HJ633_2012 = Scale(
    key="china_hj633_2012",
    title="China Air Quality Index, HJ 633-2012, daily report",
    document=Document(
        title="Technical Regulation on Ambient Air Quality Index (on trial), HJ 633-2012",
        issuer="Ministry of Environmental Protection, China",
        year=2012,
        section="Section 4, Table 1 (24-hour columns, 8-hour ozone); Annex A, colours",
    ),
    names=(
        "Excellent",
        "Good",
        "Lightly polluted",
        "Moderately polluted",
        "Heavily polluted",
        "Severely polluted",
    ),
    colours=("#00E400", "#FFFF00", "#FF7E00", "#FF0000", "#99004C", "#7E0023"),
    columns=(
        *(
            Column(pollutant, unit, "24 h", upper, _TO_400_500, index_limit=500)
            for pollutant, unit, upper in (
                ("pm25", "ug/m3", (35, 75, 115, 150, 250, 350, 500)),
                ("pm10", "ug/m3", (50, 150, 250, 350, 420, 500, 600)),
                ("no2", "ug/m3", (40, 80, 180, 280, 565, 750, 940)),
                ("so2", "ug/m3", (50, 150, 475, 800, 1600, 2100, 2620)),
                ("co", "mg/m3", (2, 4, 14, 24, 36, 48, 60)),
            )
        ),
        Column("o3", "ug/m3", "8 h", (100, 160, 215, 265, 800), _SIX_LEVELS, index_limit=300),
    ),
    index_edges=_SIX_LEVELS,
    index_rounding="up",
    notes=(
        "Index values are rounded up to a whole number. No rounding of concentrations is stated, "
        "and none is done: 35.1 is level 1.",
        "Values above the last breakpoint give 500. 8-hour ozone above 800 is not converted by "
        "the standard (1-hour ozone is): capped at 300 here.",
    ),
)

INDIA = Scale(
    key="india",
    title="India National Air Quality Index",
    document=Document(
        title="National Air Quality Index",
        issuer="Central Pollution Control Board, India",
        year=2014,
        section="Breakpoints for the AQI scale 0-500; sub-index equation",
    ),
    names=("Good", "Satisfactory", "Moderately polluted", "Poor", "Very Poor", "Severe"),
    colours=("#00B050", "#92D051", "#FFFF00", "#FF6500", "#FF0000", "#C00000"),
    columns=tuple(
        _column(*row, "nearest")
        for row in (
            ("pm25", "ug/m3", "24 h", 0, (30, 60, 90, 120, 250), (50, 100, 200, 300, 400), 500),
            ("pm10", "ug/m3", "24 h", 0, (50, 100, 250, 350, 430), (50, 100, 200, 300, 400), 500),
            ("no2", "ug/m3", "24 h", 0, (40, 80, 180, 280, 400), (50, 100, 200, 300, 400), 500),
            ("so2", "ug/m3", "24 h", 0, (40, 80, 380, 800, 1600), (50, 100, 200, 300, 400), 500),
            ("co", "mg/m3", "8 h", 1, (1, 2, 10, 17, 34), (50, 100, 200, 300, 400), 500),
            ("o3", "ug/m3", "8 h", 0, (50, 100, 168, 208), (50, 100, 200, 300), 300),
        )
    ),
    index_edges=(50, 100, 200, 300, 400),
    gapped=True,
    notes=(
        "No rounding of concentrations is stated: they are rounded to the digits of the table, "
        "whose bands read 0-30, 31-60, ...",
        "The report leaves Severe open above: the line of Very Poor is carried on (as the board's "
        "calculator does) and capped at 500, the end of the scale.",
        "8-hour ozone is capped at 300; above, the report asks for 1-hour ozone.",
        "Colours are those of the report's chart, read by a secondary source.",
    ),
)

EAQI = Scale(
    key="eaqi",
    title="European Air Quality Index (six levels)",
    document=Document(
        title="European Air Quality Index",
        issuer="European Environment Agency",
        year=2024,
        section="About the index: index levels, as published in July 2024",
    ),
    names=("Good", "Fair", "Moderate", "Poor", "Very poor", "Extremely poor"),
    colours=("#50F0E6", "#50CCAA", "#F0E641", "#FF5050", "#960032", "#7D2181"),
    columns=(
        Column("pm25", "ug/m3", "24 h", (10, 20, 25, 50, 75)),
        Column("pm10", "ug/m3", "24 h", (20, 40, 50, 100, 150)),
        Column("o3", "ug/m3", "1 h", (50, 100, 130, 240, 380)),
        Column("no2", "ug/m3", "1 h", (40, 90, 120, 230, 340)),
        Column("so2", "ug/m3", "1 h", (100, 200, 350, 500, 750)),
    ),
    notes=(
        "Levels only. The bands share their ends (0-10, 10-20); an end counts to the better level.",
        "The agency discards values above 800 (PM2.5, O3), 1000 (NO2), 1200 (PM10) or 1250 (SO2) "
        "as erroneous; here they are the last level.",
        "Later revisions of the index are not in this table.",
    ),
)

KOREA = Scale(
    key="korea",
    title="Korea Comprehensive Air-quality Index (CAI)",
    document=Document(
        title="Comprehensive Air-quality Index (CAI)",
        issuer="Korea Environment Corporation (AirKorea), Ministry of Environment",
        year=2018,
        section="Calculation of the index: breakpoints and index values",
    ),
    names=("Good", "Moderate", "Unhealthy", "Very unhealthy"),
    colours=("#0000FF", "#00FF00", "#FFFF00", "#FF0000"),
    columns=tuple(
        _column(*row, (50, 100, 250, 500), 500, "nearest")
        for row in (
            ("pm25", "ug/m3", "24 h", 0, (15, 35, 75, 500)),
            ("pm10", "ug/m3", "24 h", 0, (30, 80, 150, 600)),
            ("o3", "ppm", "1 h", 3, (0.030, 0.090, 0.150, 0.600)),
            ("no2", "ppm", "1 h", 3, (0.030, 0.060, 0.200, 2.000)),
            ("so2", "ppm", "1 h", 3, (0.020, 0.050, 0.150, 1.000)),
            ("co", "ppm", "1 h", 2, (2, 9, 15, 50)),
        )
    ),
    index_edges=(50, 100, 250),
    gapped=True,
    notes=(
        "No rounding is stated: concentrations go to the digits of the table, the index to the "
        "nearest whole number. Values above the last breakpoint give 500.",
        "The 24 hours are a forecast moving average. The points added when several pollutants are "
        "Unhealthy at once concern the overall index and are not in here.",
        "The colours' names are the standard's (blue, green, yellow, red), the codes a secondary "
        "source's.",
    ),
)

WHO_2021 = Scale(
    key="who_2021",
    title="WHO global air quality guidelines 2021, short-term levels",
    document=Document(
        title="WHO global air quality guidelines: particulate matter (PM2.5 and PM10), ozone, "
        "nitrogen dioxide, sulfur dioxide and carbon monoxide",
        issuer="World Health Organization",
        year=2021,
        section="Recommended AQG levels and interim targets, 24-hour and 8-hour",
    ),
    names=(
        "Within the guideline",
        "Within interim target 4",
        "Within interim target 3",
        "Within interim target 2",
        "Within interim target 1",
        "Above interim target 1",
    ),
    colours=("#1A9850", "#91CF60", "#D9EF8B", "#FEE08B", "#FC8D59", "#D73027"),
    columns=(
        Column("pm25", "ug/m3", "24 h", (15, 25, 37.5, 50, 75)),
        Column("pm10", "ug/m3", "24 h", (45, 50, 75, 100, 150)),
        Column("o3", "ug/m3", "8 h", (100, 120, 160), bands=(0, 3, 4, 5)),
        Column("no2", "ug/m3", "24 h", (25, 50, 120), bands=(0, 3, 4, 5)),
        Column("so2", "ug/m3", "24 h", (40, 50, 125), bands=(0, 3, 4, 5)),
        Column("co", "mg/m3", "24 h", (4, 7), bands=(0, 4, 5)),
    ),
    notes=(
        "Levels only: guidelines and interim targets read as bands. They are meant as 99th "
        "percentiles of a year's daily values, and for the annual means there are others.",
        "WHO gives no colours; these are this package's.",
    ),
)

SCALES: dict[str, Scale] = {
    scale.key: scale
    for scale in (
        US_EPA_2012,
        US_EPA_2024,
        TAIWAN,
        CHINA_HJ633_2012,
        INDIA,
        EAQI,
        KOREA,
        WHO_2021,
    )
}
