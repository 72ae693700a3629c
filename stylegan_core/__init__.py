"""stylereel's core: pictures, data, networks, recipes, training, metrics and inference, without any orchestrator.

``data`` makes training batches, ``training`` trains a model on them, ``inference`` applies it to frames.
"""
