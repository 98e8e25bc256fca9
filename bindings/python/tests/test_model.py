"""What the package offers, without the program."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import SHIPPED, voice, write_wav

import revox


def test_a_model_says_what_it_is(model: revox.Model) -> None:
    assert model.hash == hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    assert model.sample_rate == 16000 and model.dim > 0 and model.name in repr(model)
    same = [revox.load_model(SHIPPED), revox.Model.from_bytes(SHIPPED.read_bytes())]
    assert [other.hash for other in same] == [model.hash] * 2


def test_shapes(model: revox.Model, wavs: list[str]) -> None:
    samples = voice(2.0, 16000, 120.0)
    one = model.embed(samples, 16000)
    assert one.shape == (model.dim,) and one.dtype == np.float32
    many = model.embed([samples, samples[:28000]], 16000)
    assert many.shape == (2, model.dim) and np.array_equal(many[0], one)
    assert model.embed([]).shape == (0, model.dim)
    assert model.embed([samples], 16000).shape == (1, model.dim)
    assert model.embed((Path(wavs[0]),)).shape == (1, model.dim)


def test_samples_of_every_form_are_the_same(model: revox.Model) -> None:
    samples = voice(2.0, 16000, 120.0)
    wanted = model.embed(samples, 16000)
    share = samples.astype(np.float32) / 32768
    strided = np.stack([share, share], axis=1)
    odd = np.frombuffer(b"x" + samples.tobytes(), np.uint8)[1:].view(np.int16)
    read_only = share.copy()
    read_only.flags.writeable = False
    forms = [
        share,
        share.astype(np.float64),
        share.astype(">f4"),
        samples.astype(">i2"),
        strided[:, 0],
        share[::-1][::-1],
        share[None],
        share[:, None],
        odd,
        read_only,
    ]
    for form in forms:
        assert np.array_equal(model.embed(form, 16000), wanted)
    assert np.array_equal(model.embed(forms, np.full(len(forms), 16000)), [wanted] * len(forms))


def test_rates_are_each_recordings(model: revox.Model) -> None:
    both = [voice(2.0, 16000, 120.0), voice(2.0, 44100, 160.0)]
    wanted = [model.embed(both[0], 16000), model.embed(both[1], 44100)]
    assert np.array_equal(model.embed(both, [16000, 44100]), wanted)


def test_verdicts(model: revox.Model) -> None:
    first, second = voice(2.0, 16000, 110.0), voice(2.0, 16000, 230.0)
    verdict = model.compare(first, second, 16000)
    assert verdict.score == model.score(model.embed(first, 16000), model.embed(second, 16000))
    # The shipped model is calibrated: it decides by probability, and by no threshold of scores.
    assert verdict.threshold is None and verdict.prior == 0.5 and verdict.llr is not None
    assert verdict.decision == (verdict.llr >= 0.0)
    rare = model.compare(first, second, 16000, prior=0.01)
    assert (rare.score, rare.llr, rare.prior) == (verdict.score, verdict.llr, 0.01)
    assert rare.probability is not None and verdict.probability is not None
    assert rare.probability < verdict.probability
    assert rare.decision == (rare.probability >= 0.5)
    heard = model.hear(first, 16000)
    assert model.compare(heard, heard).score == pytest.approx(1.0, abs=1e-6)
    assert model.compare(heard, second, 16000) == verdict
    assert model.compare(heard, heard).decision is True
    assert "s of speech" in repr(heard) and heard.seconds == 2.0
    assert 0.5 < heard.speech_seconds <= 2.0 and not heard.silent and heard.clipped == 0.0
    assert 0.0 < heard.rms < 1.0 and 0.0 < heard.bandwidth <= 8000.0


def test_short_speech_is_told(model: revox.Model) -> None:
    short = voice(0.4, 16000, 110.0)
    verdict = model.compare(short, voice(2.0, 16000, 110.0), 16000)
    assert any(w.startswith("the first recording: ") for w in verdict.warnings)
    with pytest.warns(revox.RevoxWarning, match="recording 1: ") as told:
        model.embed(short, 16000)
    assert told[0].filename == __file__
    with warnings.catch_warnings(record=True) as all_told:
        warnings.simplefilter("always")
        model.embed([np.zeros(16000, np.int16)] * 7, 16000)
    assert "recording 5: silent" in str(all_told[4].message)
    assert str(all_told[5].message) == "2 more warnings of recordings" and len(all_told) == 6


def test_the_names_of_wespeaker(
    model: revox.Model, wavs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert np.array_equal(model.extract_embedding(wavs[0]), model.embed(wavs[0]))
    similarity = model.compute_similarity(wavs[0], wavs[3])
    assert similarity == (1 + model.compare(wavs[0], wavs[3]).score) / 2
    write_wav(tmp_path / "own voice.wav", voice(2.0, 16000, 120.0), 16000)
    scp = tmp_path / "wav.scp"
    scp.write_text(f"one {wavs[0]}\ntwo own voice.wav\n")
    monkeypatch.chdir("/")
    ids, embeddings = model.extract_embedding_list(scp)
    assert ids == ["one", "two"]
    wanted = model.embed([wavs[0], str(tmp_path / "own voice.wav")])
    assert np.array_equal(embeddings, wanted)


def test_features() -> None:
    samples = voice(1.0, 16000, 120.0)
    features = revox.fbank(samples, 16000)
    assert features.shape == (98, 80) and features.dtype == np.float32
    assert np.array_equal(revox.fbank(samples / 32768.0, 16000), features)
    less = revox.fbank(samples, 16000, mels=40, frame_shift_ms=20.0, cmn=True)
    assert less.shape == (49, 40) and np.abs(less.mean(axis=0)).max() < 1e-4
    # Of 8 kHz, half the frequencies are empty unless they stay at 8 kHz.
    narrow = voice(1.0, 8000, 120.0)
    assert revox.fbank(narrow, 8000, to_rate=8000).shape == (98, 80)
    assert revox.fbank(narrow, 8000)[:, -1].mean() < revox.fbank(narrow, 8000)[:, 5].mean() - 5


def test_error_rates() -> None:
    scores, labels = [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]
    assert revox.eer(scores, labels).rate == 0.5
    assert revox.eer([0.0, 0.1, 0.8, 0.9], [False, False, True, True]).rate == 0.0
    perfect = revox.min_dcf([0.0, 0.1, 0.8, 0.9], [0, 0, 1, 1])
    assert perfect.cost == 0.0 and 0.1 < perfect.threshold <= 0.8
    # The threshold that accepts all targets accepts one nontarget of two: 0.5 * 0.5 / 0.5.
    assert revox.min_dcf(scores, labels, 0.5).cost == 0.5
    assert revox.min_dcf(scores, labels, 0.5, c_miss=1.0, c_fa=2.0).cost == 0.5
