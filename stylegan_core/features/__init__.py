"""Feature extractors shared by losses and metrics: a random filter bank, VGG19 and zero-mean patches.

None is trained here, and none is part of a model.
"""
