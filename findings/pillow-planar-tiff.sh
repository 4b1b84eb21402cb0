#!/usr/bin/env bash
# Pillow reads an uncompressed TIFF of 16-bit colours in planes wrong, and the same picture compressed right.
#
# Software   Pillow 13.0.0 (tifffile 2026.3.3 and numpy 2.4.6 write the pictures).
# Expected   PlanarConfiguration 2 stores red, green and blue one after the other. Pillow's manual lists 16-bit RGB among
#            what its TIFF reader takes, and compression changes no pixel: both files hold the same picture.
# Happens    Compressed, libtiff reads it, and each pixel is the high byte of its sample. Uncompressed, Pillow's own reader
#            takes each plane's bytes for samples of 8 bits: half of the plane's values, high and low bytes in turn, twice
#            as wide. No error, no warning; size and mode are right.
# Matters    Scanners and microscopes write such files. A model is given stripes, and gives them a label.
# Tench      lets libtiff read them uncompressed, too (job/stages/formats/tiff_planes.py).
#
# Seen       compressed:   0 of 192 samples wrong
#            uncompressed: 191 of 192 samples wrong
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'numpy==2.4.6' 'pillow==13.0.0' 'tifffile==2026.3.3'
venv/bin/python - <<'PYTHON'
import io
import sys

import numpy as np
import tifffile
from PIL import Image

samples = np.random.default_rng(0).integers(0, 65536, (3, 8, 8), np.uint16)
expected = np.moveaxis(samples, 0, -1) >> 8
wrong = {}
for name, compression in (("compressed", "zlib"), ("uncompressed", None)):
    file = io.BytesIO()
    tifffile.imwrite(file, samples, photometric="rgb", planarconfig="separate", compression=compression)
    with Image.open(file) as image:
        wrong[name] = int((np.asarray(image) != expected).sum())
    print(f"{name + ':':<13} {wrong[name]} of {expected.size} samples wrong")
if wrong["compressed"] or not wrong["uncompressed"]:
    sys.exit("changed: both are read alike")
PYTHON
