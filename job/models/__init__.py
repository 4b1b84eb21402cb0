"""From the spec's `model` to a predictor on a device. `load` is the way in; it imports one kind when it is asked for.

Knows the spec, recipes and the stores; knows neither Ray nor tables.
"""
