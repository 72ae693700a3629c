"""What of a training survives a kill: checkpoints, the run folder and its key, and finished models by digest.

All of it lies in the user's cache folder, outside the workspace, where DVC does not empty it.
"""
