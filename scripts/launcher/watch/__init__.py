"""Watching: how far a run on a cluster is, and why it does not move. `snapshot` is the way in."""
