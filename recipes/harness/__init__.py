"""Shared code of the recipes: the runner, and each family's flags and reports."""
