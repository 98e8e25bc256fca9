"""Plans: systems, seeds and what a run is told."""

import hashlib
import json
import re
import tomllib
from pathlib import Path

# Options of `revox train` that a system may give.
OPTIONS = ("backend", "device", "devices", "precision", "accumulate", "init")
# Those of `revox quantize`, too.
QUANTIZE_OPTIONS = ("backend", "device")
SYSTEM = {*OPTIONS, "recipe", "set", "seeds", "threads", "of", "quantize"}
PLAN = {"name", "recipe", "seeds", "set", "tests", "systems"}
TEST = {"name", "wav_scp", "trials"}


class Bad(Exception):
    """What is wrong with a plan, a folder or a run."""


def known(table, keys, where):
    """Refuses other keys."""
    if not isinstance(table, dict):
        raise Bad(f"{where}: not a section")
    for key in table:
        if key not in keys:
            raise Bad(f"{where}: unknown key `{key}`; there are {', '.join(sorted(keys))}")


def check_name(name, where):
    """Refuses what is no part of a file's name."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", name):
        raise Bad(f"{where}: names of files come of {name!r}: letters, digits, . _ + -")


def read_seeds(value, where):
    """A list of different seeds."""
    whole = isinstance(value, list) and all(type(seed) is int and seed >= 0 for seed in value)
    if not whole or not value or len(set(value)) < len(value):
        raise Bad(f"{where}: seeds must be a list of different whole numbers")
    return value


def read_set(value, where):
    """A list of changes of a recipe."""
    if not isinstance(value, list) or not all(isinstance(x, str) and "=" in x for x in value):
        raise Bad(f'{where}: set must be a list of changes, such as "train.epochs=3"')
    return value


def read_plan(text, where):
    """A plan's systems with all their values, and its tests."""
    try:
        plan = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Bad(f"{where}: {error}") from None
    known(plan, PLAN, where)
    if not plan.get("systems"):
        raise Bad(f"{where}: there is no section [systems.NAME]")
    changes = read_set(plan.get("set", []), where)
    tests = plan.get("tests", [])
    for test in tests:
        known(test, TEST, f"{where}: tests")
        if set(test) != TEST:
            raise Bad(f"{where}: a test has {', '.join(sorted(TEST))}")
        check_name(test["name"], f"{where}: tests")
        if test["name"] == "dev":
            raise Bad(f"{where}: tests: `dev` is what the recipe tests; choose another name")
    systems = {}
    for name, given in plan["systems"].items():
        here = f"{where}: systems.{name}"
        check_name(name, here)
        known(given, SYSTEM, here)
        system = dict(given)
        quantized = "quantize" in given
        system["recipe"] = given.get("recipe", None if quantized else plan.get("recipe"))
        if not isinstance(system["recipe"], str) and not (quantized and system["recipe"] is None):
            raise Bad(f"{here}: there is no recipe")
        system["seeds"] = read_seeds(given.get("seeds", plan.get("seeds")), here)
        # Changes for all systems are those of a recipe.
        all_have = changes if system["recipe"] is not None else []
        system["set"] = all_have + read_set(given.get("set", []), here)
        check_source(system, systems, here)
        systems[name] = system
    return {"name": plan.get("name", Path(where).stem), "systems": systems, "tests": tests}


def check_source(system, before, where):
    """Refuses a system whose model to start from is none, or not there in time."""
    words = system.get("quantize", [])
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise Bad(f'{where}: quantize must be a list of words, such as "--bits=2"')
    if "of" not in system:
        if "quantize" in system:
            raise Bad(f"{where}: quantize wants `of`, the system whose model is quantized")
        return
    if "init" in system:
        raise Bad(f"{where}: `of` and `init` both name a model to start from")
    if system["of"] not in before:
        raise Bad(f"{where}: of: there is no system {system['of']} above it")
    if set(system["seeds"]) - set(before[system["of"]]["seeds"]):
        raise Bad(f"{where}: {system['of']} has not all of its seeds")
    for option in set(OPTIONS) - set(QUANTIZE_OPTIONS) if "quantize" in system else ():
        if option in system:
            raise Bad(f"{where}: `revox quantize` has no {option}")


def order(plan, only=()):
    """Runs as pairs of system and seed: seed by seed."""
    for name in only:
        if name not in plan["systems"]:
            raise Bad(f"the plan has no system {name}; it has {', '.join(plan['systems'])}")
    chosen = {k: v for k, v in plan["systems"].items() if not only or k in only}
    seeds = dict.fromkeys(seed for system in chosen.values() for seed in system["seeds"])
    return [(name, seed) for seed in seeds for name in chosen if seed in chosen[name]["seeds"]]


def words_of(system, seed, more=()):
    """The words of `revox train` behind the recipe, or of `revox quantize` behind the model,
    without folder."""
    place = lambda text: str(text).replace("{seed}", str(seed))
    words = [*map(place, system.get("quantize", [])), "--seed", str(seed)]
    for option in OPTIONS:
        if option in system:
            words += [f"--{option}", place(system[option])]
    for change in [*system["set"], *more]:
        words += ["--set", place(change)]
    return words


def command(system, words, start, folder, model):
    """The program's words for a run in a folder, from `words_of` and the model to start from, if it
    starts from one. `revox train` chooses itself where its model goes; a quantized one goes to
    `model`."""
    recipe = system["recipe"]
    if "quantize" not in system:
        init = ["--init", start] if "of" in system else []
        return ["train", recipe, *words, *init, "--out", folder, "--json"]
    training = ["--recipe", recipe, "--run", folder] if recipe else []
    return ["quantize", start, *words, "-o", model, *training, "--json"]


def source_of(plan, name, seed):
    """The run whose model a run starts from; None if it starts from no run's."""
    source = plan["systems"][name].get("of")
    return source and (source, seed)


def recipe_digest(path):
    """SHA-256 of what a recipe says, and those that it is based on. Comments do not count."""
    digest, seen = hashlib.sha256(), set()
    if path is None:
        return None
    while path is not None:
        path = Path(path)
        if path.resolve() in seen:
            raise Bad(f"{path}: is based on itself")
        seen.add(path.resolve())
        content = tomllib.loads(path.read_text())
        digest.update(json.dumps(content, sort_keys=True, default=str).encode())
        path = path.parent / content["base"] if "base" in content else None
    return digest.hexdigest()
