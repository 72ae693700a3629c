"""``python -m tasks.project configure``: what `make setup` does in a checkout beside installing."""

import sys
from pathlib import Path

from tasks.project.init_project import configure

if sys.argv[1:] != ["configure"]:
    sys.exit("usage: python -m tasks.project configure")
configure(Path.cwd())
