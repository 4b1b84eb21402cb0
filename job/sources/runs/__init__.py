"""Tench's own runs: passed over where they lie in a source, or a source themselves.

Knows what all sources share, and a run's folder.
"""
