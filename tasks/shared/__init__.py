"""What stages share: MLflow tracking and registry, DVC versioning, lineage, origin, the promotion gate, errors.

The only imports of mlflow and calls of dvc are here.
"""
