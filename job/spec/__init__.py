"""What is asked for: the spec's sections, its files, and what is wrong with them in words.

Loads pydantic and PyYAML alone: no Arrow, no store, no model. Every other room may read it.
"""
