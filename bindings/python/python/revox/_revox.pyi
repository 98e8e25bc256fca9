"""The native half of `revox`: use `revox`."""

import os
from collections.abc import Sequence
from typing import final

import numpy as np
import numpy.typing as npt

__all__ = [
    "Model",
    "Utterance",
    "eer",
    "fbank_of_file",
    "fbank_of_samples",
    "forked",
    "min_dcf",
    "read_embeddings",
    "read_wav_scp",
]

@final
class Utterance:
    @property
    def embedding(self) -> npt.NDArray[np.float32]: ...
    @property
    def seconds(self) -> float: ...
    @property
    def speech_seconds(self) -> float: ...
    @property
    def rms(self) -> float: ...
    @property
    def clipped(self) -> float: ...
    @property
    def bandwidth(self) -> float: ...
    @property
    def silent(self) -> bool: ...
    @property
    def warnings(self) -> list[str]: ...

@final
class Model:
    def __new__(cls, path: str | os.PathLike[str] | None = None) -> Model: ...
    @staticmethod
    def from_bytes(data: bytes) -> Model: ...
    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def hash(self) -> str: ...
    @property
    def prior(self) -> float | None: ...
    def hear_files(self, paths: Sequence[str], channel: int | None = None) -> list[Utterance]: ...
    def hear_samples(
        self, samples: Sequence[npt.NDArray[np.float32]], rates: Sequence[int]
    ) -> list[Utterance]: ...
    def score(self, a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float: ...
    def compare(
        self, a: Utterance, b: Utterance, prior: float | None = None
    ) -> tuple[
        float,
        float | None,
        float | None,
        float | None,
        float | None,
        bool | None,
        list[str],
    ]: ...
    def threshold(self, far: float | None = None) -> float: ...

def fbank_of_file(
    path: str, channel: int | None, settings: dict[str, object]
) -> npt.NDArray[np.float32]: ...
def fbank_of_samples(
    samples: npt.NDArray[np.float32], own_rate: int, settings: dict[str, object]
) -> npt.NDArray[np.float32]: ...
def eer(
    scores: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_]
) -> tuple[float, float]: ...
def min_dcf(
    scores: npt.NDArray[np.float64],
    labels: npt.NDArray[np.bool_],
    p_target: float,
    c_miss: float,
    c_fa: float,
) -> tuple[float, float]: ...
def read_embeddings(path: str) -> tuple[list[str], npt.NDArray[np.float32]]: ...
def read_wav_scp(path: str) -> tuple[list[str], list[os.PathLike[str]]]: ...
def forked() -> None: ...
