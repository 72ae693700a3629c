"""``python -m tasks.project configure``: settings of a checkout, for `make setup`."""

import sys
from pathlib import Path

from tasks.project.init_project import configure

if sys.argv[1:] != ["configure"]:
    sys.exit("usage: python -m tasks.project configure")
configure(Path.cwd())
