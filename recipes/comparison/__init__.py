"""Shared code of `compare.py`, `evaluate.py` and `check_metrics.py`."""
