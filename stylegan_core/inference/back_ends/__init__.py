"""What runs a network: torch as it is, torch compiled, OpenVINO or ONNX Runtime. All of them give the same pictures."""
