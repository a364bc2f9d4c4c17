"""The one-machine default: own PostgreSQL, web and worker as children of one process, all state in one folder.

Rooms in reading order:
  folder      the data folder: its layout, secrets, lock and state
  child       the launcher of every child: drops rights, dies with its parent
  binaries    where PostgreSQL's programs are, and the account they run under
  postgres    PostgreSQL itself: create, start, wait, stop
  reach       a folder's database for a management command, whether the server is up or not
  supervisor  `manage.py up`: starts everything, restarts what dies, stops everything

No file here imports Django when it is imported, so that the supervisor stays small and settings can ask for a
folder's addresses.
"""

from .folder import Folder, FolderBusy, FolderError, environment
from .postgres import Postgres, PostgresError
from .reach import add_data_argument, reach

__all__ = [
    "Folder",
    "FolderBusy",
    "FolderError",
    "Postgres",
    "PostgresError",
    "add_data_argument",
    "environment",
    "reach",
]
