"""What runs a network: torch eager or compiled, OpenVINO, ONNX Runtime; and the benchmark that chooses.

All back ends give the same pictures within a stated tolerance.
"""
