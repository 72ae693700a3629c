"""The hidden folder that holds stylereel's own state, below an output folder or a project folder."""

STATE_FOLDER = ".stylereel"
