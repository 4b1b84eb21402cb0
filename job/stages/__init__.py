"""What workers do: decode a chunk into pixels, and predict rows from pixels.

Knows sources, models and the plan's manifest; knows no engine and nothing of commits.
"""
