"""Motion between frames: known camera motion, estimated optical flow, and warping by both.

Used by temporal metrics, temporal smoothing and the built-in sample's evaluation.
"""
