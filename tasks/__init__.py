"""Tasks: load, call the core, save."""
