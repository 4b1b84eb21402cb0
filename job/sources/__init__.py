"""Where the images come from: each kind lists its images once, and reads them by row.

Knows the spec and the stores; knows no model, no engine and no plan.
"""
