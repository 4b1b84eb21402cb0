"""Preflight: what a cluster says of a run before it is there. `checks` is the way in; each module looks at one noun."""
