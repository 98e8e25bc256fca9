"""`peers.py infer`: embeddings by `revox`, ONNX Runtime, rten and torch, of the same models.

    pip install numpy onnxruntime [torch]
    python benches/peers.py infer target/release/revox [--threads 1 2] [--level avx2]

`revox bench embed` times the runtime without Burn and Burn, with f32 weights and packed ones, the
runtime in integers, and rten with the f32 weights, and keeps its models. `revox export` writes each
as an ONNX file: f32 weights as they are, packed ones as codes, integers with their ranges. ONNX
Runtime then runs the f32 file, and the file in integers beside the runtime in integers. Where torch
is installed, it runs WeSpeaker's operations with other random weights. A round does this for one
network after the other; of all rounds' medians the least counts. Features are not timed.

`--level` limits the instructions of revox alone: ONNX Runtime has no such option.

The differences are those of ONNX Runtime's embedding to `revox embed`'s of the same features, by
the file of the row's form, as parts of the largest value. In integers, ONNX Runtime rounds the
operands of sums as well.
"""

import argparse
import json
import os
import statistics
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime

try:
    import torch

    import peers_networks
except ModuleNotFoundError:
    torch = None

NETWORKS = [
    "resnet34",
    "gemini-df-resnet114",
    "resnet293",
    "ecapa-tdnn-512",
    "campplus",
    "redimnet2-b2",
]
# The form in figures of `revox bench embed`, the end of the model's name, how `revox export` calls
# it (not at all: integers of packed weights have no form in ONNX), and the form that ONNX Runtime
# runs beside it.
FORMS = [
    ("f32", "", "f32", "f32"),
    ("packed", "-packed", "codes", "f32"),
    ("int8", "-int8", "int8", "int8"),
    ("packed-int8", "-packed-int8", None, "int8"),
]
COLUMNS = [
    "network",
    "threads",
    "form",
    "revox, ms",
    "Burn, ms",
    "ONNX Runtime, ms",
    "revox / ONNX Runtime",
    "rten, ms",
    "torch, ms",
    "GMAC/s",
    "revox's most, MB",
    "model, MB",
    "ONNX / model",
    "difference",
]


def session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def noise(running, frames):
    """Features for a session, without their mean, which `revox embed` subtracts."""
    mels = running.get_inputs()[0].shape[2]
    features = np.random.default_rng(1).standard_normal((frames, mels))
    return (features - features.mean(0)).astype(np.float32)


def archive(path, features):
    """Writes a Kaldi archive of one matrix."""
    sizes = struct.pack("<bibi", 4, len(features), 4, features.shape[1])
    path.write_bytes(b"noise \0BFM " + sizes + features.astype("<f4").tobytes())


class Peers:
    def __init__(self, args, folder):
        self.args, self.folder, self.refused = args, folder, set()

    def revox(self, *words, threads=1):
        """What the program prints."""
        environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
        command = [self.args.revox, *map(str, words), "--quiet"]
        run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        return run.stdout.decode()

    def bench(self, network, threads):
        """The program's figures by the ends of their names."""
        words = ["bench", "embed", network, "--frames", self.args.frames, "--json"]
        words += ["--runs", self.args.runs, "--bits", self.args.bits, "--save", self.folder]
        if self.args.level:
            words += ["--level", self.args.level]
        figures = json.loads(self.revox(*words, threads=threads))
        return {f["name"].removeprefix(f"embed/{network}/"): f["value"] for f in figures}

    def onnx_runtime(self, path, threads):
        """Median seconds of an embedding. The first one does not count."""
        running = session(path, threads)
        features = noise(running, self.args.frames)
        times = []
        for _ in range(self.args.runs + 1):
            begun = time.perf_counter()
            running.run(None, {"feats": features[None]})
            times.append(time.perf_counter() - begun)
        return statistics.median(times[1:])

    def torch(self, network, threads):
        """Median seconds of an embedding. The first one does not count."""
        torch.set_num_threads(threads)
        running = peers_networks.build(network).eval()
        features = torch.randn(1, self.args.frames, peers_networks.NETWORKS[network][1])
        times = []
        with torch.no_grad():
            for _ in range(self.args.runs + 1):
                begun = time.perf_counter()
                running(features)
                times.append(time.perf_counter() - begun)
        return statistics.median(times[1:])

    def difference(self, model, path):
        """How far ONNX Runtime's embedding is from `revox embed`'s."""
        running = session(path, 1)
        features = noise(running, self.args.frames)
        given, made = self.folder / "noise.ark", self.folder / "noise.npz"
        archive(given, features)
        self.revox("embed", model, "--features", given, "-o", made)
        ours = np.load(made)["embeddings"][0]
        (theirs,) = running.run(None, {"feats": features[None]})
        return np.abs(theirs[0] - ours).max() / np.abs(ours).max()

    def round(self, network, threads):
        """Figures of the program, and ONNX Runtime's seconds by form."""
        figures = self.bench(network, threads)
        for form, end, weights, _ in FORMS:
            model = self.folder / f"{network}{end}.safetensors"
            path = model.with_suffix(".onnx")
            if weights is None:
                continue
            # Models are the same in each round.
            if not path.exists() and path not in self.refused:
                try:
                    self.revox("export", model, "--weights", weights, "-o", path)
                except subprocess.CalledProcessError:
                    # Random weights of a deep network: other roundings, another embedding.
                    self.refused.add(path)
            if form != "packed" and path.exists():
                figures[f"onnx/{form}"] = self.onnx_runtime(path, threads)
        if torch and network in peers_networks.NETWORKS:
            figures["torch"] = self.torch(network, threads)
        return figures

    def rows(self, network, threads, rounds):
        """The rows of a network: one for each form of its weights."""
        for form, end, weights, peer in FORMS:
            model = self.folder / f"{network}{end}.safetensors"
            path = model.with_suffix(".onnx")
            if path in self.refused or f"onnx/{peer}" not in rounds[0]:
                continue
            own = f"runtime/{form}"
            ours, theirs = (min(r[what] for r in rounds) for what in [own, f"onnx/{peer}"])
            # Burn has no integers.
            burn = [r[form] for r in rounds if form in r]
            # These two have f32 weights alone.
            others = {"rten": "", "torch": ""}
            if form == "f32":
                for other in others:
                    times = [r[other] for r in rounds if other in r]
                    others[other] = f"{1e3 * min(times):.1f}" if times else ""
            yield [
                network,
                threads,
                form,
                f"{1e3 * ours:.1f}",
                f"{1e3 * min(burn):.1f}" if burn else "",
                f"{1e3 * theirs:.1f}",
                f"{ours / theirs:.2f}",
                *others.values(),
                f"{max(r[f'{own}/rate'] for r in rounds):.1f}",
                f"{rounds[0][f'{own}/peak'] / 1e6:.2f}",
                f"{model.stat().st_size / 1e6:.2f}",
                f"{path.stat().st_size / model.stat().st_size:.3f}" if weights else "",
                f"{self.difference(model, path):.1e}" if weights else "",
            ]

    def compare(self):
        pairs = [(n, t) for n in self.args.networks for t in self.args.threads]
        rounds = {pair: [] for pair in pairs}
        for _ in range(self.args.rounds):
            for pair in pairs:
                rounds[pair].append(self.round(*pair))
        print(
            f"ONNX Runtime {onnxruntime.__version__}, {self.args.frames} frames, the least of "
            f"{self.args.rounds} medians of {self.args.runs}, {self.args.bits} bits packed.\n"
        )
        print("| " + " | ".join(COLUMNS) + " |")
        print("|---" * len(COLUMNS) + "|")
        for pair in pairs:
            for row in self.rows(*pair, rounds[pair]):
                print("| " + " | ".join(map(str, row)) + " |", flush=True)


def main(words):
    parser = argparse.ArgumentParser("peers.py infer", description=__doc__.split("\n\n")[0])
    parser.add_argument("revox")
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--frames", type=int, default=298, help="298 are 3 s")
    parser.add_argument("--runs", type=int, default=15, help="passes of a median")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--bits", type=int, default=4, help="of packed weights")
    parser.add_argument("--level", help="instructions of revox: portable, avx2, avx512")
    args = parser.parse_args(words)
    args.revox = os.path.abspath(args.revox)
    with tempfile.TemporaryDirectory() as folder:
        Peers(args, Path(folder)).compare()
