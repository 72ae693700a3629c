"""The one trainer, its moving average and its checkpoints."""
