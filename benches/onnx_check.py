"""ONNX Runtime, and sherpa-onnx where it is installed, on exported files beside `revox embed`.

    pip install onnxruntime numpy sherpa-onnx
    python benches/onnx_check.py target/release/revox model.safetensors a.wav b.wav

Exports the model twice, with features and with samples as input, and prints for every recording how
far ONNX Runtime's embedding is from that of `revox embed`, in units of its largest value. It ends
with 1 if that is more than 1e-4, with samples 1e-3. `--weights codes` keeps the weights packed.
`--weights int8` takes a model of `revox quantize --activations int8`: then it prints cosines to the
embeddings in integers, which must be 0.999 or more, and how many convolutions ONNX Runtime computes
in integers, which must be `--integers` or more. One whose result is added to a value in f32 is not
among them.

The front-end of sherpa-onnx is another one. `revox export --for sherpa-onnx --check` tells what
cosine to expect between embeddings by both front-ends; the cosine that sherpa-onnx reaches must be
that one to 1e-5. With `--sherpa-onnx required` a comparison that cannot be made is a failure: where
sherpa-onnx is not installed, or cannot feed the model.

Recordings are 16-bit WAV files of one channel at the model's rate. The model's front-end is one
that `revox fbank` has options for.
"""

import argparse
import json
import re
import struct
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np
import onnxruntime

LIMITS = {"features": 1e-4, "waveform": 1e-3}
COSINE = 1e-5
INTEGERS = 0.999
# Embeddings by two front-ends, of which one is computed in integers.
INTEGERS_COSINE = 1e-2


def revox(args, *words):
    """What a verb tells with --json, and what went wrong if it failed."""
    command = [args.revox, *map(str, words), "--json"]
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return json.loads(ran.stdout), ran.returncode == 0


def must(args, *words):
    told, worked = revox(args, *words)
    if not worked:
        sys.exit(f"revox {' '.join(map(str, words))}: {told['error']}")
    return told


def tensors(path):
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(
            data[start + info["data_offsets"][0] : start + info["data_offsets"][1]], "<f4"
        ).reshape(info["shape"])
        for name, info in header.items()
    }


def samples(path):
    """Samples, full scale 1, and their rate."""
    with wave.open(str(path)) as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            sys.exit(f"{path}: is no 16-bit WAV file of one channel")
        values = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return (values / 32768).astype(np.float32), file.getframerate()


def embeddings(args, folder):
    path = folder / "embeddings.npz"
    must(args, "embed", args.model, *args.audio, "-o", path)
    with np.load(path) as all:
        return dict(zip((str(name) for name in all["ids"]), all["embeddings"]))


def features(args, folder, frontend):
    path, fbank = folder / "features.safetensors", frontend["fbank"]
    options = ["--mels", fbank["mels"], "--window", fbank["window"], "--scale", fbank["scale"]]
    options += ["--sample-rate", fbank["sample_rate"], *["--cmn"] * frontend["cmn"]]
    must(args, "fbank", *args.audio, "-o", path, *options)
    return tensors(path)


def cosine(a, b):
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def in_integers(path, least, meta):
    """Whether ONNX Runtime computes so many convolutions in integers or more."""
    options, optimized = onnxruntime.SessionOptions(), path.with_suffix(".optimized.onnx")
    options.optimized_model_filepath = str(optimized)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    # A node's field 4 is its operation.
    found = len(re.findall(rb"\x22\x0bQLinearConv", optimized.read_bytes()))
    ranges = len(meta["activations"]["layers"])
    print(f"ONNX Runtime: {found} convolutions in integers, {ranges} with ranges")
    return found >= least


def by_onnxruntime(args, folder, wanted):
    """Prints all differences, and returns whether they are small."""
    good = True
    for kind, limit in LIMITS.items():
        path = folder / f"{kind}.onnx"
        export = ["export", args.model, "-o", path, "--input", kind, "--weights", args.weights]
        told = must(args, *export)
        if told["unchecked"]:
            print(f"{kind}: rten: unchecked: {told['unchecked']}")
        elif args.weights == "int8":
            print(f"{kind}: rten, noise: cosine {told['rten_cosine']:.5f}")
        else:
            print(f"{kind}: rten, noise: {told['rten']:.1e}")
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        meta = json.loads(session.get_modelmeta().custom_metadata_map["revox"])
        if args.weights == "int8":
            good &= in_integers(path, args.integers, meta)
        if kind == "features":
            given = features(args, folder, meta["frontend"])
        else:
            given = {file.stem: samples(file)[0] for file in args.audio}
        for file in args.audio:
            x = given[file.stem][None]
            found = session.run(None, {session.get_inputs()[0].name: x})[0][0]
            if args.weights == "int8":
                near = cosine(found, wanted[file.stem])
                print(f"{kind}: ONNX Runtime, {file.name}: cosine {near:.5f}")
                good &= near >= INTEGERS
                continue
            off = abs(found - wanted[file.stem]).max() / abs(wanted[file.stem]).max()
            print(f"{kind}: ONNX Runtime, {file.name}: {off:.1e}")
            # Not a number is no small one.
            good &= bool(off <= limit)
    return good


def by_sherpa_onnx(args, folder, wanted):
    """Prints the cosines, and returns whether they are those that were told."""
    try:
        import sherpa_onnx
    except ImportError:
        print("sherpa-onnx: not installed")
        return args.sherpa_onnx != "required"
    good, path, listed = True, folder / "sherpa.onnx", folder / "wav.scp"
    for file in args.audio:
        listed.write_text(f"{file.stem} {file.resolve()}\n")
        export = ["export", args.model, "-o", path, "--weights", args.weights]
        told, worked = revox(args, *export, "--for", "sherpa-onnx", "--check", listed)
        if not worked:
            print(f"sherpa-onnx: not compared: {told['error']}")
            return good and args.sherpa_onnx != "required"
        config = sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=str(path))
        extractor = sherpa_onnx.SpeakerEmbeddingExtractor(config)
        stream, (values, rate) = extractor.create_stream(), samples(file)
        stream.accept_waveform(sample_rate=rate, waveform=values)
        stream.input_finished()
        ours, theirs = wanted[file.stem], np.array(extractor.compute(stream))
        found = cosine(ours, theirs)
        print(f"sherpa-onnx, {file.name}: cosine {found:.6f}, {told['cosine']:.6f} told")
        limit = INTEGERS_COSINE if args.weights == "int8" else COSINE
        good &= bool(abs(found - told["cosine"]) <= limit)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revox")
    parser.add_argument("model", type=Path)
    parser.add_argument("audio", type=Path, nargs="+")
    parser.add_argument("--weights", choices=["f32", "codes", "int8"], default="f32")
    parser.add_argument("--integers", type=int, default=1)
    parser.add_argument("--sherpa-onnx", choices=["compared", "required"], default="compared")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        wanted = embeddings(args, folder)
        good = [check(args, folder, wanted) for check in (by_onnxruntime, by_sherpa_onnx)]
    if not all(good):
        sys.exit("embeddings are too far apart, or not compared")


if __name__ == "__main__":
    main()
