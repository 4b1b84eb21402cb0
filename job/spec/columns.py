"""The columns of every table that Tench makes, by name: listing, manifest, decoded, predictions.

No Arrow here, so that a spec can be checked against them; a column's type stands where its arrays are made.
"""

LISTED = ("uri", "size", "etag", "expected")  # of every source, in this order
OFFSET = "offset"  # where images lie inside a file: Parquet's row, a tar's byte
# Of a part of an image: left, top, width and height in whole pixels, and which way up the image is for them.
CROP = ("crop_xywh", "crop_orientation")
PLACE = ("shard", "row")  # which row of the manifest

# The manifest has PLACE, LISTED, perhaps OFFSET and CROP, and then the columns that `source.keep` names.
READ = (*PLACE, "uri", "size", "etag", OFFSET, *CROP)  # what decoding takes of it

# A decoded table has CARRIED, a timing column, and the pixels, of which predictions keep nothing.
CARRIED = (*PLACE, "error", "width", "height", "image_notes")

# Of a decoded table where the source may be scaled: the pixels of an exact decode, null but for a sample.
EXACT_IMAGE = "exact_image"

# The words of `image_notes`, a list: what is to be known of how an image was read. Null where there is nothing.
ORIENTATION_APPLIED = "orientation-applied"  # stored turned, and upright here
ORIENTATION_KEPT = "orientation-kept"  # stored turned, and so here
DEPTH_CLIPPED = "depth-clipped"  # deeper than 8 bits, and cut off at 255
SCALED = "scaled"  # a JPEG decoded at a half, a quarter or an eighth of its size
# Of scaled images one in two hundred is decoded exactly, too: whether that gives the same label, or labels.
SCALED_AGREES, SCALED_DIFFERS = "scaled-agrees", "scaled-differs"

# By task, what the model adds; all null where `error` is set. An index is the model's own: what its class is numbered.
PREDICTED = {
    "classify": ("label", "label_index", "score", "top_labels", "top_indices", "top_scores"),
    "detect": ("boxes", "labels", "label_indices", "scores"),
}
# The lists of a detection, and what the value of one box is called where each box is a row.
OF_ONE_BOX = {"boxes": "box", "labels": "label", "label_indices": "label_index", "scores": "score"}

# A predictions file has the manifest's columns and CARRIED and PREDICTED, without these.
HIDDEN = frozenset({*PLACE, "size", "etag", OFFSET, *CROP})

# Names that a kept column cannot have.
RESERVED = frozenset({*LISTED, OFFSET, *CROP, *CARRIED}.union(*PREDICTED.values()))
