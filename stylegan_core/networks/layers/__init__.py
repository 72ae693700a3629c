"""Layers that several networks use: low-pass resampling and kernel prediction.

Begin with blur_pool.py.
"""
