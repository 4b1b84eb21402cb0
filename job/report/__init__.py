"""The report's page: rows chosen while shards are committed, their pictures, and the HTML made of them.

Knows results and sources; nobody but the run knows it.
"""
