"""What is frozen when a run begins: `plan.json`, the manifest, shards and chunks, the names of all objects.

Knows the spec and the stores, and no source: the listing comes in as tables.
"""
