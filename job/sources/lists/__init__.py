"""Files that name images: lines, CSV, JSON Lines, and the inventories of buckets.

Knows what all sources share; of Parquet how an inventory's columns are read.
"""
