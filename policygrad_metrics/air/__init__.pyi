from .comparison import forecast as forecast
from .comparison import plan as plan
from .layout import StationLayout as StationLayout
from .outlook import Outlook as Outlook
from .outlook import look_ahead as look_ahead
from .outlook_plot import draw_outlook as draw_outlook
from .published import overall_station as overall_station
from .published import published as published
from .published import to_days as to_days
from .settings import StationFile as StationFile
from .settings import forecast_settings as forecast_settings
from .station import Station as Station
from .station import read_station as read_station
from .task import ForecastTask as ForecastTask
from .task import forecast_task as forecast_task
from .trained import Forecaster as Forecaster
from .trained import train_forecaster as train_forecaster
from .units import convert_unit as convert_unit

__all__: list[str]
