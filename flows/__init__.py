"""Flows: the order of things, one flow per stage, no logic."""
