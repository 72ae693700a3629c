"""``python -m flows``, the same as ``stylereel``."""

from flows.cli.main import main

main()
