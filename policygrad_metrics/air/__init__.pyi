from .comparison import forecast as forecast
from .comparison import plan as plan
from .layout import StationLayout as StationLayout
from .published import overall_station as overall_station
from .published import published as published
from .published import to_days as to_days
from .station import Station as Station
from .station import read_station as read_station
from .task import ForecastTask as ForecastTask
from .task import forecast_task as forecast_task
from .units import convert_unit as convert_unit

__all__: list[str]
