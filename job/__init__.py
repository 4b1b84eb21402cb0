"""The job: from a spec to predictions, in the image and in `tench run`. `run.py` is where to begin reading."""
