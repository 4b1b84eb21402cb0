#!/usr/bin/env bash
# transformers' EfficientNet processor divides by `image_std` twice.
#
# Software   transformers 5.24.0, with Pillow 13.0.0 and numpy 2.4.6. Without torch, for which the processor has a twin.
# Expected   The reference calls `image_std` the standard deviation to normalise with, as for every processor, and this
#            one's `preprocessor_config.json` has it under the same name. So white is (1 - mean) / std.
# Happens    The result of that is divided by the deviation once more. `include_top`, on by default, asks for it: its
#            line in the reference says "normalize again with the standard deviation", for classification. So the
#            `image_std` of such a configuration is not the deviation of the images: to get ImageNet's 0.229 it has to
#            hold the root of it, 0.4785.
# Matters    Whoever reads mean and deviation from the configuration, to normalise on the GPU or in another runtime,
#            feeds the model values that are too small by a factor of two. Nothing fails, and labels are worse.
# Tench      believes no configuration: it holds what it read against the processor itself, over pictures of several
#            shapes, also with the square of the deviation, and refuses what fits nothing (job/models/processor.py).
#
# Seen       white, ImageNet's mean and deviation:
#            ViT             2.249  2.429  2.640
#            EfficientNet    9.821 10.842 11.733
#            (1-mean)/std    2.249  2.429  2.640
#            divided again   9.821 10.842 11.733
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'transformers==5.24.0' 'pillow==13.0.0' 'numpy==2.4.6'
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error venv/bin/python - <<'PYTHON'
import sys

import numpy as np
from PIL import Image
from transformers import EfficientNetImageProcessorPil, ViTImageProcessorPil

mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
white = Image.fromarray(np.full((8, 8, 3), 255, np.uint8))


def first_pixel(kind):
    processor = kind(size={"height": 8, "width": 8}, image_mean=mean.tolist(), image_std=std.tolist())
    return np.asarray(processor(white, return_tensors="np")["pixel_values"])[0, :, 0, 0]


once, twice = (1 - mean) / std, (1 - mean) / std**2
vit, efficientnet = first_pixel(ViTImageProcessorPil), first_pixel(EfficientNetImageProcessorPil)
print("white, ImageNet's mean and deviation:")
for name, values in (
    ("ViT", vit), ("EfficientNet", efficientnet), ("(1-mean)/std", once), ("divided again", twice)
):
    print(f"{name:<14}", " ".join(f"{value:6.3f}" for value in values))
if not np.allclose(vit, once, atol=1e-4) or not np.allclose(efficientnet, twice, atol=1e-4):
    sys.exit("changed: EfficientNet's processor no longer divides twice, or others no longer once")
PYTHON
