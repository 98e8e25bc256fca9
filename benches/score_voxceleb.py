"""What `revox score` takes at the size of VoxCeleb1-E: 579,818 trials over 145,160 embeddings,
without and with AS-norm (the 300 nearest of 5,994 speakers), with AS-norm of embeddings less a
mean, and numpy doing the same beside it.

    python benches/score_voxceleb.py target/release/revox

Makes embeddings of speakers at random (seeded), in a folder that is removed afterwards, and prints
the CPU seconds of the whole process, its seconds and its peak memory. --dim 192 changes their size,
--cohort 3000 the number of the cohort's speakers, --threads 2 lets both use more threads (CPU
seconds of hyperthreads count twice), --no-peer leaves numpy out. Needs python3 with numpy, and
about 0.5 GB in the folder for temporary files.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

SPEAKERS, UTTERANCES, TRIALS, TOP = 1251, 145_160, 579_818, 300


def write(path, ids, rows):
    """A file of embeddings as revox writes it, with its checksum."""
    text = "".join(f"{name}\n" for name in ids).encode()
    values = rows.astype("<f4").tobytes()
    header = json.dumps(
        {
            "__metadata__": {"sha256": "0" * 64},
            "embeddings": {
                "dtype": "F32",
                "shape": list(rows.shape),
                "data_offsets": [0, len(values)],
            },
            "ids": {
                "dtype": "U8",
                "shape": [len(text)],
                "data_offsets": [len(values), len(values) + len(text)],
            },
        },
        separators=(",", ":"),
    ).encode()
    header += b" " * (-len(header) % 8)
    head = len(header).to_bytes(8, "little") + header
    digits = hashlib.sha256(head + values + text).hexdigest().encode()
    with open(path, "wb") as file:
        file.write(head.replace(b"0" * 64, digits, 1) + values + text)


def read(path):
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        rows = np.fromfile(file, "<f4", int(np.prod(header["embeddings"]["shape"])))
        ids = file.read().decode().split("\n")[:-1]
    return ids, rows.reshape(header["embeddings"]["shape"])


def make(folder, dim, count):
    rng = np.random.default_rng(1)
    # Two groups of voices and a common direction, as real embeddings have them.
    groups = rng.normal(size=(2, dim)) * 0.5

    def voices(count):
        return rng.normal(size=(count, dim)) + groups[np.arange(count) % 2] + 0.2

    speaker = np.sort(rng.integers(SPEAKERS, size=UTTERANCES))
    rows = voices(SPEAKERS)[speaker] + rng.normal(size=(UTTERANCES, dim)) * 0.8
    ids = [f"id1{s:04}/{i * 7919 % 10**11:011}/{i % 100:05}.wav" for i, s in enumerate(speaker)]
    write(f"{folder}/vox1e.safetensors", ids, rows)
    write(f"{folder}/cohort.safetensors", [f"id0{i:04}" for i in range(count)], voices(count))
    more = rng.integers(UTTERANCES, size=TRIALS - UTTERANCES)
    first = np.concatenate([np.arange(UTTERANCES), more])
    starts = np.searchsorted(speaker, np.arange(SPEAKERS + 1))
    own = speaker[first]
    sizes = starts[own + 1] - starts[own]
    target = starts[own] + rng.integers(sizes)
    second = np.where(np.arange(TRIALS) % 2 == 0, target, rng.integers(UTTERANCES, size=TRIALS))
    with open(f"{folder}/trials", "w") as file:
        for a, b in zip(first, second):
            file.write(f"{int(speaker[a] == speaker[b])} {ids[a]} {ids[b]}\n")


def peer(folder, out, normalise, centre):
    """The same scores: f32 products, statistics in f32."""
    ids, rows = read(f"{folder}/vox1e.safetensors")
    if centre:
        mean = read(f"{folder}/cohort.safetensors")[1].mean(0)
        rows = rows - mean
    place = {name: i for i, name in enumerate(ids)}
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = []
    with open(f"{folder}/trials") as file:
        for line in file:
            label, a, b = line.split()
            pairs.append((place[a], place[b], a, b, "target" if label == "1" else "nontarget"))
    a, b = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    parts = zip(np.array_split(a, 50), np.array_split(b, 50))
    scores = np.concatenate([np.einsum("ij,ij->i", rows[i], rows[j]) for i, j in parts])
    if normalise:
        _, cohort = read(f"{folder}/cohort.safetensors")
        cohort = cohort - mean if centre else cohort
        cohort = cohort / np.linalg.norm(cohort, axis=1, keepdims=True)
        centres, std = np.empty(len(rows), "f4"), np.empty(len(rows), "f4")
        for first in range(0, len(rows), 512):
            near = rows[first : first + 512] @ cohort.T
            near = np.partition(near, len(cohort) - TOP, axis=1)[:, -TOP:]
            centres[first : first + 512], std[first : first + 512] = near.mean(1), near.std(1)
        scores = 0.5 * ((scores - centres[a]) / std[a] + (scores - centres[b]) / std[b])
    with open(out, "w") as file:
        for (_, _, x, y, label), score in zip(pairs, scores):
            file.write(f"{x} {y} {score:.9f} {label}\n")


def apart(function, *arguments):
    """Calls a function in a process of its own. The peak memory that the system tells of a program
    is never below that of the one that started it, which has to stay small."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(function, arguments)


def measured(what, command, threads):
    names = ["RAYON_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"]
    begun = time.perf_counter()
    running = subprocess.Popen(
        command, env=os.environ | {name: str(threads) for name in names}, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    took = time.perf_counter() - begun
    if running.returncode:
        sys.exit(f"{what}: exit code {running.returncode}")
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    print(f"{what:36} {cpu:7.2f} CPU s {took:7.2f} s {peak:7.0f} MiB", flush=True)


def column(path):
    with open(path) as file:
        return np.array([float(line.split()[2]) for line in file])


def difference(ours, theirs):
    return np.abs(column(ours) - column(theirs)).max()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("revox")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--cohort", type=int, default=5994)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--peer", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        folder, out, normalise = args.peer
        return peer(folder, out, normalise != "0", normalise == "2")
    with tempfile.TemporaryDirectory() as folder:
        apart(make, folder, args.dim, args.cohort)
        revox = [args.revox, "score", f"{folder}/vox1e.safetensors", f"{folder}/trials", "--quiet"]
        cohort = f"{folder}/cohort.safetensors"
        normalised = ["--cohort", cohort, "--top-n", str(TOP)]
        runs = {
            "0": ("cosine", []),
            "1": ("AS-norm", normalised),
            "2": ("AS-norm less a mean", normalised + ["--mean", cohort]),
        }
        for normalise, (what, options) in runs.items():
            ours, theirs = f"{folder}/ours", f"{folder}/theirs"
            measured(f"revox, {what}", revox + ["-o", ours] + options, args.threads)
            if args.no_peer:
                continue
            command = [sys.executable, __file__, args.revox, "--peer", folder, theirs, normalise]
            measured(f"numpy, {what}", command, args.threads)
            off = apart(difference, ours, theirs)
            print(f"{'':36} scores differ by {off:.1e} at most")


if __name__ == "__main__":
    main()
