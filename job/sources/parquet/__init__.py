"""Rows of Parquet: their columns and images, folders that are partitions, tables of Delta Lake and Iceberg.

Knows what all sources share; no other kind of source.
"""
