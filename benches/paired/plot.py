"""Drawings of `benches/lab table`: error rates over sizes, as SVG."""

import math
from html import escape

WIDTH, HEIGHT = 480, 400
LEFT, RIGHT, TOP, BOTTOM = 62, 18, 24, 52
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#7f7f7f")


def decades(low, high):
    """Numbers 1, 2 and 5 times a power of ten that lie between two positive ones, and one beyond
    each."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    all_of_them = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    first = max(x for x in all_of_them if x <= low)
    last = min(x for x in all_of_them if x >= high)
    return [x for x in all_of_them if first <= x <= last]


def steps(low, high):
    """About six round numbers, from one below `low` to one above `high`."""
    raw = max(high - low, 1e-9) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= raw)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [step * i for i in range(first, last + 1)]


def panel(points, title, shift):
    """Points `(name, x, mean, sd)` over a logarithmic axis, with the sd as a bar."""
    ticks_x = decades(min(p[1] for p in points), max(p[1] for p in points))
    ticks_y = steps(min(p[2] - p[3] for p in points), max(p[2] + p[3] for p in points))
    low, high = math.log(ticks_x[0]), math.log(ticks_x[-1])
    across = lambda x: LEFT + (math.log(x) - low) / max(high - low, 1e-9) * (WIDTH - LEFT - RIGHT)
    span = max(ticks_y[-1] - ticks_y[0], 1e-9)
    up = lambda y: HEIGHT - BOTTOM - (y - ticks_y[0]) / span * (HEIGHT - TOP - BOTTOM)
    out = [f'<g transform="translate({shift} 0)">']
    line = lambda *ends: out.append('<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>'.format(*ends))
    text = lambda x, y, words, more="": out.append(
        f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(words)}</text>'
    )
    out.append('<g stroke="#999" stroke-opacity="0.4">')
    for x in ticks_x:
        line(across(x), TOP, across(x), HEIGHT - BOTTOM)
    for y in ticks_y:
        line(LEFT, up(y), WIDTH - RIGHT, up(y))
    out.append("</g>")
    for x in ticks_x:
        text(across(x), HEIGHT - BOTTOM + 16, f"{x:g}", 'text-anchor="middle"')
    for y in ticks_y:
        text(LEFT - 6, up(y) + 4, f"{y:g}", 'text-anchor="end"')
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, title, 'text-anchor="middle"')
    text(LEFT, TOP - 10, "dev EER, %")
    for i, (name, x, mean, sd) in enumerate(points):
        colour = COLOURS[i % len(COLOURS)]
        out.append(f'<g stroke="{colour}" fill="{colour}">')
        line(across(x), up(mean - sd), across(x), up(mean + sd))
        out.append(f'<circle cx="{across(x):.1f}" cy="{up(mean):.1f}" r="3.5"/></g>')
        # On the side where there is room.
        is_right = across(x) > (LEFT + WIDTH) / 2
        more = f'text-anchor="{"end" if is_right else "start"}" fill="{colour}"'
        text(across(x) + (-7 if is_right else 7), up(mean) + 4, name, more)
    out.append("</g>")
    return "\n".join(out)


def drawing(found):
    """Dev EER over kB of the model and over multiplications, of what `summary` gives. Systems
    without finished runs, or without one of these sizes, are left out there."""

    def points(size):
        all_of_them = []
        for row in found["systems"]:
            figure = row["figures"]["dev EER, %"]
            x = size(row)
            if figure["mean"] is not None and x:
                all_of_them.append((row["system"], x, figure["mean"], figure["sd"] or 0.0))
        return all_of_them

    panels = [
        (points(lambda row: (row["bytes"]["mean"] or 0) / 1e3), "size of the model, kB"),
        (points(lambda row: row["macs"][0] / 1e6 if row["macs"] else 0), "10^6 multiplications"),
    ]
    drawn = [panel(p, title, i * WIDTH) for i, (p, title) in enumerate(panels) if p]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{2 * WIDTH}" height="{HEIGHT}" fill="white"/>\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )
