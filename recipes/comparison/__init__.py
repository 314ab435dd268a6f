"""What `compare.py`, `evaluate.py` and `check_metrics.py` are made of."""
