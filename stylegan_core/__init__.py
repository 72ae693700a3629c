"""stylereel's core: pictures, data, networks, recipes, training, metrics and inference, without any orchestrator."""
