"""Synonyms: what other tools call the values that a spec can have, so that a wrong word gets the right one.

`problems` ends its sentences with it. A word may stand for values of several fields; those of the field count.
"""

from collections.abc import Iterable

from job.terminal.spelling import closest

_WORDS = {
    # source.kind
    "files": "file folder folders dir directory local path disk image images imagefolder image_folder jpg jpeg png "
    "s3 gs gcs gcp az azure abfs blob minio bucket object_store objects prefix",
    "parquet": "pq arrow table hf huggingface hugging_face dataset datasets delta iceberg",
    "webdataset": "tar tars tarball tarfile tar_shards shards wds web_dataset",
    "list": "lists txt text lines csv tsv json jsonl ndjson jsonlines json_lines urls uris url_list uri_list filelist "
    "file_list manifest metadata inventory s3_inventory gcs_inventory",
    "run": "runs tench result results predictions chain previous earlier",
    # model.kind
    "torchvision": "torch pytorch torch_vision tv torchhub torch_hub",
    "transformers": "hf huggingface hugging_face huggingface_hub hub transformer pipeline automodel",
    "python": "py timm open_clip openclip clip custom module class callable factory function onnx tensorrt "
    "tensorflow tf keras jax flax",
    # model.task
    "classify": "classification classifier image_classification cls label labels",
    "detect": "detection detector object_detection det bbox bboxes boxes",
    # model.precision
    "float32": "fp32 f32 float single full 32 tf32",
    "float16": "fp16 f16 half 16",
    "bfloat16": "bf16 bfloat",
    "auto": "amp mixed automatic",
    # source.label_from
    "directory": "dir folder parent parent_folder subfolder foldername imagefolder path",
    "none": "no null off false",
}


def meant(word: str, options: Iterable[str]) -> str | None:
    """The option that `word` is another name of, or reads most like. None where nothing is near."""
    plain = word.strip().casefold().replace("-", "_").replace(" ", "_")
    options = list(options)
    return next((each for each in options if plain in _WORDS.get(each, "").split()), None) or closest(word, options)
