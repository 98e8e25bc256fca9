"""Results are the program's, to the bit."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from conftest import SHIPPED, Run, voice, write_wav

import revox

pytestmark = pytest.mark.filterwarnings("ignore::revox.RevoxWarning")


def read_wav(path: str) -> tuple[npt.NDArray[np.int16], int]:
    with wave.open(path) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2"), file.getframerate()


def test_embeddings(model: revox.Model, wavs: list[str], run: Run, tmp_path: Path) -> None:
    output = tmp_path / "e.safetensors"
    run("embed", SHIPPED, *wavs, "-o", output)
    ids, wanted = revox.read_embeddings(output)
    assert ids == [Path(wav).stem for wav in wavs]
    assert wanted.shape == (len(wavs), model.dim)
    assert np.array_equal(model.embed(wavs), wanted)
    read = [read_wav(wav) for wav in wavs]
    samples, rates = [samples for samples, _ in read], [rate for _, rate in read]
    assert np.array_equal(model.embed(samples, rates), wanted)
    for (heard, rate), wav, row in zip(read, wavs, wanted):
        assert np.array_equal(model.embed(wav), row)
        for form in (np.float32, np.float64):
            assert np.array_equal(model.embed((heard / 32768).astype(form), rate), row)


def test_a_channel_of_a_file(model: revox.Model, run: Run, tmp_path: Path) -> None:
    both = np.stack([voice(2.0, 16000, pitch) for pitch in (100.0, 200.0)], axis=1)
    stereo = write_wav(tmp_path / "both.wav", both, 16000)
    output = tmp_path / "e.npz"
    run("embed", SHIPPED, stereo, "--channel", 1, "-o", output)
    _, wanted = revox.read_embeddings(output)
    assert np.array_equal(model.embed(stereo, channel=1), wanted[0])
    assert np.array_equal(model.embed(both[:, 1], 16000), wanted[0])


def test_verdicts(model: revox.Model, wavs: list[str], run: Run) -> None:
    for other in wavs[1:]:
        wanted = json.loads(run("compare", SHIPPED, wavs[0], other, "--json"))
        verdict = model.compare(wavs[0], other)
        assert verdict.decision == wanted["same_speaker"]
        for name in ("score", "llr", "probability", "prior"):
            assert getattr(verdict, name) == wanted[name], name


def test_calibrated_verdicts(run: Run, tmp_path: Path) -> None:
    """Another calibration of the shipped model, by a few synthetic voices."""
    corpus, embeddings = tmp_path / "corpus", tmp_path / "e.safetensors"
    run("synth", corpus, "--speakers", 2, "--dev-speakers", 8, "--utterances", 4)
    run("embed", SHIPPED, "--wav-scp", corpus / "dev/wav.scp", "-o", embeddings)
    scores, calibrated = tmp_path / "scores", tmp_path / "calibrated.safetensors"
    run("score", embeddings, corpus / "dev/trials.txt", "-o", scores)
    run("calibrate", SHIPPED, "--scores", scores, "-o", calibrated)
    model = revox.Model(calibrated)
    files = sorted(str(path) for path in corpus.glob("dev/wav/*/*.wav"))[:3]
    for prior in (None, 0.01):
        options = [] if prior is None else ["--prior", prior]
        for other in files[1:]:
            wanted = json.loads(run("compare", calibrated, files[0], other, "--json", *options))
            verdict = model.compare(files[0], model.hear(other), prior=prior)
            assert verdict.llr is not None
            for name in ("score", "llr", "probability", "prior"):
                assert getattr(verdict, name) == wanted[name], name
            assert verdict.decision == wanted["same_speaker"]


def test_features(wavs: list[str], run: Run, tmp_path: Path) -> None:
    options = ["--mels", 40, "--window", "povey", "--cmn"]
    for name, given in (("plain", []), ("set", options)):
        output = tmp_path / f"{name}.npz"
        run("fbank", *wavs, "-o", output, *given)
        with np.load(output) as wanted:
            for wav in wavs:
                samples, rate = read_wav(wav)
                for recording in ((wav,), (samples, rate)):
                    if given:
                        found = revox.fbank(*recording, mels=40, window="povey", cmn=True)
                    else:
                        found = revox.fbank(*recording)
                    assert np.array_equal(found, wanted[Path(wav).stem])


def test_error_rates(run: Run, tmp_path: Path) -> None:
    draw = np.random.default_rng(7)
    labels = draw.random(500) < 0.2
    scores = np.round(draw.normal(0.0, 1.0, 500) + 2.0 * labels, 2)
    kinds = np.where(labels, "target", "nontarget")
    lines = [f"a{i} b{i} {scores[i]} {kinds[i]}\n" for i in range(500)]
    path = tmp_path / "scores"
    path.write_text("".join(lines))
    wanted = json.loads(run("eval", path, "--json", "--replicates", 0))
    eer = revox.eer(scores, labels)
    assert (eer.rate, eer.threshold) == (wanted["eer"], wanted["threshold_eer"])
    for prior, cost in wanted["min_dcf"].items():
        assert revox.min_dcf(scores, labels, float(prior)).cost == cost
    assert revox.eer(scores.astype(object).tolist(), labels.astype(int)) == eer
