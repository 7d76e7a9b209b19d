from . import diagnostics as diagnostics
from . import statistics as statistics
from .comparison import Study as Study
from .comparison import compare as compare
from .comparison import compare_table as compare_table
from .methods import Method as Method
from .methods import TaskInfo as TaskInfo
from .methods import get_method as get_method
from .methods import trial_hyperparameters as trial_hyperparameters
from .settings import StudySettings as StudySettings
from .table_file import TableFile as TableFile
from .tables_toml import read_tables as read_tables
from .trained.export import export_table as export_table
from .trained.fit import train_table as train_table
from .trained.stream import label_file as label_file
from .trained.table import TrainedTable as TrainedTable

__all__: list[str]
