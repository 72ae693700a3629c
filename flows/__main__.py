"""``python -m flows``, the same as ``stylereel``."""

from flows.cli import main

main()
