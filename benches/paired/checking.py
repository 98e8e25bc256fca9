"""Whether a plan's recipes are valid."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from .plans import command, words_of

# How a check ends that finds nothing wrong. The model that stands in has no head, and mixed
# precision looks for one first.
ENDS = ("no checkpoint to resume from", "no training head of the recipe's speakers")


def check(arguments, plan):
    """The verb `check`. `revox train` and `revox quantize` read the recipe before they look for the
    checkpoint that --resume wants; the folder is none."""
    bad = 0
    with tempfile.TemporaryDirectory() as scratch:
        some = f"{scratch}/tdnn.safetensors"
        if any("of" in system for system in plan["systems"].values()):
            # A model to start from, in the place of those that are not trained yet.
            words = ["bench", "embed", "tdnn", "--frames", "100", "--runs", "1", "--save", scratch]
            subprocess.run([arguments.program, *words], capture_output=True, check=True)
        for name, system in plan["systems"].items():
            seed = system["seeds"][0]
            kept = {k: v for k, v in system.items() if k not in ("backend", "device", "devices")}
            model = str(system.get("init", "")).replace("{seed}", str(seed))
            if model and not Path(model).exists():
                print(f"{name}: not checked: {model} is not there yet")
                continue
            words = words_of(kept, seed, arguments.set if system["recipe"] else ())
            made = f"{scratch}/{name}.safetensors"
            words = command(system, words, some, "no/such/folder", made)
            # Without a recipe nothing is trained, and nothing can be resumed.
            resume = ["--resume"] if system["recipe"] else []
            words = [arguments.program, *words, *resume]
            done = subprocess.run(words, capture_output=True, text=True)
            try:
                error = json.loads(done.stdout).get("error", "")
            except ValueError:
                error = done.stderr.strip()
            ok = any(end in error for end in ENDS) if resume else done.returncode == 0
            bad += not ok
            print(f"{name}: {'valid' if ok else error}")
    sys.exit(1 if bad else 0)
