"""Air-quality standards: concentration, AQI value and level, each from the other.

    level(concentration)      index(concentration)      concentration(index)      index_level(index)

for the US EPA's tables of 2012, 2015 and 2024, Taiwan, China, India, Korea, and (levels only) the
European and the British index and the WHO guidelines. `current("eu")` tells the table in force,
`overall` the index over all pollutants and which pollutant it is. `edges` gives a standard's bands
as the bins of a model, `names` and `colours` label and paint its levels, `get_scale` has
everything with its source.

>>> level([8.0, 35.4, 300.0], scale="us_epa_2024")
array([0., 1., 5.])
"""

from policygrad_metrics.aqi.convert import (
    colours,
    concentration,
    edges,
    get_scale,
    index,
    index_level,
    level,
    names,
    scales,
    thresholds,
)
from policygrad_metrics.aqi.over_pollutants import Overall, current, overall
from policygrad_metrics.aqi.tables import Column, Document, Scale
from policygrad_metrics.aqi.units import check_units

__all__ = [
    "Column",
    "Document",
    "Overall",
    "Scale",
    "check_units",
    "colours",
    "concentration",
    "current",
    "edges",
    "get_scale",
    "index",
    "index_level",
    "level",
    "names",
    "overall",
    "scales",
    "thresholds",
]
