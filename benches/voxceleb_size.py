"""Training from a corpus of the size of VoxCeleb2: 1,092,009 entries of 5,994 speakers.

    python benches/voxceleb_size.py target/release/revox

Makes the corpus of hard links to 400 recordings of 2.5 s, in folders as VoxCeleb2 has them, removes
it afterwards, and prints a table of

lists      `revox bench data`: seconds until the lists are loaded, until the first example is made,
           and at the end; its peak memory.
training   `revox train` with a small network and two loader threads: seconds until the first epoch
           begins (lists, sizes and times of all files, the first checkpoint) and until its first
           step is done; then the resident memory, each second, over 10,000 steps.
--prepare  `revox prepare folder --headers` of all files.

The system has the names of all files in memory, since they were just made, and there are few
inodes. On a disk that was not read before, all seconds are longer by what the disk takes. Resident
memory includes the caches: of recordings (--cache-mib), and 16 MiB of noises and responses.

Needs python3 with numpy and soundfile, the shared data (REVOX_SHARED, else ../shared), and Linux:
the progress is read from the bar of the training, on a terminal that the script makes, the memory
from /proc. The folder for temporary files (TMPDIR) needs hard links, 152,000 inodes and 1.2 GB. The
corpus takes half a minute to make and minutes to remove, 10,000 steps ten minutes or more.
"""

import argparse
import fcntl
import itertools
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import numpy as np
import soundfile

RATE, SECONDS, RECORDINGS = 16_000, 2.5, 400
SPEAKERS, VIDEOS, ENTRIES = 5994, 145_569, 1_092_009
DEV_SPEAKERS, DEV_EACH = 20, 4
# Seconds after which `revox prepare` is ended.
LONGEST = 600

RECIPE = """
seed = 1

[data]
train = "{folder}/lists"
dev = "{folder}/dev"
frames = 100
threads = 2
cache_mib = {cache_mib}

[augment]
noise = "{shared}/noise/wav.scp"
reverb = "{shared}/rir/wav.scp"
cache_mib = 16

[model]
name = "resnet10"
width = 2
mels = 24
embedding_dim = 8

[train]
epochs = 1
batch_size = 32
"""


def say(text):
    print(text, file=sys.stderr, flush=True)


def make_recordings(folder, shared):
    corpus = shared / "speechocean762"
    lines = (corpus / "train/wav.scp").read_text().splitlines()
    files = [corpus / line.split(maxsplit=1)[1] for line in lines[:RECORDINGS]]
    made = []
    (folder / "real").mkdir()
    for i, file in enumerate(files):
        samples = np.resize(soundfile.read(file, dtype="int16")[0], int(SECONDS * RATE))
        made.append(folder / "real" / f"{i}.wav")
        soundfile.write(made[-1], samples, RATE, subtype="PCM_16")
    return made


def sizes(entries):
    """Speakers and videos."""
    speakers = min(SPEAKERS, entries)
    return speakers, max(speakers, round(VIDEOS * entries / ENTRIES))


def shares(count, of):
    """A number in parts that differ by one at most."""
    return np.diff(np.arange(of + 1) * count // of)


def make_corpus(folder, entries, recordings):
    """Folders of speakers and videos, and the lists of them."""
    most = os.pathconf(folder, "PC_LINK_MAX")
    if entries / len(recordings) >= most:
        sys.exit(f"a file has at most {most} links here; {len(recordings)} files are too few")
    speakers, videos = sizes(entries)
    root = folder / "vox2"
    root.mkdir()
    (folder / "lists").mkdir()
    rng = np.random.default_rng(1)
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))
    reals, made = itertools.cycle(str(file) for file in recordings), 0
    in_videos = iter(shares(entries, videos))
    with (
        open(folder / "lists/wav.scp", "w") as scp,
        open(folder / "lists/utt2spk", "w") as speaker_of,
    ):
        for number, own in enumerate(shares(videos, speakers)):
            speaker = f"id{number:05}"
            os.mkdir(f"{root}/{speaker}")
            for name in sorted("".join(row) for row in rng.choice(letters, (own, 11))):
                video = f"{speaker}/{name}"
                os.mkdir(f"{root}/{video}")
                for i in range(next(in_videos)):
                    utterance = f"{video}/{i:05}.wav"
                    os.link(next(reals), f"{root}/{utterance}")
                    scp.write(f"{utterance} {root}/{utterance}\n")
                    speaker_of.write(f"{utterance} {speaker}\n")
                    made += 1
    return made


def make_dev(folder, recordings):
    ids = [f"dev{i // DEV_EACH:02}-{i % DEV_EACH}" for i in range(DEV_SPEAKERS * DEV_EACH)]
    dev = folder / "dev"
    dev.mkdir()
    files = zip(ids, recordings)
    (dev / "wav.scp").write_text("".join(f"{name} {file}\n" for name, file in files))
    (dev / "utt2spk").write_text("".join(f"{name} {name[:5]}\n" for name in ids))
    pairs = itertools.combinations(ids, 2)
    trials = [f"{int(a[:5] == b[:5])} {a} {b}\n" for a, b in pairs]
    (dev / "trials.txt").write_text("".join(trials))


def refuse_too_little_room(folder, entries):
    """Each folder takes an inode and a block; a hard link takes neither."""
    folders = sum(sizes(entries))
    room = os.statvfs(folder)
    bytes_needed = folders * max(4096, room.f_frsize) + 400 * entries + 100_000_000
    say(
        f"{folder}: needs {folders} inodes and {bytes_needed / 1e9:.1f} GB; has {room.f_favail} "
        f"and {room.f_bavail * room.f_frsize / 1e9:.1f} GB"
    )
    # Some file systems count no inodes.
    is_short = room.f_files > 0 and room.f_favail < folders + RECORDINGS + 1000
    if is_short or room.f_bavail * room.f_frsize < bytes_needed:
        sys.exit("too little room; TMPDIR names another folder")


def terminal():
    """A wide terminal: the end to read from, and the end of the program."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    return ours, theirs


def read(source):
    """What is there to be read; nothing at the end."""
    try:
        return os.read(source, 65536)
    except OSError:
        # Linux says so of a terminal whose other end is closed.
        return b""


def memory(pid):
    """Resident bytes now, and those of them that are no file's."""
    fields = {}
    with open(f"/proc/{pid}/status") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            fields[name] = value.split()
    if "VmRSS" not in fields:
        return None
    return [int(fields[name][0]) * 1024 for name in ("VmRSS", "RssAnon")]


def running(command, source, told, is_done):
    """Watches a program until it ends or `is_done()` says so. `told` gets seconds and text of what
    it says. Returns its seconds, its CPU seconds, its peak memory and whether it ended well."""
    begun, was_stopped = time.monotonic(), True
    try:
        while True:
            ready, _, _ = select.select([source], [], [], 0.2)
            text = read(source) if ready else None
            if text:
                told(time.monotonic() - begun, text)
            if text == b"":
                was_stopped = False
                break
            if is_done():
                break
    finally:
        if was_stopped:
            command.kill()
    _, status, usage = os.wait4(command.pid, 0)
    command.returncode = os.waitstatus_to_exitcode(status)
    took, cpu = time.monotonic() - begun, usage.ru_utime + usage.ru_stime
    return took, cpu, usage.ru_maxrss * 1024, was_stopped or command.returncode == 0


def mib(count):
    return f"{count / 2**20:.0f} MiB"


def row(what, value):
    print(f"| {what} | {value} |", flush=True)


def measure_lists(args, recipe):
    """The program says what it does next when the lists are loaded, and after one example."""
    said, lines = b"", []

    def told(seconds, text):
        nonlocal said
        *whole, said = (said + text).split(b"\n")
        lines.extend((seconds, line.decode(errors="replace")) for line in whole)

    ours, theirs = os.pipe()
    command = [args.revox, "bench", "data", recipe, "--no-step", "--json", "--examples", "1"]
    program = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    took, cpu, peak, is_well = running(program, ours, told, lambda: False)
    os.close(ours)
    if not is_well:
        sys.exit("\n".join(["revox bench data failed:", *(line for _, line in lines)]))
    when = [seconds for seconds, line in lines if re.fullmatch(r"(one|\d+) threads?", line)]
    lists, example = (when + [float("nan")] * 2)[:2]
    row("lists loaded", f"{lists:.2f} s")
    row("first examples made, by one thread", f"{example:.2f} s")
    row("first batch delivered, end of the program", f"{took:.2f} s, {cpu:.2f} CPU s")
    row("its peak memory", mib(peak))


class Bar:
    """The progress of a training, from what it draws."""

    def __init__(self):
        self.text, self.step, self.begun, self.first = b"", 0, None, None

    def told(self, seconds, text):
        self.text = (self.text + text)[-4096:]
        drawn = re.findall(rb"epoch 1/1.*?(\d+)/\d+ \[", self.text)
        if not drawn:
            return
        self.step = int(drawn[-1])
        self.begun = seconds if self.begun is None else self.begun
        if self.step > 0 and self.first is None:
            self.first = seconds, self.step


def measure_training(args, recipe, folder):
    bar, samples, last = Bar(), [], 0.0
    ours, theirs = terminal()
    command = [args.revox, "train", recipe, "--out", folder / "run"]
    with open(folder / "out", "w+") as out:
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=theirs)
        os.close(theirs)

        def is_done():
            nonlocal last
            if time.monotonic() - last >= 1.0:
                last = time.monotonic()
                if found := memory(program.pid):
                    samples.append((bar.step, *found))
            return bar.step >= args.steps

        took, cpu, peak, is_well = running(program, ours, bar.told, is_done)
    os.close(ours)
    if not is_well or bar.first is None:
        sys.exit("revox train failed: " + bar.text.decode(errors="replace"))
    first, step = bar.first
    row("first epoch begins", f"{bar.begun:.2f} s")
    row("first steps done" if step > 1 else "first step done", f"{first:.2f} s ({step})")
    row("steps, seconds, CPU seconds", f"{bar.step}, {took:.0f}, {cpu:.0f}")
    before = [resident for done, resident, _ in samples if done == 0]
    row("largest resident memory before the first step", mib(max(before, default=0)))
    row("peak", mib(peak))
    trained = np.array([sample for sample in samples if sample[0] > 0], dtype=float)
    if len(trained) < 10:
        return say("too few samples of the memory for a trend")
    for share in (0.1, 0.25, 0.5, 0.75, 1.0):
        at = trained[np.searchsorted(trained[:, 0], share * trained[-1, 0])]
        row(f"resident at step {at[0]:.0f} (not of files)", f"{mib(at[1])} ({mib(at[2])})")
    half = trained[trained[:, 0] >= trained[-1, 0] / 2]
    slope = np.polyfit(half[:, 0], half[:, 1], 1)[0] * 1000 / 2**20
    row("growth in the second half, each 1,000 steps", f"{slope:+.2f} MiB")


def measure_preparing(args, folder):
    """Ends the program when it takes too long."""
    said = []
    ours, theirs = os.pipe()
    command = [args.revox, "prepare", "folder", folder / "vox2", folder / "prepared", "--headers"]
    program = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    end = time.monotonic() + LONGEST

    def told(_seconds, text):
        said.append(text)

    took, cpu, peak, is_well = running(program, ours, told, lambda: time.monotonic() > end)
    os.close(ours)
    if not is_well:
        sys.exit("revox prepare failed: " + b"".join(said).decode(errors="replace"))
    was_ended = "ended after " if took >= LONGEST else ""
    row("prepare folder --headers", f"{was_ended}{took:.1f} s, {cpu:.1f} CPU s, {mib(peak)}")


def measure(args, folder):
    shared = Path(os.environ.get("REVOX_SHARED", Path(__file__).parents[2] / "shared")) / "data"
    if not (shared / "speechocean762").is_dir():
        sys.exit(f"{shared}: no speechocean762; set REVOX_SHARED")
    refuse_too_little_room(folder, args.entries)
    begun = time.monotonic()
    recordings = make_recordings(folder, shared.resolve())
    made = make_corpus(folder, args.entries, recordings)
    make_dev(folder, recordings)
    say(f"{made} entries made in {time.monotonic() - begun:.0f} s")
    recipe = folder / "recipe.toml"
    text = RECIPE.format(folder=folder, shared=shared.resolve(), cache_mib=args.cache_mib)
    recipe.write_text(text)
    print(f"{made} entries, {min(SPEAKERS, made)} speakers, {os.cpu_count()} processors\n")
    row("what", "measured")
    row("---", "---:")
    if args.prepare:
        measure_preparing(args, folder)
    measure_lists(args, recipe)
    measure_training(args, recipe, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("revox")
    parser.add_argument("--entries", type=int, default=ENTRIES)
    parser.add_argument("--steps", type=int, default=10_000, help="steps after which it ends")
    parser.add_argument("--cache-mib", type=int, default=64, help="data.cache_mib")
    parser.add_argument("--prepare", action="store_true", help="measure `revox prepare`, too")
    args = parser.parse_args()
    args.revox = os.path.abspath(args.revox)
    # A program that is ended removes the corpus, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    with tempfile.TemporaryDirectory() as folder:
        measure(args, Path(folder).resolve())
        say("removing the corpus")


if __name__ == "__main__":
    main()
