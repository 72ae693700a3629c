"""Colour of pictures: source space, working space, output encoding, and the exact carry-over of a change.

Uses the profiles; independent of any model.
"""
