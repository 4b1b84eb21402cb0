"""The things of the demo images: one function a class, drawn on a Pen; used by scripts.demo.scenes.

Each draws its thing once, upright and facing right, filling most of the unit square, with colours and proportions
from `rng`. Light, pose and background are the scene's.
"""

from collections.abc import Callable

import numpy as np

from scripts.demo.pen import Colour, Pen, shade, tint

Motif = Callable[[Pen, np.random.Generator], None]

PAINTS: list[Colour] = [
    (190, 50, 45), (215, 120, 40), (210, 180, 60), (70, 130, 70), (50, 90, 160), (230, 230, 225), (90, 90, 95),
]  # fmt: skip
DARK: Colour = (38, 36, 40)
STEEL: Colour = (165, 170, 176)


def paint(rng: np.random.Generator) -> Colour:
    return tint(rng, PAINTS[rng.integers(len(PAINTS))])


def tench(pen: Pen, rng: np.random.Generator) -> None:
    skin = tint(rng, (112, 108, 56), 34)
    fin = shade(skin, rng.uniform(0.55, 0.8))
    height = rng.uniform(0.15, 0.22)
    fork = rng.uniform(0.1, 0.18)
    pen.polygon([(0.06, 0.5 - fork), (0.3, 0.46), (0.3, 0.54), (0.06, 0.5 + fork), (0.12, 0.5)], fin)
    pen.polygon([(0.4, 0.53 - height), (0.5, 0.36 - height), (0.66, 0.54 - height)], fin)
    pen.polygon([(0.46, 0.47 + height), (0.42, 0.6 + height), (0.56, 0.48 + height)], fin)
    pen.disc((0.57, 0.5), 0.37, height, skin)
    pen.disc((0.58, 0.5 + height * 0.5), 0.29, height * 0.42, shade(skin, 1.45))
    pen.disc((0.58, 0.5 + height * 0.12), 0.33, height * 0.5, shade(skin, 1.1))
    pen.polygon([(0.64, 0.53), (0.52, 0.62), (0.68, 0.6)], fin)
    pen.arc((0.7, 0.5), (0.06, height * 0.75), (300, 60), (0.012, shade(skin, 0.55)))
    pen.disc((0.83, 0.46), 0.028, 0.028, (200, 120, 50))
    pen.disc((0.835, 0.46), 0.014, 0.014, DARK)
    pen.line([(0.93, 0.53), (0.87, 0.55)], 0.012, shade(skin, 0.5))


def english_springer(pen: Pen, rng: np.random.Generator) -> None:
    coat = tint(rng, (228, 222, 212), 18)
    patch = tint(rng, (94, 54, 34) if rng.random() < 0.7 else (44, 40, 42), 20)
    leg = rng.uniform(0.82, 0.92)
    for x in (0.22, 0.34, 0.56, 0.66):
        foot = x + rng.uniform(-0.05, 0.05)
        pen.line([(x, 0.6), (foot, leg)], 0.06, shade(coat, 0.88))
        pen.disc((foot + 0.015, leg), 0.04, 0.025, coat)
    pen.line([(0.2, 0.48), (0.08, rng.uniform(0.32, 0.5))], 0.045, patch)
    pen.disc((0.43, 0.54), 0.29, 0.14, coat)
    pen.disc((rng.uniform(0.26, 0.36), 0.5), 0.13, 0.1, patch)
    pen.disc((rng.uniform(0.48, 0.6), 0.49), 0.08, 0.08, patch)
    head = rng.uniform(0.27, 0.36)
    pen.polygon([(0.58, 0.5), (0.66, 0.62), (0.8, head + 0.1), (0.68, head)], coat)
    pen.disc((0.75, head), 0.11, 0.095, patch)
    pen.bar((0.77, head - 0.01), (0.93, head + 0.085), coat, 0.04)
    pen.polygon([(0.75, head - 0.09), (0.82, head - 0.08), (0.86, head + 0.02), (0.8, head + 0.02)], coat)
    pen.disc((0.925, head + 0.015), 0.022, 0.02, DARK)
    pen.disc((0.8, head - 0.02), 0.014, 0.016, DARK)
    pen.disc((0.685, head + 0.07), 0.05, 0.125, shade(patch, 0.75))


def cassette_player(pen: Pen, rng: np.random.Generator) -> None:
    case = tint(rng, [(60, 60, 66), (170, 172, 176), (150, 50, 50), (60, 80, 130)][rng.integers(4)])
    top, low = 0.3, rng.uniform(0.68, 0.78)
    pen.arc((0.5, top), (0.3, rng.uniform(0.1, 0.17)), (180, 360), (0.03, shade(case, 0.7)))
    pen.bar((0.06, top), (0.94, low), case, 0.04)
    middle = (top + low) / 2 + 0.03
    for x in (0.21, 0.79):
        pen.disc((x, middle), 0.125, 0.125, shade(case, 0.45))
        pen.ring((x, middle), 0.125, 0.014, STEEL)
        pen.disc((x, middle), 0.05, 0.05, shade(case, 0.7))
    pen.bar((0.36, middle - 0.09), (0.64, middle + 0.1), DARK, 0.015)
    pen.bar((0.39, middle - 0.06), (0.61, middle + 0.06), tint(rng, (205, 195, 170)), 0.01)
    for x in (0.45, 0.55):
        pen.disc((x, middle), 0.032, 0.032, DARK)
        pen.ring((x, middle), 0.022, 0.008, (230, 230, 230))
    for key in range(rng.integers(4, 8)):
        pen.bar((0.34 + key * 0.048, top + 0.03), (0.375 + key * 0.048, top + 0.07), shade(STEEL, 1.2))
    pen.line([(0.86, top), (0.97, rng.uniform(0.06, 0.14))], 0.01, STEEL)


def chain_saw(pen: Pen, rng: np.random.Generator) -> None:
    body = tint(rng, [(215, 90, 35), (190, 40, 40), (220, 170, 40), (60, 110, 60)][rng.integers(4)])
    tip = rng.uniform(0.9, 0.96)
    pen.bar((0.4, 0.53), (tip, 0.63), STEEL, 0.05)
    for x in np.arange(0.44, tip - 0.02, 0.045):
        pen.polygon([(x, 0.53), (x + 0.03, 0.53), (x + 0.03, 0.505)], DARK)
        pen.polygon([(x, 0.63), (x + 0.03, 0.63), (x, 0.655)], DARK)
    pen.line([(0.45, 0.58), (tip - 0.08, 0.58)], 0.012, shade(STEEL, 0.7))
    pen.arc((0.17, 0.56), (0.13, 0.12), (70, 290), (0.045, DARK))
    pen.polygon([(0.16, 0.47), (0.24, 0.4), (0.46, 0.42), (0.5, 0.5), (0.48, 0.69), (0.17, 0.69)], body)
    pen.bar((0.2, 0.58), (0.45, 0.69), shade(body, 0.6), 0.02)
    pen.disc((0.33, 0.52), 0.06, 0.05, shade(body, 0.75))
    for x in (0.29, 0.33, 0.37):
        pen.line([(x, 0.49), (x, 0.55)], 0.01, DARK)
    pen.arc((0.36, 0.44), (0.12, rng.uniform(0.13, 0.19)), (180, 350), (0.035, DARK))
    pen.line([(0.5, 0.5), (0.53, rng.uniform(0.3, 0.36))], 0.03, DARK)


def church(pen: Pen, rng: np.random.Generator) -> None:
    wall = tint(rng, [(222, 214, 200), (150, 90, 70), (170, 165, 160)][rng.integers(3)])
    roof = tint(rng, [(90, 60, 52), (70, 76, 90), (120, 70, 60)][rng.integers(3)])
    pen.bar((0.38, 0.58), (0.92, 0.93), wall)
    pen.polygon([(0.36, 0.59), (0.44, 0.42), (0.86, 0.42), (0.95, 0.59)], roof)
    width = rng.uniform(0.1, 0.14)
    pen.bar((0.28 - width, 0.4), (0.28 + width, 0.93), shade(wall, 0.93))
    spire = rng.uniform(0.13, 0.22)
    pen.polygon([(0.26 - width, 0.41), (0.28, spire), (0.3 + width, 0.41)], shade(roof, 0.85))
    pen.line([(0.28, spire + 0.01), (0.28, spire - 0.11)], 0.016, DARK)
    pen.line([(0.24, spire - 0.07), (0.32, spire - 0.07)], 0.016, DARK)
    for x in np.linspace(0.48, 0.84, rng.integers(2, 5)):
        pen.bar((x - 0.03, 0.68), (x + 0.03, 0.84), (70, 84, 110))
        pen.disc((x, 0.68), 0.03, 0.045, (70, 84, 110))
    pen.bar((0.23, 0.77), (0.33, 0.93), shade(roof, 0.6))
    pen.disc((0.28, 0.77), 0.05, 0.06, shade(roof, 0.6))
    pen.disc((0.28, 0.52), 0.045, 0.045, (60, 70, 95))


def french_horn(pen: Pen, rng: np.random.Generator) -> None:
    brass = tint(rng, (205, 160, 62), 26)
    dim = shade(brass, 0.66)
    radius = rng.uniform(0.24, 0.28)
    pen.ring((0.44, 0.42), radius, 0.062, dim)
    pen.ring((0.44, 0.42), radius - 0.005, 0.038, brass)
    pen.ring((0.47, 0.44), radius * 0.66, 0.042, dim)
    pen.ring((0.47, 0.44), radius * 0.66 - 0.004, 0.024, brass)
    pen.ring((0.42, 0.4), radius * 0.36, 0.03, brass)
    pen.line([(0.24, 0.26), (0.12, 0.1)], 0.028, brass)
    pen.disc((0.115, 0.095), 0.032, 0.032, shade(brass, 1.2))
    for x in (0.38, 0.46, 0.54):
        pen.disc((x, 0.5), 0.034, 0.034, shade(brass, 1.25))
        pen.line([(x, 0.5), (x - 0.03, 0.6)], 0.016, dim)
    bell = rng.uniform(0.19, 0.24)
    pen.polygon([(0.2, 0.56), (0.3, 0.66), (0.52, 0.88), (0.72, 0.62), (0.46, 0.6)], dim)
    pen.disc((0.66, 0.74), bell, bell * 0.86, brass)
    pen.disc((0.67, 0.745), bell * 0.86, bell * 0.72, dim)
    pen.disc((0.68, 0.75), bell * 0.5, bell * 0.42, shade(dim, 0.45))


def garbage_truck(pen: Pen, rng: np.random.Generator) -> None:
    bin_paint, cab = paint(rng), paint(rng)
    top = rng.uniform(0.28, 0.36)
    pen.bar((0.08, 0.7), (0.94, 0.76), DARK)
    pen.polygon([(0.04, 0.48), (0.14, top), (0.64, top), (0.64, 0.71), (0.08, 0.71)], bin_paint)
    pen.polygon([(0.04, 0.48), (0.14, top), (0.2, top), (0.17, 0.71), (0.08, 0.71)], shade(bin_paint, 0.6))
    for x in np.linspace(0.28, 0.58, rng.integers(3, 6)):
        pen.line([(x, top + 0.02), (x, 0.7)], 0.014, shade(bin_paint, 0.72))
    pen.line([(0.2, 0.6), (0.63, 0.6)], 0.03, shade(bin_paint, 1.3))
    pen.polygon([(0.67, 0.42), (0.83, 0.42), (0.92, 0.57), (0.94, 0.73), (0.67, 0.73)], cab)
    pen.polygon([(0.71, 0.45), (0.81, 0.45), (0.88, 0.57), (0.71, 0.57)], (150, 180, 200))
    pen.bar((0.89, 0.64), (0.95, 0.68), (245, 235, 190))
    for x in (0.2, 0.33, 0.8):
        pen.disc((x, 0.77), 0.075, 0.075, DARK)
        pen.disc((x, 0.77), 0.036, 0.036, STEEL)


def gas_pump(pen: Pen, rng: np.random.Generator) -> None:
    body = paint(rng)
    top = rng.uniform(0.14, 0.22)
    pen.bar((0.22, 0.9), (0.74, 0.96), shade(STEEL, 0.7))
    pen.bar((0.27, top), (0.68, 0.91), body, 0.03)
    if rng.random() < 0.5:
        pen.disc((0.475, top - 0.02), 0.13, 0.1, tint(rng, (235, 230, 215)))
    pen.bar((0.27, top + 0.02), (0.68, top + 0.09), shade(body, 0.6))
    pen.bar((0.33, top + 0.13), (0.62, top + 0.33), (222, 228, 218), 0.01)
    for row in (0.17, 0.23, 0.28):
        pen.line([(0.37, top + row), (rng.uniform(0.48, 0.58), top + row)], 0.022, DARK)
    for key in range(3):
        pen.bar((0.35 + 0.09 * key, top + 0.38), (0.41 + 0.09 * key, top + 0.44), shade(STEEL, 1.1))
    pen.bar((0.34, 0.72), (0.61, 0.84), shade(body, 0.75), 0.01)
    sag = rng.uniform(0.72, 0.88)
    pen.line([(0.68, 0.7), (0.76, sag), (0.84, sag - 0.04), (0.85, 0.5), (0.79, 0.4)], 0.026, DARK)
    pen.polygon([(0.7, 0.36), (0.82, 0.33), (0.85, 0.42), (0.8, 0.46), (0.78, 0.4), (0.7, 0.41)], DARK)


def golf_ball(pen: Pen, rng: np.random.Generator) -> None:
    white = tint(rng, (236, 236, 230), 14)
    if rng.random() < 0.5:
        pen.polygon([(0.42, 0.84), (0.58, 0.84), (0.52, 0.99), (0.48, 0.99)], paint(rng))
    pen.disc((0.5, 0.48), 0.4, 0.4, shade(white, 0.72))
    pen.disc((0.48, 0.46), 0.375, 0.375, shade(white, 0.9))
    pen.disc((0.45, 0.43), 0.31, 0.31, white)
    turn = rng.uniform(0, np.pi)
    for row in np.arange(-0.36, 0.37, 0.085):
        for column in np.arange(-0.36, 0.37, 0.085):
            u, v = column + (0.042 if round(row / 0.085) % 2 else 0.0), row
            x, y = u * np.cos(turn) - v * np.sin(turn), u * np.sin(turn) + v * np.cos(turn)
            if (radius := float(np.hypot(x, y))) < 0.36:
                squeeze = 1 - (radius / 0.4) ** 2 * 0.5
                pen.disc((0.5 + x, 0.48 + y), 0.026 * squeeze, 0.026 * squeeze, shade(white, 0.78))


def parachute(pen: Pen, rng: np.random.Generator) -> None:
    first, second = paint(rng), paint(rng)
    radius, rise = rng.uniform(0.4, 0.46), rng.uniform(0.26, 0.36)
    for edge in np.linspace(0.5 - radius, 0.5 + radius, 7):
        pen.line([(edge, 0.42), (0.5, 0.83)], 0.007, (60, 60, 62))
    pen.wedge((0.5, 0.42), (radius, rise), (180, 360), first)
    for gore in range(3, -1, -1):
        fill = second if gore % 2 else first
        pen.wedge((0.5, 0.42), (radius * (gore + 0.6) / 3.6, rise), (180, 360), fill)
    for edge in np.linspace(0.5 - radius, 0.5 + radius, 8)[:-1]:
        pen.disc((edge + radius / 7, 0.425), radius / 7, 0.022, shade(first, 0.6))
    figure = tint(rng, (50, 52, 60))
    pen.disc((0.5, 0.83), 0.028, 0.03, tint(rng, (200, 160, 130)))
    pen.bar((0.46, 0.855), (0.54, 0.93), figure, 0.02)
    pen.line([(0.48, 0.92), (0.46, 0.985)], 0.026, figure)
    pen.line([(0.52, 0.92), (0.55, 0.985)], 0.026, figure)


# WordNet ids of Imagenette's ten classes, sorted: the place in this list is the class index.
CLASSES: list[tuple[str, str, Motif]] = [
    ("n01440764", "tench", tench),
    ("n02102040", "English springer", english_springer),
    ("n02979186", "cassette player", cassette_player),
    ("n03000684", "chain saw", chain_saw),
    ("n03028079", "church", church),
    ("n03394916", "French horn", french_horn),
    ("n03417042", "garbage truck", garbage_truck),
    ("n03425413", "gas pump", gas_pump),
    ("n03445777", "golf ball", golf_ball),
    ("n03888257", "parachute", parachute),
]
