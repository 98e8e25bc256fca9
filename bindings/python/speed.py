"""CPU seconds of embedding 1,000 files, by the program and by the package.

    python speed.py PROGRAM [FILES]

Both are run three times, in turn; the least counts. The start of both is within: the program reads
its model, and Python is imported.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = """
import sys, revox
ids, embeddings = revox.Model(sys.argv[1]).extract_embedding_list(sys.argv[2])
assert len(ids) == embeddings.shape[0]
"""

SHIPPED = Path(__file__).parents[2] / "models/default/model.safetensors"
LIMIT = 1.05


def seconds(*command: object) -> float:
    """CPU seconds, of user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    program = os.path.abspath(sys.argv[1])
    files = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        one = ["--speakers", 2, "--dev-speakers", 25, "--utterances", -(-files // 25)]
        seconds(program, "synth", corpus, *one, "--quiet")
        listed = (corpus / "dev/wav.scp").read_text().splitlines(keepends=True)[:files]
        scp = corpus / "dev/some.scp"
        scp.write_text("".join(listed))
        output = Path(folder) / "e.safetensors"
        both = {
            "program": [program, "embed", SHIPPED, "--wav-scp", scp, "-o", output, "--quiet"],
            "package": [sys.executable, "-W", "ignore", "-c", PACKAGE, SHIPPED, scp],
        }
        least = {name: float("inf") for name in both}
        for _ in range(3):
            for name, command in both.items():
                least[name] = min(least[name], seconds(*command))
    ratio = least["package"] / least["program"]
    shown = ", ".join(f"{name} {value:.2f} s" for name, value in least.items())
    print(f"{len(listed)} files: {shown} of CPU; ratio {ratio:.3f}, {LIMIT} is allowed")
    sys.exit(ratio > LIMIT)


if __name__ == "__main__":
    main()
