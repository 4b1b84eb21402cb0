"""Folders of tiny random models, one of every type that transformers classifies and detects with."""

import torch
from transformers import (
    AutoConfig,
    BitImageProcessor,
    ConditionalDetrImageProcessor,
    ConvNextImageProcessor,
    RTDetrImageProcessor,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING,
    MODEL_FOR_OBJECT_DETECTION_MAPPING,
)

MAPPINGS = {"classify": MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING, "detect": MODEL_FOR_OBJECT_DETECTION_MAPPING}
NAMES = {0: "tench", 1: "chain saw", 2: "church", 3: "gas pump"}

# Whatever of these a configuration has.
_SMALL = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64, "d_model": 32,
    "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "num_queries": 12,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_hidden_dim": 32, "num_denoising": 0,
    "decoder_self_attention_heads": 2, "decoder_cross_attention_heads": 2, "vocab_size": 99,
    "num_detection_tokens": 12,
}  # fmt: skip
_RESNET = {
    "model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1],
    "layer_type": "basic",
}  # fmt: skip
_HGNET = {
    "model_type": "hgnet_v2", "embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1],
    "stem_channels": [3, 8, 8], "stage_in_channels": [8, 8, 8, 16], "stage_mid_channels": [8, 8, 8, 8],
    "stage_out_channels": [8, 8, 16, 16], "stage_num_blocks": [1, 1, 1, 1], "stage_numb_of_layers": [2, 2, 2, 2],
}  # fmt: skip
_VISION = {"vision_config": {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
                             "intermediate_size": 64, "patch_size": 32}}  # fmt: skip
_RT_RESNET = _RESNET | {"model_type": "rt_detr_resnet", "out_features": ["stage2", "stage3", "stage4"]}
_RT_HGNET = _HGNET | {"out_features": ["stage2", "stage3", "stage4"]}
_RT = {"encoder_in_channels": [8, 16, 16], "decoder_in_channels": [32, 32, 32]}
_DETR = {"backbone_config": _RESNET | {"out_features": ["stage4"]}}
_WINDOWS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "out_features": ["stage2"]}
_STAGES = {"depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "embed_dim": 8}
_PYRAMID = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2]}
# What a type needs besides to be small, and to be whole.
_CONFIGS = {
    "bit": {"embedding_size": 8, "hidden_sizes": [32, 32, 64, 64], "depths": [1, 1, 1, 1], "num_groups": 4},
    "clip": _VISION,
    "metaclip_2": _VISION,
    "siglip": _VISION,
    "siglip2": _VISION,
    "convnext": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]},
    "convnextv2": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]},
    "cvt": {"embed_dim": [8, 16, 16], "num_heads": [1, 1, 2], "depth": [1, 2, 3]},
    "donut-swin": _STAGES | {"image_size": [224, 224]},
    "swin": _STAGES | {"image_size": [224, 224]},
    "swinv2": _STAGES | {"image_size": [224, 224]},
    "dinat": _STAGES,
    "efficientnet": {"width_coefficient": 0.25, "depth_coefficient": 0.3, "hidden_dim": 320},
    "focalnet": {"embed_dim": 8, "depths": [1, 1], "focal_levels": [1, 1], "focal_windows": [3, 3],
                 "hidden_sizes": [8, 16]},
    "hgnet_v2": _HGNET,
    "hiera": {"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1]},
    "levit": {"hidden_sizes": [16, 16, 16], "num_attention_heads": [1, 1, 1], "depths": [1, 1, 1]},
    "mobilenet_v1": {"depth_multiplier": 0.25},
    "mobilenet_v2": {"depth_multiplier": 0.25},
    "mobilevit": {"hidden_sizes": [16, 16, 16], "neck_hidden_sizes": [8, 8, 8, 8, 8, 8, 16]},
    "mobilevitv2": {"width_multiplier": 0.25},
    "perceiver": {"num_latents": 8, "d_latents": 16, "num_self_attends_per_block": 1,
                  "num_self_attention_heads": 2, "num_cross_attention_heads": 1},
    "poolformer": {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]},
    "pp_lcnet": {"scale": 0.25},
    "pvt": _PYRAMID | {"num_labels": 4},
    "pvt_v2": _PYRAMID,
    "segformer": _PYRAMID,
    "regnet": {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "groups_width": 8},
    "resnet": _RESNET,
    "swiftformer": {"depths": [1, 1, 1, 1], "embed_dims": [8, 8, 16, 16]},
    "imagegpt": {"n_embd": 16, "n_layer": 1, "n_head": 2},
    "detr": _DETR,
    "conditional_detr": _DETR,
    "dab-detr": _DETR,
    "table-transformer": _DETR,
    "deformable_detr": {"backbone_config": _RESNET | {"out_features": ["stage2", "stage3", "stage4"]}},
    "rt_detr": _RT | {"backbone_config": _RT_RESNET},
    "rt_detr_v2": _RT | {"backbone_config": _RT_RESNET},
    "d_fine": _RT | {"backbone_config": _RT_HGNET},
    "deimv2": _RT | {"backbone_config": _RT_HGNET},
    "lw_detr": {"group_detr": 1, "projector_scale_factors": [1.0],
                "backbone_config": _WINDOWS | {"model_type": "lw_detr_vit"}},
    "rf_detr": {"group_detr": 1, "backbone_config": _WINDOWS | {"model_type": "rf_detr_dinov2"}},
    "yolos": {"image_size": [96, 128]},
}  # fmt: skip
_SHORT = {"size": {"shortest_edge": 96, "longest_edge": 160}}
_SQUARE = {"size": {"height": 128, "width": 128}}
# What published folders have, where transformers has no pair for the type.
_UNPAIRED = {
    "dinov2_with_registers": BitImageProcessor, "hgnet_v2": ConvNextImageProcessor, "d_fine": RTDetrImageProcessor,
    "rt_detr_v2": RTDetrImageProcessor, "dab-detr": ConditionalDetrImageProcessor,
}  # fmt: skip
# Detectors' inputs are large, and not to be for this.
_PROCESSORS = {
    **dict.fromkeys(["detr", "conditional_detr", "dab-detr", "table-transformer", "deformable_detr", "yolos"], _SHORT),
    **dict.fromkeys(["rt_detr", "rt_detr_v2", "d_fine", "deimv2", "lw_detr"], _SQUARE),
    "rf_detr": {"size": {"height": 112, "width": 112}},
    "efficientnet": {"size": {"height": 96, "width": 96}},
}  # fmt: skip


def model_types(task):
    """Every type of transformers', in its order."""
    return list(MAPPINGS[task]._model_mapping)


def save_tiny(task, model_type, folder):
    """Writes a random model of this type, with the image processor that transformers pairs it with."""
    config = tiny_config(model_type)
    torch.manual_seed(0)
    network = model_class(task, config)(config).eval()
    _spread(network)
    network.save_pretrained(folder)
    save_processor(config, folder)


def save_configuration(model_type, folder):
    """The same without weights."""
    config = tiny_config(model_type)
    config.save_pretrained(folder)
    save_processor(config, folder)


def save_processor(config, folder):
    chosen = _UNPAIRED.get(config.model_type)
    if chosen is None:
        pair = IMAGE_PROCESSOR_MAPPING[type(config)]
        chosen = pair.get("torchvision") or pair["pil"]
    chosen(**_PROCESSORS.get(config.model_type, {})).save_pretrained(folder)


def tiny_config(model_type):
    own = _CONFIGS.get(model_type, {})
    default = CONFIG_MAPPING[model_type]()
    aliases = default.attribute_map  # of what `own` sets by its other name
    small = {key: value for key, value in _SMALL.items() if hasattr(default, key) and key not in {*own, *aliases}}
    names = {"id2label": NAMES, "label2id": {name: index for index, name in NAMES.items()}}
    return AutoConfig.for_model(
        model_type, **{key: value for key, value in (small | own).items() if key != "model_type"}, **names
    )


def model_class(task, config):
    found = MAPPINGS[task][type(config)]
    return found[0] if isinstance(found, tuple) else found


def _spread(network):
    """Random heads answer all alike; larger weights make answers that differ."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1 and any(part in name for part in ("classifier", "class", "head", "score")):
                weight.mul_(4)
