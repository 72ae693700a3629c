"""Prepared data: manifest, sample store, splits, crops, shots and the built-in sample."""
