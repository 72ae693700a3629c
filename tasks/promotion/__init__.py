"""Promotion: compares new models with the promoted ones, and moves the registry's alias."""
