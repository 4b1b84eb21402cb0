"""The places of the demo images: skies, fields, water, walls, leaves, lights and streets; used by scripts.demo.scenes.

A place is computed at a quarter of the canvas's pixels or fewer and enlarged: backgrounds are out of focus anyway, and
this is what lets two cores draw 2,000 images in half a minute. It knows nothing of the classes.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from scripts.demo.pen import Colour, tint

Plane = npt.NDArray[np.float32]
Backdrop = Callable[[np.random.Generator, int, int], Plane]


def draw_backdrop(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Return an RGB image of some place, with blurred things in it."""
    scale = min(1.0, 200 / max(width, height))
    small_width, small_height = max(8, int(width * scale)), max(8, int(height * scale))
    colours_hwc = BACKDROPS[rng.integers(len(BACKDROPS))](rng, small_width, small_height)
    image = Image.fromarray(np.clip(colours_hwc, 0, 255).astype(np.uint8))
    if rng.random() < 0.7:
        _clutter(rng, image)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def fractal_noise(rng: np.random.Generator, shape: tuple[int, int], cells: float, stretch: float = 1.0) -> Plane:
    """Sum octaves of smooth noise, each twice as fine and half as strong as the one before.

    `cells` is how many bumps the coarsest octave has from top to bottom; `stretch` above 1 draws them out sideways.
    Returns `[H, W]` of about 0 to 1.
    """
    height, width = shape
    total = np.zeros(shape, np.float32)
    strength, reach = 1.0, 0.0
    while cells < height / 2 and strength > 0.1:
        rows, columns = int(cells) + 2, int(cells * width / height / stretch) + 2
        grid = Image.fromarray(rng.random((rows, columns), np.float32))
        total += strength * np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC), np.float32)
        reach += strength
        strength, cells = strength * 0.55, cells * 2
    return total / max(reach, 1.0)


def sky(rng: np.random.Generator, width: int, height: int) -> Plane:
    zenith, horizon = (
        ((58, 110, 178), (178, 205, 228)) if rng.random() < 0.6 else ((96, 84, 120), (238, 170, 110))
    )  # noon or dusk
    clear_hwc: Plane = _vertical(tint(rng, zenith), tint(rng, horizon), width, height)
    cover = np.clip((fractal_noise(rng, (height, width), 2, 2) - rng.uniform(0.35, 0.6)) * 4, 0, 1)[..., None]
    clouded_hwc: Plane = clear_hwc * (1 - cover) + np.float32(rng.uniform(190, 250)) * cover
    return clouded_hwc


def field(rng: np.random.Generator, width: int, height: int) -> Plane:
    scene_hwc = sky(rng, width, height)
    ground = tint(rng, [(92, 120, 54), (150, 130, 84), (196, 190, 186), (80, 76, 70)][rng.integers(4)])
    top = int(height * rng.uniform(0.3, 0.65))
    grain = fractal_noise(rng, (height - top, width), 6, 3)[..., None]
    far_to_near = np.linspace(0.75, 1.1, height - top, dtype=np.float32)[:, None, None]
    trees = fractal_noise(rng, (16, width), 3)[0] * height * rng.uniform(0.05, 0.35)
    rows = np.arange(height, dtype=np.float32)[:, None]
    scene_hwc[(rows < top) & (rows > top - trees)] = tint(rng, (52, 66, 44))
    scene_hwc[top:] = np.asarray(ground, np.float32) * far_to_near * (0.6 + 0.8 * grain)
    return scene_hwc


def water(rng: np.random.Generator, width: int, height: int) -> Plane:
    deep = _vertical(tint(rng, (90, 130, 140)), tint(rng, (28, 62, 76)), width, height)
    ripples = fractal_noise(rng, (height, width), 8, 5)[..., None]
    glints = np.clip(ripples - rng.uniform(0.58, 0.7), 0, 1) * 700
    rippled_hwc: Plane = deep * (0.6 + 0.8 * ripples) + glints
    return rippled_hwc


def wall(rng: np.random.Generator, width: int, height: int) -> Plane:
    base = np.asarray(tint(rng, _any_colour(rng)), np.float32)
    stain = fractal_noise(rng, (height, width), rng.uniform(1, 8))[..., None]
    plain_hwc = base * (0.7 + 0.6 * stain)
    step = int(rng.integers(6, 22))
    kind = rng.random()
    if kind < 0.35:  # bricks or tiles
        plain_hwc[::step] *= 0.72
        for row in range(0, height, step):
            plain_hwc[row : row + step, (row // step % 2) * step :: step * 2] *= 0.75
    elif kind < 0.6:  # planks
        planks = rng.uniform(0.8, 1.15, width // step + 1).astype(np.float32).repeat(step)[:width]
        plain_hwc *= planks[None, :, None]
        plain_hwc[:, ::step] *= 0.6
    return plain_hwc


def leaves(rng: np.random.Generator, width: int, height: int) -> Plane:
    dark = np.asarray(tint(rng, (28, 40, 22)), np.float32)
    light = np.asarray(tint(rng, [(120, 160, 70), (180, 140, 60), (130, 150, 110)][rng.integers(3)]), np.float32)
    mix = np.clip(fractal_noise(rng, (height, width), rng.uniform(4, 16)) * 2.4 - 0.7, 0, 1)[..., None]
    mixed_hwc: Plane = dark * (1 - mix) + light * mix
    return mixed_hwc


def lights(rng: np.random.Generator, width: int, height: int) -> Plane:
    image = Image.fromarray(_vertical(tint(rng, (40, 36, 50)), tint(rng, (70, 60, 56)), width, height).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(8, 40)):
        x, y, radius = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.01, 0.08) * width
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tint(rng, _any_colour(rng), 40))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 4))), np.float32)


def street(rng: np.random.Generator, width: int, height: int) -> Plane:
    image = Image.fromarray(np.clip(sky(rng, width, height), 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    x, floor = -5.0, height * rng.uniform(0.6, 0.85)
    while x < width:
        front, roof = x + width * rng.uniform(0.08, 0.35), height * rng.uniform(0.0, 0.55)
        facade = tint(rng, _any_colour(rng))
        draw.rectangle((x, roof, front, floor), fill=facade)
        pane, gap = tint(rng, (66, 72, 82)), rng.uniform(6, 16)
        for left in np.arange(x + 3, front - 4, gap):
            for upper in np.arange(roof + 4, floor - 6, gap * 1.2):
                draw.rectangle((left, upper, left + gap * 0.5, upper + gap * 0.6), fill=pane)
        x = front + rng.uniform(0, 4)
    draw.rectangle((0, floor, width, height), fill=tint(rng, (104, 102, 104)))
    scene_hwc = np.asarray(image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 2.5))), np.float32)
    return scene_hwc * (0.8 + 0.4 * fractal_noise(rng, (height, width), 10)[..., None])


BACKDROPS: list[Backdrop] = [sky, field, field, water, wall, wall, leaves, lights, street]


def _clutter(rng: np.random.Generator, image: Image.Image) -> None:
    """Draw soft shapes of no meaning into `image`."""
    width, height = image.size
    layer = image.copy()
    draw = ImageDraw.Draw(layer)
    for _ in range(rng.integers(1, 8)):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        right, low = x + rng.uniform(0.03, 0.35) * width, y + rng.uniform(0.03, 0.35) * height
        fill = tint(rng, _any_colour(rng), 50)
        shape = rng.integers(3)
        if shape == 0:
            draw.rectangle((x, y, right, low), fill=fill)
        elif shape == 1:
            draw.ellipse((x, y, right, low), fill=fill)
        else:
            draw.line((x, y, right, low), fill=fill, width=int(rng.integers(1, 8)))
    layer = layer.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 3)))
    image.paste(Image.blend(image, layer, rng.uniform(0.4, 1.0)))


def _vertical(upper: Colour, lower: Colour, width: int, height: int) -> Plane:
    ramp_hwc = np.linspace(upper, lower, height, dtype=np.float32)[:, None, :]
    return np.repeat(ramp_hwc, width, axis=1)


def _any_colour(rng: np.random.Generator) -> Colour:
    """Mostly muted: a grey pulled towards a random hue."""
    grey, hue = rng.uniform(40, 215), rng.uniform(0, 255, 3)
    red, green, blue = (grey + (hue - grey) * rng.uniform(0.1, 0.6)).astype(int).tolist()
    return red, green, blue
