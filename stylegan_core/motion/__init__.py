"""Known and estimated motion, and warping by it."""
