"""Tables over seeds."""

import json
from pathlib import Path

from . import plot
from .intervals import paired, spread
from .plans import Bad, order, recipe_digest, words_of
from .records import record_of
from .runs import FRAMES


def markdown(head, rows):
    """A table. Its first column is text."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def measures(plan):
    """What is compared: a name, how it is read from a record, its factor and digits."""
    rate = lambda key: lambda record: record["dev"][key]
    found = [("dev EER, %", rate("eer"), 100, 2), ("minDCF(0.01)", rate("min_dcf"), 1, 3)]
    for test in plan["tests"]:
        of = lambda record, name=test["name"]: record["tests"][name]["eer"]
        found.append((f"{test['name']} EER, %", of, 100, 2))
    return found


def is_of(system, record):
    """Whether a record's run had the recipe and the words that the plan has now. Words of
    `run --set` come behind those."""
    words, settings = words_of(system, record["seed"]), record["settings"]
    recipe = system["recipe"]
    there = recipe is None or Path(recipe).exists()
    same = there and recipe_digest(recipe) == settings["recipe_sha256"]
    same &= all(settings.get(key) == system.get(key) for key in ("of", "quantize"))
    return same and settings["words"][: len(words)] == words


def summary(plan, records, against=None):
    """All figures of a table. `records` are by system and seed."""
    names = list(plan["systems"])
    if against is not None and against not in names:
        raise Bad(f"the plan has no system {against}; it has {', '.join(names)}")
    systems, by_measure = [], {}
    for name in names:
        seeds = plan["systems"][name]["seeds"]
        mine = {seed: records.get((name, seed)) for seed in seeds}
        state = lambda wanted: [s for s in seeds if mine[s] and mine[s]["state"] == wanted]
        done = [mine[seed] for seed in state("finished")]
        row = {
            "system": name,
            "seeds": len(seeds),
            "finished": state("finished"),
            "failed": state("failed"),
            "interrupted": state("interrupted") + state("running"),
            "failures": {s: mine[s]["failures"] for s in seeds if mine[s] and mine[s]["failures"]},
            "parameters": sorted({record["parameters"] for record in done}),
            "macs": sorted({record["macs"] for record in done if record["macs"] is not None}),
            "bytes": spread([record["bytes"] for record in done if "bytes" in record]),
            "minutes": spread([record["seconds"] / 60 for record in done]),
            "figures": {},
        }
        for label, of, factor, _ in measures(plan):
            values = {record["seed"]: factor * of(record) for record in done}
            by_measure[name, label] = values
            row["figures"][label] = spread(list(values.values())) | {"by_seed": values}
        systems.append(row)
    pairs = []
    for name in names if against is not None else []:
        if name != against:
            of = lambda label: paired(by_measure[name, label], by_measure[against, label])
            pairs.append({"system": name} | {m[0]: of(m[0]) for m in measures(plan)})
    same = {}
    for (name, seed), record in sorted(records.items(), key=lambda item: item[0][1]):
        if record["state"] == "finished":
            same.setdefault((seed, record["weights_sha256"]), []).append(name)
    same = [{"seed": s, "systems": names} for (s, _), names in same.items() if len(names) > 1]
    builds = sorted({record["build"] for record in records.values()})
    return {
        "plan": plan["name"],
        "systems": systems,
        "against": against,
        "differences": pairs,
        "same_weights": same,
        "builds": builds,
    }


def as_markdown(found, plan):
    """The figures as tables of Markdown."""
    digits = {label: count for label, _, _, count in measures(plan)}
    one = lambda values, text: " / ".join(text(value) for value in values) or "-"

    def mean(figure, count):
        if figure["mean"] is None:
            return "-"
        sd = "" if figure["sd"] is None else f" ± {figure['sd']:.{count}f}"
        return f"{figure['mean']:.{count}f}{sd}"

    rows = []
    for row in found["systems"]:
        seeds = f"{len(row['finished'])} / {len(row['failed'])} of {row['seeds']}"
        cells = [row["system"], seeds, one(row["parameters"], lambda n: f"{n:,}")]
        cells.append("-" if row["bytes"]["mean"] is None else f"{row['bytes']['mean'] / 1e3:.1f}")
        cells.append(one(row["macs"], lambda n: f"{n / 1e6:.1f}"))
        cells += [mean(row["figures"][label], digits[label]) for label in digits]
        rows.append([*cells, mean(row["minutes"], 1)])
    head = ["system", "seeds finished / failed", "parameters", "kB", "10^6 multiplications"]
    text = markdown([*head, *digits, "minutes"], rows)
    text += "\nMean ± standard deviation over seeds. "
    text += f"Multiplications are those of {FRAMES} frames.\n"
    if found["differences"]:
        rows = []
        for row in found["differences"]:
            cells = [row["system"], str(row[next(iter(digits))]["n"])]
            for label, count in digits.items():
                pair, signed = row[label], lambda x: f"{x:+.{count}f}"
                cell = "-" if pair["mean"] is None else signed(pair["mean"])
                if pair["ci95"] is not None:
                    cell += " ({} to {})".format(*map(signed, pair["ci95"]))
                cells.append(cell)
            rows.append(cells)
        text += "\n" + markdown([f"less {found['against']}", "pairs", *digits], rows)
        text += "\nMean difference paired by seed, with its 95 % interval (Student's t).\n"
    for row in found["systems"]:
        for seed, failures in row["failures"].items():
            for failure in failures:
                end = "" if seed in row["failed"] else " (repeated since)"
                text += f"\n{row['system']}, seed {seed} failed{end}: {failure}\n"
        if row["interrupted"]:
            seeds = ", ".join(map(str, row["interrupted"]))
            text += f"\n{row['system']}: not ended yet: seeds {seeds}\n"
    for same in found["same_weights"]:
        systems = ", ".join(same["systems"])
        text += f"\nSeed {same['seed']}: the same weights, bit for bit: {systems}\n"
    for key, what in (
        ("not_in_plan", "Runs that the plan does not name, so that tables leave them out"),
        ("other_settings", "Runs by other settings, or by another recipe, than the plan has now"),
    ):
        if found.get(key):
            text += f"\n{what}: {', '.join(found[key])}\n"
    if len(found["builds"]) > 1:
        text += "\nRuns are of several builds: their differences may be those of the builds.\n"
    return text


def table(arguments, plan):
    """The verb `table`."""
    out = Path(arguments.out)
    all_runs = {each: record_of(out, *each) for each in order(plan)}
    records = {each: record for each, record in all_runs.items() if record is not None}
    found = summary(plan, records, arguments.against)
    names = {f"{name}-{seed}" for name, seed in all_runs}
    found["not_in_plan"] = sorted({path.stem for path in out.glob("*-*.json")} - names)
    found["other_settings"] = [
        f"{name}-{seed}"
        for (name, seed), record in records.items()
        if not is_of(plan["systems"][name], record)
    ]
    if arguments.plot:
        Path(arguments.plot).write_text(plot.drawing(found))
    print(json.dumps(found, indent=1) if arguments.json else as_markdown(found, plan).strip())
