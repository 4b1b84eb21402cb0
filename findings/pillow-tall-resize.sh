#!/usr/bin/env bash
# Pillow 13 resizes tall images to other pixels than Pillow 12 did.
#
# Software   Pillow 12.3.0 and 13.0.0 (numpy 2.4.6 makes the pictures).
# Expected   The same call gives the same pixels: `resize` names a filter, and the manual's page on filters defines each
#            by the pixels that may contribute. Nothing there ties the result to the image's shape.
# Happens    Both resize in two passes and round to bytes between them. 12.3.0 reduces the width first, always; 13.0.0
#            reduces the height first where it loses more than twice as many rows as columns. Where a filter overshoots,
#            the first pass clips what the second would have used: pixels differ by up to 9 of 255 with bicubic, the
#            default, and by 16 with Lanczos. Bilinear does not overshoot and differs by 1. Wider pictures are the same.
# Matters    Workers with different versions of Pillow feed a model different inputs, for tall images only; and a fast
#            resize that was as exact as Pillow is so no more, for the few tall images among the many.
# Tench      resizes with torch, which always takes the width first, where that is within 1 of Pillow; with bicubic it
#            leaves tall images to the Pillow that is installed (job/recipe.py, `_is_for_torch`).
#
# Seen       1200x400 -> 672x224   bilinear: max   1, 0.7 %   bicubic: max   9, 2.8 %   lanczos: max  16, 6.2 %
#            400x1200 -> 224x672   bilinear: max   0, 0.0 %   bicubic: max   0, 0.0 %   lanczos: max   0, 0.0 %
#            640x480 -> 299x224    bilinear: max   0, 0.0 %   bicubic: max   0, 0.0 %   lanczos: max   0, 0.0 %
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'numpy==2.4.6'
venv/bin/pip install --quiet --disable-pip-version-check --target old 'pillow==12.3.0'
venv/bin/pip install --quiet --disable-pip-version-check --target new 'pillow==13.0.0'
cat >resize.py <<'PYTHON'
import sys

import numpy as np
from PIL import Image

rng = np.random.default_rng(0)
resized = {}
for (height, width), size in {(1200, 400): (672, 224), (400, 1200): (224, 672), (640, 480): (299, 224)}.items():
    tiles = rng.integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    picture = Image.fromarray(np.kron(tiles, np.ones((16, 16, 1), np.uint8)))
    for name in ("bilinear", "bicubic", "lanczos"):
        key = f"{height}x{width} -> {size[0]}x{size[1]}|{name}"
        resized[key] = np.array(picture.resize(size[::-1], Image.Resampling[name.upper()]))
np.savez(sys.argv[1], **resized)
PYTHON
PYTHONPATH=old venv/bin/python resize.py old.npz
PYTHONPATH=new venv/bin/python resize.py new.npz
venv/bin/python - <<'PYTHON'
import sys

import numpy as np

old, new = np.load("old.npz"), np.load("new.npz")
largest = {}
for key in old:
    difference = np.abs(old[key].astype(int) - new[key])
    largest[key] = difference.max()
    shape, name = key.split("|")
    start = f"{shape:<22}" if name == "bilinear" else "  "
    end = "\n" if name == "lanczos" else " "
    print(f"{start}{name}: max {difference.max():3d}, {100 * (difference > 0).mean():.1f} %", end=end)
tall = [value for key, value in largest.items() if key.startswith("1200x400")]
others = [value for key, value in largest.items() if not key.startswith("1200x400")]
if not (tall[0] == 1 < tall[1] < tall[2]) or any(others):
    sys.exit("changed: the two versions differ elsewhere than for tall images, or no more")
PYTHON
