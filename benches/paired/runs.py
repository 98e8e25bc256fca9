"""Runs of a plan, at work."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

from .plans import Bad, command, order, read_set, recipe_digest, source_of, words_of
from .records import model_of, rates_of, record_of, weights_digest, write
from .waiting import Waiting, cpu_list, shares

# Frames of the utterance whose multiplications are counted: 2 s, as `revox zoo` has them.
FRAMES = 200
# Endings of the files of a test.
EMBEDDED_AND_SCORED = (".safetensors", ".scores")
# Exit codes of a program that a signal ended, after it saved and before.
SIGNALS = {128 + n for n in (1, 2, 15)} | {-n for n in (1, 2, 9, 15)}


class Lab:
    """All runs of a plan, at work."""

    def __init__(self, arguments, plan):
        self.plan, self.out = plan, Path(arguments.out)
        self.program, self.threads = arguments.program, arguments.threads
        self.more, self.retry = read_set(arguments.set, "--set"), arguments.retry
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.children = set()
        self.costs = {}
        with open(self.program, "rb") as file:
            self.build = hashlib.file_digest(file, "sha256").hexdigest()

    def command(self, words, threads, log):
        """Runs the program. Gives its exit code, and what it wrote on its standard output."""
        environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
        with self.lock:
            if self.stopped.is_set():
                return -signal.SIGINT, ""
            # Signals reach the program through us alone.
            child = subprocess.Popen(
                [self.program, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
                start_new_session=True,
            )
            self.children.add(child)
        try:
            text, _ = child.communicate()
        finally:
            with self.lock:
                self.children.discard(child)
        return child.returncode, text

    def ask(self, words, threads, log):
        """What a verb says in JSON."""
        code, text = self.command([*words, "--json", "--quiet"], threads, log)
        try:
            answer = json.loads(text)
        except json.JSONDecodeError:
            answer = {"error": f"revox {words[0]} ended with {code} and wrote no JSON"}
        if code in SIGNALS:
            raise InterruptedError
        if code != 0:
            error = answer.get("error") if isinstance(answer, dict) else None
            raise Bad(error or f"revox {words[0]} ended with {code}")
        return answer

    def stop(self, number):
        """Ends all runs."""
        with self.lock:
            self.stopped.set()
            for child in self.children:
                child.send_signal(number)

    def settings(self, name, seed):
        """All that a run depends on."""
        system = self.plan["systems"][name]
        return {
            "recipe": system["recipe"],
            "recipe_sha256": recipe_digest(system["recipe"]),
            "words": words_of(system, seed, self.more if system["recipe"] else ()),
            "threads": system.get("threads", self.threads),
        } | {key: system[key] for key in ("of", "quantize") if key in system}

    def to_do(self, runs):
        """Those that have not ended. Refuses folders of other settings or of another build."""
        left = []
        for name, seed in runs:
            record, where = record_of(self.out, name, seed), self.out / f"{name}-{seed}"
            if record is None:
                if where.exists():
                    raise Bad(f"{where}: holds a run without a record; name another --out")
                left.append((name, seed))
                continue
            if record["settings"] != self.settings(name, seed):
                raise Bad(f"{where}: was run with other settings; name another --out")
            if record["build"] != self.build:
                raise Bad(f"{where}: was run by another build; name another --out")
            if "of" in record and record["of"] != self.source(name, seed):
                raise Bad(f"{where}: started from another model; name another --out")
            again = record["state"] == "failed" and self.retry
            if record["state"] in ("running", "interrupted") or again:
                left.append((name, seed))
        for name, seed in left:
            source = source_of(self.plan, name, seed)
            if source and source not in left and self.source(name, seed) is None:
                raise Bad(f"{name}-{seed} starts from {source[0]}-{seed}, which has not ended")
        return left

    def source(self, name, seed):
        """The weights that a run starts from, by their digest: None if it starts from no system's,
        or from one that has not ended."""
        source = source_of(self.plan, name, seed)
        record = record_of(self.out, *source) if source else None
        return record["weights_sha256"] if record and record["state"] == "finished" else None

    def words(self, settings, seed, folder):
        """The words of a run, and where it leaves its model, if it is told the place."""
        start = model_of(record_of(self.out, settings["of"], seed)) if "of" in settings else None
        model = f"{folder}.safetensors"
        words = command(settings, settings["words"], start, str(folder), model)
        # The folder is there if a training has begun.
        words += ["--resume"] if folder.exists() else []
        return words, model if "quantize" in settings else None

    def run(self, name, seed):
        """One run, from where it stands."""
        folder, log_path = (self.out / f"{name}-{seed}{end}" for end in ("", ".log"))
        settings, begun = self.settings(name, seed), time.monotonic()
        record = record_of(self.out, name, seed) or {
            "system": name,
            "seed": seed,
            "settings": settings,
            "build": self.build,
            "seconds": 0.0,
            "interruptions": 0,
            "failures": [],
        }
        before = record["seconds"]
        if record.get("state") in ("running", "interrupted"):
            record["interruptions"] += 1
        record["state"] = "running"
        if "of" in settings:
            record["of"] = self.source(name, seed)
        write(self.out / f"{name}-{seed}.json", record)
        try:
            words, model = self.words(settings, seed, folder)
            with open(log_path, "a") as log:
                print(f"$ {self.program} {' '.join(words)}", file=log, flush=True)
                code, text = self.command(words, settings["threads"], log)
                record["seconds"] = before + time.monotonic() - begun
                log.write(text)
                log.flush()
                if code in SIGNALS:
                    raise InterruptedError
                report = json.loads(text) if text.strip() else {}
                if code != 0:
                    raise Bad(report.get("error") or f"revox {words[0]} ended with {code}")
                record["report"] = report
                record["model"] = model or report["model"]
                record |= self.results(record, log)
            record["state"] = "finished"
        except InterruptedError:
            record["state"] = "interrupted"
        except (Bad, OSError, KeyError, TypeError, ValueError) as error:
            record["state"] = "failed"
            record["failures"].append(f"{type(error).__name__}: {error}")
        write(self.out / f"{name}-{seed}.json", record)
        return record

    def results(self, record, log):
        """What a finished run is worth and costs. Error rates must be numbers."""
        model, name, seed = record["model"], record["system"], record["seed"]
        threads = record["settings"]["threads"]
        found = {"weights_sha256": weights_digest(model), "bytes": os.stat(model).st_size}
        info = self.ask(["info", model], threads, log)
        found["parameters"] = info["parameters"]
        found["macs"] = self.macs(info, threads, log)

        def rates(test):
            files = [f"{self.out / name}-{seed}.{test['name']}{e}" for e in EMBEDDED_AND_SCORED]
            embeddings, scores = files
            lists = ["--wav-scp", test["wav_scp"]]
            for words in (
                ["embed", model, *lists, "-o", embeddings],
                ["score", embeddings, test["trials"], *lists, "-o", scores],
            ):
                self.ask(words, threads, log)
            Path(embeddings).unlink()
            return rates_of(self.ask(["eval", scores, "--replicates", "0"], threads, log))

        if "quantize" in record["settings"]:
            found["dev"] = rates(self.dev_of(name, seed))
        else:
            found["dev"] = rates_of(record["report"])
        found["tests"] = {test["name"]: rates(test) for test in self.plan["tests"]}
        return found

    def dev_of(self, name, seed):
        """The lists by which the first system of a chain was tested in training."""
        while "of" in self.plan["systems"][name]:
            name = self.plan["systems"][name]["of"]
        lock = Path(model_of(record_of(self.out, name, seed))).parent / "recipe.lock.toml"
        data = tomllib.loads(lock.read_text())["data"]
        return {"name": "dev", "wav_scp": f"{data['dev']}/wav.scp", "trials": data["trials"]}

    def macs(self, info, threads, log):
        """Multiplications of a forward pass of FRAMES frames; None where `revox memory` does not
        know the network's options. Its count of a step has those of the passes and of the head."""
        arch = info["arch"]
        key = json.dumps(arch, sort_keys=True)
        if key not in self.costs:
            usual = self.ask(["zoo", "--details", arch["name"]], threads, log)["arch"]
            odd = {k for k in arch if arch[k] != usual.get(k)} - {"width", "mels", "embedding_dim"}
            last = [
                layer["shape"]
                for layer in info["layers"]
                if len(layer["shape"]) == 2 and layer["shape"][0] == arch["embedding_dim"]
            ]
            sizes = ["--width", arch["width"], "--mels", arch["mels"], "--frames", FRAMES]
            words = ["memory", arch["name"], *sizes, "--batch", 2, "--speakers", 2]
            words += ["--ranks", 2, "--tflops", 1]
            told = None if odd else self.ask([str(word) for word in words], threads, log)
            self.costs[key] = counted(told, usual["embedding_dim"], arch["embedding_dim"], last)
        return self.costs[key]


def counted(told, usual_dim, dim, layers):
    """Multiplications of one forward pass, of what `revox memory --ranks` tells of a step of two
    crops and two speakers. It has the network's usual embedding size: `layers` are the shapes of
    layers that may be the embedding's."""
    step = told[0] if isinstance(told, list) else told
    if step is None or (dim != usual_dim and len(layers) != 1):
        return None
    sent = step["communication"]
    link = next(iter(sent["seconds"]))
    # A rate of 1 TFLOP/s; a multiplication has an addition beside it.
    both = 1e12 * sent["seconds"][link] / sent["against_computing"][link] / 2
    passes = 4 if step["reversible"] else 3
    pass_of_one = both / passes / 2 - 2 * usual_dim
    more = (dim - usual_dim) * layers[0][1] if dim != usual_dim else 0
    return round(pass_of_one + more)


def run(arguments, plan):
    """The verb `run`."""
    lab = Lab(arguments, plan)
    lab.out.mkdir(parents=True, exist_ok=True)
    runs = order(plan, arguments.only)
    left = lab.to_do(runs)
    waiting = Waiting(plan, left)
    print(f"{plan['name']}: {len(runs)} runs, {len(runs) - len(left)} have ended", flush=True)
    broken = []

    def work(cpus):
        # Of this thread alone, and of the programs that it starts.
        if cpus:
            os.sched_setaffinity(0, cpus)
        while (each := waiting.take(lab.stopped)) is not None:
            name, seed = each
            source = source_of(plan, name, seed)
            if source and lab.source(name, seed) is None:
                print(f"{name}-{seed} not begun: {source[0]}-{seed} has not ended", flush=True)
                waiting.ended(each)
                continue
            try:
                record = lab.run(name, seed)
            except Exception as error:  # Such as a full disk: nothing more can be recorded.
                broken.append(f"{name}-{seed}: {error}")
                lab.stopped.set()
                return
            finally:
                waiting.ended(each)
            minutes = f"{record['seconds'] / 60:.1f} min"
            line = f"{name}-{seed} {record['state']}, {minutes}"
            if record["state"] == "finished":
                line += f", dev EER {100 * record['dev']['eer']:.2f} %"
            elif record["failures"]:
                line += f": {record['failures'][-1]}"
            print(line, flush=True)

    def on_signal(number, frame):
        first = not lab.stopped.is_set()
        # Python runs this between two steps of the main thread, which holds no lock then.
        threading.Thread(target=lab.stop, args=[signal.SIGINT if first else signal.SIGKILL]).start()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    cpus = cpu_list(arguments.cpus) if arguments.cpus else []
    each = [
        threading.Thread(target=work, args=[share])
        for share in shares(cpus, arguments.jobs, arguments.threads)
    ]
    for thread in each:
        thread.start()
    for thread in each:
        while thread.is_alive():
            thread.join(0.2)
    states = [(record_of(lab.out, *each) or {}).get("state", "not begun") for each in runs]
    counts = {state: states.count(state) for state in dict.fromkeys(states)}
    print(", ".join(f"{count} {state}" for state, count in counts.items()))
    if broken:
        raise Bad("; ".join(broken))
    sys.exit(0 if states.count("finished") == len(states) else 1)
