"""The figures `[[measured]]` of all cards in `models/`, in one run on one thread.

    python benches/cards.py target/release/revox [NAME...]

`revox bench embed` times an embedding of 3 s, features apart, with f32 weights, packed ones of 4
bits and in integers, and counts the most bytes that the packed network holds. This script writes
them into the cards in place of those that are there. The machine should be idle.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

MODELS = Path(__file__).resolve().parent.parent / "models"
COMMAND = "RAYON_NUM_THREADS=1 revox bench embed {} --frames 298"
# What a card says, the figure's name, its unit, and the unit's size.
FIGURES = [
    ("an embedding of 3 s on one thread, f32", "runtime/f32", "ms", 1e-3),
    ("an embedding of 3 s on one thread, 4 bits", "runtime/packed", "ms", 1e-3),
    ("an embedding of 3 s on one thread, int8", "runtime/int8", "ms", 1e-3),
    ("the most that the network of 4 bits holds for 3 s", "runtime/packed/peak", "MB", 1e6),
]


def figures(program, network):
    words = ["bench", "embed", network, "--frames", "298", "--runs", "7", "--json", "--quiet"]
    environment = os.environ | {"RAYON_NUM_THREADS": "1"}
    run = subprocess.run([program, *words], env=environment, stdout=subprocess.PIPE, check=True)
    return {f["name"].removeprefix(f"embed/{network}/"): f["value"] for f in json.loads(run.stdout)}


def entries(program, network):
    measured = figures(program, network)
    for what, name, unit, size in FIGURES:
        value = float(f"{measured[name] / size:.3g}")
        lines = ["[[measured]]", f'what = "{what}"', f"value = {value}", f'unit = "{unit}"']
        yield "\n".join([*lines, f'command = "{COMMAND.format(network)}"', "", ""])


def write(path, text):
    """Puts the entries in front of `[bytes]`, in place of those that are there."""
    card = re.sub(r"\[\[measured\]\]\n(?:.+\n)+\n", "", path.read_text())
    begin = card.index("[bytes]")
    path.write_text(card[:begin] + text + card[begin:])


def main(program, names):
    for path in sorted(MODELS.glob("*/model.toml")):
        card = tomllib.loads(path.read_text())
        network = path.parent.name
        if network == "default" or (names and network not in names):
            continue
        if "bytes" not in card:
            sys.exit(f"{path} has no [bytes]")
        write(path, "".join(entries(program, network)))
        print(network, flush=True)


if len(sys.argv) < 2:
    sys.exit(__doc__)
main(os.path.abspath(sys.argv[1]), sys.argv[2:])
