"""A cluster and the chart: Kubernetes' API, the user's helm, and which of both the options mean.

Knows the spec; knows no other room of the launcher.
"""
