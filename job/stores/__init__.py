"""Where bytes are kept: local folders and buckets behind one interface. `storage` is the way in.

Knows errors and nothing else of Tench: neither images nor runs.
"""
