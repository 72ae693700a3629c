"""Feature extractors shared by losses and metrics, of trained networks and of random filters; zero-mean patches.

None is trained here, and none is part of a model; begin with ``extractors``.
"""
