"""What stages share: MLflow tracking and registry, DVC versioning, lineage, origin, the promotion gate, errors.

The only calls of dvc are here; mlflow is imported here and in ``tasks.serving``.
"""
