"""Tests what needs no program."""

import json
import sys
import threading
import xml.etree.ElementTree

from . import plot
from .intervals import incomplete_beta, paired, spread, t_quantile
from .plans import Bad, order, read_plan, words_of
from .runs import counted
from .tables import as_markdown, summary
from .waiting import Waiting, cpu_list, shares


def self_test():
    """Tests what needs no program."""
    near = lambda a, b, e: abs(a - b) <= e or sys.exit(f"{a} is not {b}")
    same = lambda a, b: a == b or sys.exit(f"{a!r} is not {b!r}")

    def refused(text, what):
        try:
            read_plan(text, "p.toml")
        except Bad as error:
            return what in str(error) or sys.exit(f"{error}: has no word of {what}")
        sys.exit(f"not refused: {text!r}")

    # Tables of Student's t: 0.975 (and 0.95, 0.995) by degrees of freedom.
    for p, freedom, expected in (
        (0.975, 1, 12.7062047),
        (0.975, 2, 4.3026527),
        (0.975, 4, 2.7764451),
        (0.975, 9, 2.2621572),
        (0.975, 30, 2.0422725),
        (0.95, 5, 2.0150484),
        (0.995, 1000, 2.5807547),
    ):
        near(t_quantile(p, freedom), expected, 1e-6)
    near(incomplete_beta(2, 3, 0.25), 0.26171875, 1e-12)  # 6 x^2 - 8 x^3 + 3 x^4
    near(incomplete_beta(3, 2, 0.75), 1 - 0.26171875, 1e-12)
    # Type I less the ordinary network in docs/evidence/accuracy.md: -0.87 (-3.24 to +1.51).
    ordinary, type1 = {1: 9.75, 2: 9.38, 3: 11.36, 4: 1.0}, {1: 8.83, 2: 9.50, 3: 9.57}
    found = paired(type1, ordinary)
    same(found["n"], 3)
    for value, expected in zip([found["mean"], *found["ci95"]], [-0.8633, -3.2389, 1.5122]):
        near(value, expected, 1e-3)
    same(paired({1: 2.0}, {1: 1.0, 2: 4.0})["ci95"], None)
    same(spread([]), {"n": 0, "mean": None, "sd": None})

    text = """
        recipe = "r.toml"
        seeds = [1, 2]
        set = ["train.keep=1"]
        [[tests]]
        name = "other"
        wav_scp = "w"
        trials = "t"
        [systems.a]
        [systems.b]
        set = ["x=1"]
        seeds = [2, 5]
        backend = "cuda"
        init = "a-{seed}/model"
    """
    plan = read_plan(text, "p.toml")
    same(plan["name"], "p")
    same(order(plan), [("a", 1), ("a", 2), ("b", 2), ("b", 5)])
    same(order(plan, ["b"]), [("b", 2), ("b", 5)])
    words = "--seed 5 --backend cuda --init a-5/model --set train.keep=1 --set x=1 --set y=2"
    same(words_of(plan["systems"]["b"], 5, ["y=2"]), words.split())
    chained = text + """
        [systems.c]
        of = "a"
        quantize = ["--bits={seed}"]
        set = ["z=1"]
        [systems.d]
        of = "c"
    """
    plan = read_plan(chained, "p.toml")
    same(words_of(plan["systems"]["c"], 2), "--bits=2 --seed 2 --set z=1".split())
    same([plan["systems"][name]["recipe"] for name in "cd"], [None, "r.toml"])
    waiting = Waiting(plan, [("d", 1), ("c", 1), ("a", 1), ("b", 2)])
    never = threading.Event()
    same([waiting.take(never), waiting.take(never)], [("a", 1), ("b", 2)])
    waiting.ended(("a", 1))
    same(waiting.take(never), ("c", 1))
    waiting.ended(("c", 1))
    same([waiting.take(never), waiting.take(never)], [("d", 1), None])
    refused(chained.replace('of = "c"', 'of = "e"'), "there is no system e")
    refused(chained.replace('of = "a"', 'of = "b"'), "b has not all of its seeds")
    refused(chained.replace('of = "a"', ""), "quantize wants `of`")
    refused(chained.replace('["--bits={seed}"]', '"--bits=2"'), "a list of words")
    refused(chained.replace('of = "c"', 'of = "c"\ninit = "m"'), "both name a model")
    refused(chained + 'quantize = []\nprecision = "f16"', "has no precision")
    refused(text.replace('name = "other"', 'name = "dev"'), "another name")
    refused("seeds = [1", "p.toml")
    refused(text.replace("set = [", "sets = ["), "unknown key `sets`")
    refused(text.replace("[2, 5]", "[5, 5]"), "systems.b: seeds")
    refused(text.replace("x=1", "x"), "systems.b: set")
    refused(text.replace('recipe = "r.toml"', ""), "systems.a: there is no recipe")
    refused(text.replace('trials = "t"', ""), "a test has")
    refused(text.replace("[systems.a]", '[systems."../a"]'), "names of files")
    same(cpu_list("0-2,5"), [0, 1, 2, 5])
    same(shares([0, 1, 2, 3], 2, 2), [[0, 1], [2, 3]])
    same(shares([0, 1], 2, 2), [[0, 1], [0, 1]])
    same(shares([], 2, 1), [[], []])

    # A step of two crops: 3 passes of 2 * (1000 + 2 * 256) multiplications, and as many additions.
    flops = 2 * 3 * 2 * (1000 + 2 * 256)
    sent = {"seconds": {"a": 0.25}, "against_computing": {"a": 0.25e12 / flops}}
    told = [{"reversible": False, "communication": sent}]
    same(counted(told, 256, 256, []), 1000)
    same(counted(told, 256, 128, [[128, 5]]), 1000 - 128 * 5)
    same(counted(told, 256, 128, []), None)

    def record(seed, eer, state="finished", digest="d"):
        other = {"seed": seed, "build": "x", "state": state, "failures": [], "seconds": 60.0}
        rates = {"dev": {"eer": eer, "min_dcf": 0.7}, "tests": {"other": {"eer": eer / 2}}}
        sizes = {"parameters": 1234, "macs": 5_600_000, "bytes": 5100 + seed}
        return other | rates | sizes | {"weights_sha256": digest}

    failed = {"seed": 5, "build": "x", "state": "failed", "failures": ["Bad: nan"], "seconds": 1.0}
    records = {("a", 1): record(1, 0.09), ("a", 2): record(2, 0.11, digest="e")}
    records |= {("b", 2): record(2, 0.12, digest="e"), ("b", 5): failed}
    found = summary(plan, records, "a")
    shown = as_markdown(found, plan)
    for line in (
        "| a | 2 / 0 of 2 | 1,234 | 5.1 | 5.6 | 10.00 ± 1.41 | 0.700 ± 0.000 "
        "| 5.00 ± 0.71 | 1.0 ± 0.0 |",
        "| b | 1 / 1 of 2 | 1,234 | 5.1 | 5.6 | 12.00 | 0.700 | 6.00 | 1.0 |",
        "| b | 1 | +1.00 | +0.000 | +0.50 |",
        "b, seed 5 failed: Bad: nan",
        "Seed 2: the same weights, bit for bit: a, b",
    ):
        line in shown.splitlines() or sys.exit(f"{line!r} is not in\n{shown}")
    drawn = xml.etree.ElementTree.fromstring(plot.drawing(found))
    # A mean for each of two systems, over bytes and over multiplications.
    same(len(drawn.findall(".//{*}circle")), 4)
    same(plot.decades(30, 700), [20, 50, 100, 200, 500, 1000])
    same(plot.steps(8.6, 12.1), [8, 9, 10, 11, 12, 13])
    json.dumps(found)
    print("the self-test passes")
