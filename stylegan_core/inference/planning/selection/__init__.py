"""Which frames a request selects: ranges, gaps, masks and label maps, movies, output names.

``select`` is the entry point.
"""
