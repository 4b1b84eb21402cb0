"""Image files in a folder or a bucket: their names, their content where a name says nothing, tables of their labels.

Knows what all sources share; no other kind of source.
"""
