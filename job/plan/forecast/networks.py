"""The work of known networks: billions of multiplications with their additions for one image, at the usual size.

torchvision's are its own figures (`weights.meta["_ops"]`), which the launcher cannot ask: it works without torch.
"""

from job.spec.spec import ModelSpec

FLOP_A_MULTIPLICATION = 2

TORCHVISION_GMAC = {
    "alexnet": 0.714, "convnext_base": 15.355, "convnext_large": 34.361, "convnext_small": 8.684,
    "convnext_tiny": 4.456, "densenet121": 2.834, "densenet161": 7.728, "densenet169": 3.36, "densenet201": 4.291,
    "efficientnet_b0": 0.386, "efficientnet_b1": 0.687, "efficientnet_b2": 1.088, "efficientnet_b3": 1.827,
    "efficientnet_b4": 4.394, "efficientnet_b5": 10.266, "efficientnet_b6": 19.068, "efficientnet_b7": 37.746,
    "efficientnet_v2_l": 56.08, "efficientnet_v2_m": 24.582, "efficientnet_v2_s": 8.366, "googlenet": 1.498,
    "inception_v3": 5.713, "maxvit_t": 5.558, "mnasnet0_5": 0.104, "mnasnet0_75": 0.215, "mnasnet1_0": 0.314,
    "mnasnet1_3": 0.526, "mobilenet_v2": 0.301, "mobilenet_v3_large": 0.217, "mobilenet_v3_small": 0.057,
    "regnet_x_16gf": 15.941, "regnet_x_1_6gf": 1.603, "regnet_x_32gf": 31.736, "regnet_x_3_2gf": 3.177,
    "regnet_x_400mf": 0.414, "regnet_x_800mf": 0.8, "regnet_x_8gf": 7.995, "regnet_y_128gf": 374.57,
    "regnet_y_16gf": 15.912, "regnet_y_1_6gf": 1.612, "regnet_y_32gf": 32.28, "regnet_y_3_2gf": 3.176,
    "regnet_y_400mf": 0.402, "regnet_y_800mf": 0.834, "regnet_y_8gf": 8.473, "resnet101": 7.801, "resnet152": 11.514,
    "resnet18": 1.814, "resnet34": 3.664, "resnet50": 4.089, "resnext101_32x8d": 16.414, "resnext101_64x4d": 15.46,
    "resnext50_32x4d": 4.23, "shufflenet_v2_x0_5": 0.04, "shufflenet_v2_x1_0": 0.145, "shufflenet_v2_x1_5": 0.296,
    "shufflenet_v2_x2_0": 0.583, "squeezenet1_0": 0.819, "squeezenet1_1": 0.349, "swin_b": 15.431, "swin_s": 8.741,
    "swin_t": 4.491, "swin_v2_b": 20.325, "swin_v2_s": 11.546, "swin_v2_t": 5.94, "vgg11": 7.609, "vgg11_bn": 7.609,
    "vgg13": 11.308, "vgg13_bn": 11.308, "vgg16": 15.47, "vgg16_bn": 15.47, "vgg19": 19.632, "vgg19_bn": 19.632,
    "vit_b_16": 17.564, "vit_b_32": 4.409, "vit_h_14": 1016.717, "vit_l_16": 61.555, "vit_l_32": 15.378,
    "wide_resnet101_2": 22.753, "wide_resnet50_2": 11.398, "fasterrcnn_mobilenet_v3_large_320_fpn": 0.719,
    "fasterrcnn_mobilenet_v3_large_fpn": 4.494, "fasterrcnn_resnet50_fpn": 134.38,
    "fasterrcnn_resnet50_fpn_v2": 280.371, "fcos_resnet50_fpn": 128.207, "keypointrcnn_resnet50_fpn": 137.42,
    "maskrcnn_resnet50_fpn": 134.38, "maskrcnn_resnet50_fpn_v2": 333.577, "retinanet_resnet50_fpn": 151.54,
    "retinanet_resnet50_fpn_v2": 152.238, "ssd300_vgg16": 34.858, "ssdlite320_mobilenet_v3_large": 0.583,
}  # fmt: skip
TRANSFORMERS_GMAC = {
    "google/vit-base-patch16-224": 17.56, "google/vit-large-patch16-224": 61.6, "microsoft/resnet-50": 4.09,
    "facebook/deit-base-patch16-224": 17.56, "facebook/deit-small-patch16-224": 4.6,
    "facebook/deit-tiny-patch16-224": 1.26, "microsoft/swin-tiny-patch4-window7-224": 4.5,
    "facebook/convnext-tiny-224": 4.46, "facebook/convnext-base-224": 15.4, "facebook/detr-resnet-50": 86.0,
}  # fmt: skip


def gflop_of(model: ModelSpec) -> float | None:
    """Billions of operations for one image; None where nobody knows."""
    known = {"torchvision": TORCHVISION_GMAC, "transformers": TRANSFORMERS_GMAC}.get(model.kind, {})
    gmac = known.get(model.name)
    return None if gmac is None else gmac * FLOP_A_MULTIPLICATION
