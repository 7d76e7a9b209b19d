from .comparison import forecast as forecast
from .comparison import plan as plan
from .station import Station as Station
from .station import convert_unit as convert_unit
from .station import read_station as read_station
from .task import ForecastTask as ForecastTask
from .task import forecast_task as forecast_task

__all__: list[str]
