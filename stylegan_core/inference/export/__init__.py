"""A model for other programs: ONNX or OpenVINO graphs, precisions, proof of agreement with torch.

``export`` is the entry point.
"""
