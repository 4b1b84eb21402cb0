"""Tar archives: their members, the samples that these form, and images by range.

Knows what all sources share; no other kind of source.
"""
