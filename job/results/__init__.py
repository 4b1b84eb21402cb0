"""What a run leaves, and what one would: shards, `_SUCCESS`, progress, logs, the preview, and the checks of all that.

Knows the plan, the sources and the stores; knows no model, no engine and no page.
"""
