"""Whatever is wrong is said by an exception that says it."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SHIPPED, voice, write_wav

import revox

SPEECH = voice(2.0, 16000, 120.0)
SHARE = SPEECH.astype(np.float32) / 32768


def at(place: int, value: float) -> Any:
    changed = SHARE.astype(np.float64)
    changed[place] = value
    return changed


SAMPLES: list[tuple[Any, Any, type[Exception], str]] = [
    (np.zeros(0, np.float32), 16000, ValueError, "holds no samples"),
    (np.zeros((0, 2), np.float32), 16000, ValueError, r"\[0, 2\]: those of one channel"),
    (at(70, np.nan), 16000, ValueError, "sample 70 is NaN"),
    (at(71, -np.inf), 16000, ValueError, "sample 71 is -inf"),
    (at(72, 1e300), 16000, ValueError, "sample 72 is inf"),
    (SPEECH.astype(np.float32), 16000, ValueError, "full scale is 1.*divide them by 32768"),
    (SPEECH.astype(np.int32), 16000, ValueError, "samples are int32: int16, float32"),
    (SPEECH.astype(np.uint8), 16000, ValueError, "samples are uint8"),
    (SHARE.astype(np.float16), 16000, ValueError, "samples are float16"),
    (SHARE.astype(np.complex64), 16000, ValueError, "samples are complex64"),
    (SHARE > 0, 16000, ValueError, "samples are bool"),
    (np.stack([SHARE, SHARE], 1), 16000, ValueError, r"are wanted, such as `x\[:, 0\]`"),
    (np.stack([SHARE, SHARE]), 16000, ValueError, r"are wanted, such as `x\[0\]`"),
    (np.zeros((2, 2, 900), np.float32), 16000, ValueError, r"\[2, 2, 900\]"),
    (np.float32(1.0), 16000, ValueError, r"samples \[\]"),
    (SHARE[:100], 16000, ValueError, "100 samples are shorter than one frame"),
    (SHARE, None, ValueError, "samples need their sample_rate"),
    (SHARE, 0, ValueError, "sample_rate 0: not a rate"),
    (SHARE, -16000, ValueError, "sample_rate -16000: not a rate"),
    (SHARE, 10**30, ValueError, "not a rate of audio"),
    (SHARE, 3, ValueError, "3 Hz: not a rate of audio"),
    (SHARE, 16000.5, TypeError, "a whole number of Hz"),
    (SHARE, "16000", TypeError, "a whole number of Hz"),
    (None, 16000, TypeError, "a path or an array of samples, not NoneType"),
    (b"RIFF", 16000, TypeError, "not bytes"),
    (17, 16000, TypeError, "not int"),
    ([0.0, 0.1], 16000, TypeError, "not float; .*makes an array"),
    ([SHARE, "a.wav"], 16000, TypeError, "of files or of samples, not of both"),
    ([SHARE, SHARE], [16000], ValueError, "1 sample rates of 2 recordings"),
    ([SHARE, SHARE[:0]], 16000, ValueError, "recording 2: holds no samples"),
    ("a.wav", 16000, ValueError, "a file has its own"),
]


@pytest.mark.parametrize(("recording", "rate", "kind", "wanted"), SAMPLES)
def test_samples(
    model: revox.Model, recording: Any, rate: Any, kind: type[Exception], wanted: str
) -> None:
    with pytest.raises(kind, match=wanted) as caught:
        model.embed(recording, rate)
    assert caught.type is kind
    if not isinstance(recording, list):
        with pytest.raises(kind, match=wanted):
            revox.fbank(recording, rate)


def test_options(model: revox.Model) -> None:
    unknown: Any = "x"
    half: Any = 0.5
    bad: list[tuple[Callable[[], object], type[Exception], str]] = [
        (lambda: model.embed(SHARE, 16000, channel=0), ValueError, "samples have one"),
        (lambda: model.embed("a.wav", channel=-1), ValueError, "channel -1"),
        (lambda: model.embed("a.wav", channel=half), TypeError, "a whole number"),
        (lambda: model.compare("a.wav", "b.wav", 16000), ValueError, "a file has its own"),
        (lambda: model.compare(SHARE, SHARE, 16000, channel=1), ValueError, "have one"),
        (lambda: model.compare(SHARE, SHARE), ValueError, "need their sample_rate"),
        (lambda: model.compare(SHARE, SHARE, 16000, prior=1.0), ValueError, "prior 1.0"),
        (lambda: model.score(np.ones(3), np.ones(3)), ValueError, "3 values"),
        (lambda: model.score(np.ones((1, 3)), np.ones(3)), ValueError, r"\[1, 3\]"),
        (lambda: model.score(np.zeros(model.dim), np.ones(model.dim)), ValueError, "zero|direct"),
        (lambda: model.threshold(0.123), ValueError, "no threshold for .* 0.123"),
        (lambda: revox.fbank(SHARE, 16000, mels=0), ValueError, "mels = 0"),
        (lambda: revox.fbank(SHARE, 16000, mels=-1), ValueError, "mels -1"),
        (lambda: revox.fbank(SHARE, 16000, window=unknown), ValueError, "hamming, povey"),
        (lambda: revox.fbank(SHARE, 16000, low_freq=9000.0), ValueError, "do not fit"),
        (lambda: revox.eer([0.1], [True]), ValueError, "both kinds of trials"),
        (lambda: revox.eer([], []), ValueError, "both kinds of trials"),
        (lambda: revox.eer([0.1, np.nan], [0, 1]), ValueError, "trial 2 is not a number"),
        (lambda: revox.eer([0.1, 0.2], [0, 2]), ValueError, "bool, or 0 and 1"),
        (lambda: revox.eer([0.1, 0.2], [0, 1, 1]), ValueError, "2 scores and 3 labels"),
        (lambda: revox.eer([[0.1, 0.2]], [0, 1]), ValueError, "one dimension"),
        (lambda: revox.eer(["a", "b"], [0, 1]), ValueError, "could not convert"),
        (lambda: revox.min_dcf([0.1, 0.2], [0, 1], 1.5), ValueError, "prior 1.5"),
    ]
    for call, kind, wanted in bad:
        with pytest.raises(kind, match=wanted):
            call()


def test_nobody_to_compare(model: revox.Model) -> None:
    silence = np.zeros(16000, np.int16)
    with pytest.raises(revox.RevoxError, match="the second recording: silent"):
        model.compare(SPEECH, silence, 16000)


def test_files(model: revox.Model, tmp_path: Path) -> None:
    good = write_wav(tmp_path / "good.wav", SPEECH, 16000)
    with pytest.raises(FileNotFoundError) as caught:
        model.embed([good, str(tmp_path / "none.wav")])
    assert caught.value.filename == str(tmp_path / "none.wav")
    assert str(caught.value).startswith("[Errno 2] No such file or directory: ")
    with pytest.raises(revox.RevoxError, match="is a folder, not a file"):
        model.embed(tmp_path)
    stereo = write_wav(tmp_path / "stereo.wav", np.stack([SPEECH, SPEECH], 1), 16000)
    with pytest.raises(revox.RevoxError, match="has 2 channels; choose a channel, from 0 to 1"):
        model.embed(stereo)
    with pytest.raises(revox.RevoxError, match="has no channel 2"):
        model.embed(stereo, channel=2)
    cut = tmp_path / "cut.wav"
    cut.write_bytes(Path(good).read_bytes()[:5000])
    with pytest.raises(revox.RevoxError, match="cut.wav: .*promises") as told:
        model.embed([Path(good), cut])
    assert told.value.file == str(cut) and told.value.line is None
    other = tmp_path / "other.wav"
    other.write_bytes(b"no audio" * 100)
    with pytest.raises(revox.RevoxError, match="no audio file of a known format"):
        revox.fbank(other)
    scp = tmp_path / "wav.scp"
    scp.write_text(f"a {good}\nb\n")
    with pytest.raises(revox.RevoxError, match="wav.scp:2: one field") as told:
        model.extract_embedding_list(scp)
    assert (told.value.file, told.value.line) == (str(scp), 2)
    scp.write_text("a sox x.wav -t wav - |\n")
    with pytest.raises(revox.RevoxError, match="a command in place of a file"):
        model.extract_embedding_list(scp)
    with pytest.raises(FileNotFoundError):
        revox.read_embeddings(tmp_path / "none.npz")
    with pytest.raises(revox.RevoxError, match="other.wav"):
        revox.read_embeddings(other)


def sealed(file: bytes) -> bytes:
    """A changed model file with the checksum of its content."""
    digits = re.search(rb'"sha256":"([0-9a-f]{64})"', file)
    assert digits is not None
    zeroed = file[: digits.start(1)] + b"0" * 64 + file[digits.end(1) :]
    digest = hashlib.sha256(zeroed).hexdigest().encode()
    return file[: digits.start(1)] + digest + file[digits.end(1) :]


def test_utterances_of_another_model(model: revox.Model) -> None:
    changed = bytearray(SHIPPED.read_bytes())
    changed[-1000] ^= 1
    other = revox.Model.from_bytes(sealed(bytes(changed)))
    speech = voice(2.0, 16000, 120.0, 1)
    ours, theirs = model.hear(speech, 16000), other.hear(speech, 16000)
    with pytest.raises(ValueError, match="the second recording was heard by another model"):
        model.compare(ours, theirs)
    with pytest.raises(ValueError, match="the first recording was heard by another model"):
        model.compare(theirs, speech, 16000)
    assert other.compare(theirs, theirs).score > 0.999


def test_models(tmp_path: Path) -> None:
    whole = SHIPPED.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    header = whole[8 : 8 + length]
    assert b'\\"format\\":' in header
    bumped = re.sub(rb'(\\"format\\":)\d', rb"\g<1>9", header)
    newer = sealed(whole[:8] + bumped + whole[8 + length :])
    flipped = bytearray(whole)
    flipped[-1000] ^= 1
    without = json.dumps({"__metadata__": {}}).encode()
    foreign = struct.pack("<Q", len(without)) + without
    not_one = "not a (readable )?safetensors file|damaged|truncated"
    bad = [
        (b"", not_one),
        (whole[:5], not_one),
        (whole[:1000], not_one),
        (whole[:-1], not_one),
        (whole[: len(whole) // 2], not_one),
        (b"x" * 5000, not_one),
        (newer, "format 9; this version reads"),
        (bytes(flipped), "checksum|damaged|sha256"),
        (foreign, "without revox metadata; `revox import"),
    ]
    for place, (data, wanted) in enumerate(bad):
        path = tmp_path / f"{place}.safetensors"
        path.write_bytes(data)
        with pytest.raises(revox.RevoxError, match=wanted) as told:
            revox.Model(path)
        assert told.value.file == str(path)
        with pytest.raises(revox.RevoxError, match=wanted):
            revox.Model.from_bytes(data)
    with pytest.raises(FileNotFoundError):
        revox.Model(tmp_path / "none")
    with pytest.raises(TypeError):
        revox.Model(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        revox.Model.from_bytes("text")  # type: ignore[arg-type]
