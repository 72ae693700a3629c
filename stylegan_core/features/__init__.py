"""Feature extractors shared by losses and metrics."""
