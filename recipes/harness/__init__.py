"""What recipes share: the runner, and each family's flags and reports."""
