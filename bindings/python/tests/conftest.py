"""Recordings made here, and the program that results are compared with."""

from __future__ import annotations

import os
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import revox

REPOSITORY = Path(__file__).parents[3]
SHIPPED = REPOSITORY / "models/default/model.safetensors"

Run = Callable[..., str]


def voice(seconds: float, rate: int, pitch: float, seed: int = 0) -> npt.NDArray[np.int16]:
    """A buzz with syllables and a little noise, which passes as a voice of this pitch."""
    t = np.arange(int(seconds * rate)) / rate
    wobble = pitch * (1 + 0.02 * np.sin(5 * t))
    phase = 2 * np.pi * np.cumsum(wobble) / rate
    harmonics = [h for h in range(1, 25) if h * pitch * 1.02 < rate / 2]
    buzz = sum(np.sin(h * phase) / (1 + abs(h * pitch - 900) / 700) for h in harmonics)
    syllables = np.clip(np.sin(2 * np.pi * 2.5 * t), 0.0, None)
    noise = np.random.default_rng(seed).normal(0.0, 20.0, len(t))
    return np.round(1500.0 * syllables * buzz + noise).clip(-32768, 32767).astype(np.int16)


def write_wav(path: Path, samples: npt.NDArray[np.int16], rate: int) -> str:
    """Writes samples ``[n]`` or ``[n, channels]``."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return str(path)


@pytest.fixture(scope="session")
def model() -> revox.Model:
    return revox.Model()


@pytest.fixture(scope="session")
def wavs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Files at several rates, of several lengths."""
    folder = tmp_path_factory.mktemp("wavs")
    kinds = [(16000, 2.0, 110.0), (8000, 2.1, 180.0), (44100, 2.2, 140.0), (16000, 3.1, 220.0)]
    return [
        write_wav(folder / f"{i}.wav", voice(seconds, rate, pitch, i), rate)
        for i, (rate, seconds, pitch) in enumerate(kinds)
    ]


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs the program ``REVOX_PROGRAM``, and gives what it prints."""
    program = os.environ.get("REVOX_PROGRAM")
    if program is None:
        without = "REVOX_PROGRAM does not say where the program is"
        if os.environ.get("CI") == "true":
            pytest.fail(without)
        pytest.skip(without)

    def ran(*arguments: object) -> str:
        command = [program, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return ran
