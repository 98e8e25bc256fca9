"""Python runs while models work, and models work for several threads and processes."""

from __future__ import annotations

import _thread
import multiprocessing
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import voice, write_wav

import revox

SPEECH = [voice(2.0, 16000, 100.0 + 20 * i, i) for i in range(6)]


def test_threads_share_a_model(model: revox.Model) -> None:
    wanted = [model.embed(samples, 16000) for samples in SPEECH]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda samples: model.embed(samples, 16000), SPEECH * 3))
    assert np.array_equal(found, wanted * 3)
    assert np.array_equal(model.embed(SPEECH * 3, 16000), wanted * 3)


def test_other_threads_go_on(model: revox.Model) -> None:
    """Another thread notes the time, again and again. With Python's lock held it could not."""
    noted: list[float] = []
    stop = threading.Event()

    def note() -> None:
        while not stop.is_set():
            noted.append(time.perf_counter())
            time.sleep(0.001)

    long = np.tile(SPEECH[0], 60)
    thread = threading.Thread(target=note)
    thread.start()
    start = time.perf_counter()
    model.embed([long] * 4, 16000)
    end = time.perf_counter()
    stop.set()
    thread.join()
    # Not while samples are made ready, which holds the lock.
    within = [t for t in noted if start + 0.25 * (end - start) < t < end - 0.05 * (end - start)]
    assert end - start > 0.02 and len(within) >= 5, (end - start, len(within))


def test_ctrl_c_ends_work(model: revox.Model, tmp_path: Path) -> None:
    """Without it, this would take minutes."""
    long = write_wav(tmp_path / "long.wav", np.tile(SPEECH[0], 30), 16000)
    # In the background of a script, programs start with this signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        start = time.perf_counter()
        threading.Timer(1.0, _thread.interrupt_main).start()
        with pytest.raises(KeyboardInterrupt):
            model.embed([long] * 20_000)
        assert time.perf_counter() - start < 120
    finally:
        signal.signal(signal.SIGINT, before)


def child(queue: multiprocessing.Queue[bytes]) -> None:
    queue.put(revox.Model().embed(SPEECH, 16000).tobytes())


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_children_after_a_fork_work(model: revox.Model) -> None:
    """Threads do not live on in a child: it must not wait for them."""
    wanted = model.embed(SPEECH, 16000)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    try:
        assert queue.get(timeout=60) == wanted.tobytes()
    finally:
        process.terminate()
        process.join()
