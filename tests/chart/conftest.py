"""The chart's tests need `helm`, and nothing of a cluster."""

from pathlib import Path


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("helm")
