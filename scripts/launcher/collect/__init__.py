"""Collecting: a run's predictions, checked and brought into a folder of this machine. `collection` is the way in."""
