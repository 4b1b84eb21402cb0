"""Cleaning up: folders of runs that nobody will finish.

Knows the job's plan and stores, and no cluster.
"""
