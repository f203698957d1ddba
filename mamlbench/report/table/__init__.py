"""Comparison tables: which runs share a table, its columns, its notes."""
