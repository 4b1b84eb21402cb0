"""What a run leaves: committed shards, `_SUCCESS`, progress and logs, and the checks that it holds what it says.

Knows the plan and the stores; knows no model, no engine and no page.
"""
