"""The review page and its pictures."""
