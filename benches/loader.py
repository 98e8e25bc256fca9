"""Training examples a second and core: from 8 s recordings on disk to features of 2 s crops, with
noise or reverberation in 60 % of them, and a PyTorch loader doing the same beside it.

    pip install torch==2.8.0 torchaudio==2.8.0 numpy scipy soundfile
    python benches/loader.py target/release/revox

Prints a table of examples per CPU second, the better of two rounds. Every program has one thread,
and all files are in the page cache. What is measured, of each kind of recordings, with dither and
without:

revox               `revox bench data --no-step` (data/example/core). No decoded audio is kept, be
                    it recordings, noises or responses; --cache-mib keeps some of the latter two.
WeSpeaker's way     Dataset and DataLoader of PyTorch, num_workers=0, batches of 128. Each example
                    reads its whole recording and its whole noise or response, crops, adds the noise
                    at its ratio or calls scipy.signal.convolve, then torchaudio's kaldi.fbank, and
                    subtracts the mean.
only what it needs  The same, but it reads only the crop, and only a stretch of the noise, of the
                    crop's length.

Both peers read WAV and FLAC with soundfile. M4A is read by torchaudio, or by ffmpeg in a process of
its own, whose CPU seconds count. From tar files (`revox pack`) the peer reads one recording after
the other, as WeSpeaker does, and shuffles nothing.

The recordings are utterances of the shared data (REVOX_SHARED, else ../shared), joined. Noises have
the lengths of MUSAN and its shares, at a thirtieth of its number: noise of 23 s, music (machines,
joined) of 230 s, speech of 500 s. Responses are measured ones that fade faster. 2 GB in the folder
for temporary files; needs numpy and soundfile, and ffmpeg for M4A. Without torch the peer is left
out. A run takes about ten minutes.
"""

import argparse
import io
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import soundfile

RATE, SECONDS, FRAMES, BATCH, PROBABILITY = 16_000, 8, 200, 128, 0.6
LENGTH = SECONDS * RATE
CROP = 400 + 160 * (FRAMES - 1)
# Of each category: number of sounds, seconds, signal-to-noise ratios of WeSpeaker.
NOISES = {"noise": (31, 23, (0, 15)), "music": (22, 230, (5, 15)), "speech": (14, 500, (10, 30))}
RESPONSES = 200
FORMATS = ("wav", "flac", "m4a", "shards")
WAYS = ("WeSpeaker's way", "only what it needs")

RECIPE = """
seed = 1

[data]
train = "{train}"
dev = "{train}"
frames = {frames}
threads = 1

[frontend]
dither = {dither}

[augment]
probability = {probability}
noise = "{folder}/noise.scp"
reverb = "{folder}/reverb.scp"
normalize = true
cache_mib = {cache_mib}

[augment.categories]
{categories}

[model]
name = "resnet10"

[train]
batch_size = {batch}
"""


def say(text):
    print(text, file=sys.stderr, flush=True)


def words(path):
    with open(path) as lines:
        return [line.split(maxsplit=1) for line in lines.read().splitlines()]


def write_wav(path, samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE, subtype="PCM_16")


def sounds(shared, name):
    files = [shared / name / file for _, file in words(shared / name / "wav.scp")]
    return [soundfile.read(file, dtype="float32")[0] for file in files]


def utterances(shared):
    """The utterances of each speaker, 16-bit."""
    corpus = shared / "speechocean762"
    speaker_of = dict(words(corpus / "train/utt2spk"))
    speakers = {}
    for name, file in words(corpus / "train/wav.scp"):
        samples = soundfile.read(corpus / file, dtype="int16")[0]
        speakers.setdefault(speaker_of[name], []).append(samples)
    return speakers


def make_recordings(folder, speakers, count, rng):
    """WAV, FLAC and, with ffmpeg, M4A. The formats that are there."""
    encoders = []
    lists = {"wav": [], "flac": [], "m4a": []}
    if not shutil.which("ffmpeg"):
        say("M4A is left out: no ffmpeg")
        del lists["m4a"]
    speaker_of = []
    names = sorted(speakers)
    for i in range(count):
        speaker = names[i % len(names)]
        own = speakers[speaker]
        joined = np.concatenate([own[j] for j in rng.permutation(len(own))])
        start = rng.integers(max(1, len(joined) - LENGTH))
        samples = np.resize(joined[start:], LENGTH)
        name = f"{speaker}-{i:05}"
        files = {kind: folder / kind / speaker / f"{name}.{kind}" for kind in lists}
        write_wav(files["wav"], samples)
        files["flac"].parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(files["flac"], samples, RATE, subtype="PCM_16")
        if "m4a" in lists:
            files["m4a"].parent.mkdir(parents=True, exist_ok=True)
            encode = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", files["wav"]]
            encoders.append([*encode, "-c:a", "aac", "-b:a", "64k", files["m4a"]])
        speaker_of.append(f"{name} {speaker}\n")
        for kind, file in files.items():
            lists[kind].append(f"{name} {file}\n")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda command: subprocess.run(command, check=True), encoders))
    for kind, lines in lists.items():
        (folder / kind / "wav.scp").write_text("".join(lines))
        (folder / kind / "utt2spk").write_text("".join(speaker_of))
    return list(lists)


def make_noises(folder, speakers, machines, rng):
    speech = [samples / 32768 for own in speakers.values() for samples in own]
    lines = []
    for category, (count, seconds, _) in NOISES.items():
        pool = speech if category == "speech" else machines
        for i in range(count):
            parts, length = [], 0
            while length < seconds * RATE:
                parts.append(pool[rng.integers(len(pool))] * rng.uniform(0.3, 0.9))
                length += len(parts[-1])
            name = f"{category}/{category}-{i:04}"
            file = folder / "sounds" / f"{name}.wav"
            write_wav(file, np.concatenate(parts)[: seconds * RATE])
            lines.append(f"{name} {file}\n")
    (folder / "noise.scp").write_text("".join(lines))


def make_responses(folder, measured, rng):
    lines = []
    for i in range(RESPONSES):
        response = measured[i % len(measured)]
        length = min(len(response), int(RATE * rng.uniform(0.25, 1.0)))
        fading = np.exp(-np.arange(length) / (RATE * rng.uniform(0.05, 0.3)))
        file = folder / "sounds/response" / f"{i:04}.wav"
        write_wav(file, response[:length] * fading)
        lines.append(f"response-{i:04} {file}\n")
    (folder / "reverb.scp").write_text("".join(lines))


def make(folder, revox, count):
    """All data in a folder. The formats that are there."""
    shared = Path(os.environ.get("REVOX_SHARED", Path(__file__).parents[2] / "shared")) / "data"
    if not (shared / "speechocean762").is_dir():
        sys.exit(f"{shared}: no speechocean762; set REVOX_SHARED")
    rng = np.random.default_rng(1)
    say(f"making {count} recordings in {folder}")
    speakers = utterances(shared)
    formats = make_recordings(folder, speakers, count, rng)
    make_noises(folder, speakers, sounds(shared, "noise"), rng)
    make_responses(folder, sounds(shared, "rir"), rng)
    pack = [revox, "pack", folder / "wav", folder / "shards", "--per-shard", "250", "--quiet"]
    packed = subprocess.run(pack, stdout=subprocess.DEVNULL)
    if packed.returncode == 0:
        return [*formats, "shards"]
    say("tar files are left out: `revox pack` failed")
    return formats


def ours(args, folder, kind, dither):
    """Examples per CPU second of each stage, and of all of them (`example/core`)."""
    recipe = folder / f"{kind}-{dither}.toml"
    snr = {name: list(ratios) for name, (_, _, ratios) in NOISES.items()}
    categories = "\n".join(f"{name} = {{ snr = {ratios} }}" for name, ratios in snr.items())
    recipe.write_text(
        RECIPE.format(
            train=folder / kind,
            folder=folder,
            frames=FRAMES,
            dither=float(dither),
            probability=PROBABILITY,
            cache_mib=args.cache_mib,
            categories=categories,
            batch=BATCH,
        )
    )
    command = [args.revox, "bench", "data", recipe, "--no-step", "--json", "--quiet"]
    command += ["--examples", str(args.examples)]
    done = subprocess.run(
        command, env=os.environ | {"RAYON_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit(f"revox, {kind}: exit code {done.returncode}: {done.stdout}")
    return {f["name"].removeprefix("data/"): f["value"] for f in json.loads(done.stdout)}


def theirs(args, folder, kind, dither, way):
    """The peer's figure in a process of its own, and what reads M4A; nothing if it failed."""
    job = {"folder": str(folder), "kind": kind, "dither": dither, "way": way}
    job["examples"] = args.peer_examples
    command = [sys.executable, __file__, args.revox, "--peer", json.dumps(job)]
    quiet = os.environ | {"PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, env=quiet, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        say(f"the peer, {kind}, {WAYS[way]}: exit code {done.returncode}")
        return None
    return json.loads(done.stdout.splitlines()[-1])


def cpu_seconds():
    """Those of this process and of the processes that it waited for."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def piped(file, start, count):
    """A file's samples by a process of ffmpeg."""
    command = ["ffmpeg", "-v", "error", "-nostdin"]
    if count >= 0:
        command += ["-ss", f"{start / RATE:.6f}"]
    command += ["-i", str(file), "-ac", "1", "-ar", str(RATE), "-f", "f32le", "-"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    samples = np.frombuffer(done.stdout, "<f4")
    return samples[:count] if count >= 0 else samples


def reader(kind, example):
    """A function of file, start and number of samples (-1: all of them), and its name."""
    if kind != "m4a":
        def by_soundfile(file, start, count):
            return soundfile.read(file, count, start, dtype="float32")[0]

        return by_soundfile, "soundfile"
    import torchaudio

    for options in ({"backend": "ffmpeg"}, {}):
        def by_torchaudio(file, start, count, options=options):
            wave, _ = torchaudio.load(file, frame_offset=start, num_frames=count, **options)
            return wave[0].numpy()

        try:
            if len(by_torchaudio(example, 0, -1)) >= LENGTH:
                return by_torchaudio, "torchaudio"
        except Exception:
            pass
    return piped, "ffmpeg in a process"


def peer(folder, kind, dither, way, examples):
    """Prints the examples per CPU second of a PyTorch loader."""
    import scipy.io.wavfile
    import scipy.signal
    import torch
    import torchaudio.compliance.kaldi as kaldi

    torch.set_num_threads(1)
    random.seed(1)
    torch.manual_seed(1)
    folder, is_lean = Path(folder), way == 1
    listed = [] if kind == "shards" else words(folder / kind / "wav.scp")
    noises, responses = words(folder / "noise.scp"), words(folder / "reverb.scp")
    read, name = reader(kind, listed[0][1] if listed else None)

    def chunk(samples, length):
        if len(samples) < length:
            return np.resize(samples, length)
        start = random.randint(0, len(samples) - length)
        return samples[start : start + length]

    def sound(file):
        # WeSpeaker has the bytes of whole files in a data base.
        _, samples = scipy.io.wavfile.read(io.BytesIO(Path(file).read_bytes()))
        return samples.astype(np.float32) / 32768

    def stretch(file, length):
        if not is_lean:
            return chunk(sound(file), length)
        with soundfile.SoundFile(file) as opened:
            opened.seek(random.randint(0, opened.frames - length))
            return opened.read(length, dtype="float32")

    def decibels(samples):
        return 10 * np.log10(np.mean(samples**2) + 1e-4)

    def varied(samples):
        if random.random() >= PROBABILITY:
            return samples
        if random.random() < 0.5:
            response = sound(random.choice(responses)[1])
            response = response / np.sqrt(np.sum(response**2))
            samples = scipy.signal.convolve(samples, response, mode="full")[: len(samples)]
        else:
            label, file = random.choice(noises)
            noise = stretch(file, len(samples))
            ratio = random.uniform(*NOISES[label.split("/")[0]][2])
            gain = 10 ** ((decibels(samples) - decibels(noise) - ratio) / 20)
            samples = samples + gain * noise
        return samples / (np.max(np.abs(samples)) + 1e-4)

    def features(samples):
        wave = torch.from_numpy(varied(samples).astype(np.float32))[None] * 32768
        bands = kaldi.fbank(
            wave,
            num_mel_bins=80,
            frame_length=25,
            frame_shift=10,
            sample_frequency=RATE,
            window_type="hamming",
            dither=float(dither),
        )
        return bands - bands.mean(dim=0)

    class Recordings(torch.utils.data.Dataset):
        def __len__(self):
            return min(examples, len(listed))

        def __getitem__(self, i):
            file = listed[i][1]
            if is_lean:
                return features(read(file, random.randint(0, LENGTH - CROP), CROP)), i
            return features(chunk(read(file, 0, -1), CROP)), i

    class TarFiles(torch.utils.data.IterableDataset):
        def __iter__(self):
            made = 0
            for (path,) in words(folder / "shards/shard.list"):
                with tarfile.open(path, "r|") as tar:
                    for entry in tar:
                        if not entry.name.endswith(".wav"):
                            continue
                        content = io.BytesIO(tar.extractfile(entry).read())
                        samples = soundfile.read(content, dtype="float32")[0]
                        yield features(chunk(samples, CROP)), made
                        made += 1
                        if made == examples:
                            return

    data = TarFiles() if kind == "shards" else Recordings()
    # Tables are made with the first example.
    next(iter(data))
    loader = torch.utils.data.DataLoader(
        data, batch_size=BATCH, shuffle=None if kind == "shards" else True, num_workers=0
    )
    begun, made = cpu_seconds(), 0
    for batch, _ in loader:
        assert batch.shape[1:] == (FRAMES, 80) and bool(torch.isfinite(batch).all())
        made += len(batch)
    print(json.dumps({"rate": made / (cpu_seconds() - begun), "reader": name}))


def table(formats, dithers, found, readers):
    kinds = {"wav": "WAV", "flac": "FLAC", "m4a": "M4A, 64 kbit/s", "shards": "tar files of WAV"}
    heads = ["8 s recordings", "dither", "revox"]
    heads += [cell for way in WAYS for cell in (way, "ratio")]
    print(f"| {' | '.join(heads)} |")
    print(f"| --- {'| ---: ' * (len(heads) - 1)}|")
    for kind in formats:
        by = readers.get(kind, "")
        what = f"{kinds[kind]} (peer: {by})" if kind == "m4a" and by else kinds[kind]
        for dither in dithers:
            rate = found[kind, dither, None]["example/core"]
            cells = [what, dither, f"{rate:.0f}"]
            for way in range(len(WAYS)):
                peer_rate = found.get((kind, dither, way))
                cells += [f"{peer_rate:.0f}", f"{rate / peer_rate:.1f}"] if peer_rate else ["", ""]
            print(f"| {' | '.join(cells)} |")
    stages = ("read", "decode", "augment", "features")
    print("\nrevox, stage by stage: ms an example, on the clock\n")
    print(f"| 8 s recordings | dither | {' | '.join(stages)} |")
    print(f"| --- {'| ---: ' * (1 + len(stages))}|")
    for kind in formats:
        for dither in dithers:
            rates = [found[kind, dither, None][stage] for stage in stages]
            times = [f"{1000 / rate:.3f}" for rate in rates]
            print(f"| {kinds[kind]} | {dither} | {' | '.join(times)} |")


def has_torch():
    try:
        import scipy
        import torch
        import torchaudio

        versions = [f"{m.__name__} {m.__version__}" for m in (torch, torchaudio, scipy)]
        say(f"the peer has {', '.join(versions)}")
        return True
    # Libraries of unlike versions fail in ways of their own.
    except Exception as error:
        say(f"the peer is missing: {error}")
        return False


def measure(args, folder):
    formats = [kind for kind in make(folder, args.revox, args.files) if kind in args.formats]
    dithers, found, readers = ("1", "0"), {}, {}
    ways = range(len(WAYS)) if not args.no_peer and has_torch() else ()
    for number in range(args.rounds):
        for kind in formats:
            for dither in dithers:
                say(f"round {number + 1}: {kind}, dither {dither}")
                rates, key = ours(args, folder, kind, dither), (kind, dither, None)
                best = found.get(key, rates)
                found[key] = max(best, rates, key=lambda rates: rates["example/core"])
                for way in ways:
                    # A tar file is read from front to back.
                    if kind == "shards" and way == 1:
                        continue
                    result, key = theirs(args, folder, kind, dither, way), (kind, dither, way)
                    if result:
                        found[key] = max(found.get(key, 0), result["rate"])
                        readers[kind] = result["reader"]
    print(
        f"Examples per CPU second, one thread, better of {args.rounds} rounds; {args.files} "
        f"recordings, {args.examples} examples a round ({args.peer_examples} of the peer), "
        f"augment.cache_mib = {args.cache_mib}.\n"
    )
    table(formats, dithers, found, readers)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("revox")
    parser.add_argument("--files", type=int, default=2000, help="recordings of each format")
    parser.add_argument("--examples", type=int, default=2000, help="examples of a round")
    parser.add_argument("--peer-examples", type=int, default=500, help="those of the peer")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--cache-mib", type=int, default=0, help="augment.cache_mib")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return peer(**json.loads(args.peer))
    if args.files < BATCH:
        parser.error(f"--files: {BATCH} or more, for one batch")
    args.revox = os.path.abspath(args.revox)
    with tempfile.TemporaryDirectory() as folder:
        measure(args, Path(folder))


if __name__ == "__main__":
    main()
