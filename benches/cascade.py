"""Error rates and multiplications of cascades of two models: `revox score --cascade`.

    python benches/cascade.py --revox target/release/revox --data speechocean762/dev \\
        --models small-2bit.safetensors large.safetensors [--models ...] [--seeds 1 2 3]

Each seed parts the speakers of the data into halves. Both models are calibrated on the trials of
one half, and the band is chosen there. The other half is scored. Trials between the halves are left
out. With `--whole` there are no halves: the rates are those of the data that chose. The table has a
row for each model alone and for the cascade, and behind it how the cascade compares with the large
model.

Multiplications are those of the networks, whatever the bits of their weights: a packed model has as
many as the f32 model of its architecture. `anew` is the mean of a trial that embeds its test
recording, `kept` that of a list whose recordings are embedded once.

The data is a folder with wav.scp, utt2spk and trials.txt. Needs nothing beyond Python 3.10.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

COLUMNS = [
    "small",
    "large",
    "seed",
    "decides",
    "EER, %",
    "minDCF(0.01)",
    "GMAC anew",
    "GMAC kept",
    "of large",
    "unclear, %",
]


class Data:
    """The lists of a folder. Trials may name files or ids."""

    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        self.files = {}
        for line in self.lines("wav.scp"):
            name, file = line.split(maxsplit=1)
            self.files[name] = file.strip()
        self.speaker = dict(line.split() for line in self.lines("utt2spk"))
        ids = {file: name for name, file in self.files.items()}
        self.trials = []
        for line in self.lines("trials.txt"):
            label, *sides = line.split()
            self.trials.append((label, *(ids.get(side, side) for side in sides)))

    def lines(self, name):
        return [line for line in (self.folder / name).read_text().splitlines() if line.strip()]

    def halves(self, seed):
        """The trials within each half of the speakers; without a seed all trials twice."""
        if seed is None:
            return self.trials, self.trials
        speakers = sorted(set(self.speaker.values()))
        random.Random(seed).shuffle(speakers)
        half = set(speakers[: len(speakers) // 2])

        def within(trial, is_first):
            return all((self.speaker[side] in half) == is_first for side in trial[1:])

        return [[t for t in self.trials if within(t, first)] for first in (True, False)]

    def write(self, folder):
        """The list of recordings, with whole paths."""
        # A relative path is looked up beside the list, then one folder above.
        tops = [self.folder, self.folder.parent]
        place = lambda file: next((t / file for t in tops if (t / file).exists()), file)
        lines = [f"{name} {place(file)}\n" for name, file in self.files.items()]
        (folder / "wav.scp").write_text("".join(lines))


class Bench:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.data = Data(args.data)
        self.data.write(folder)
        self.embeddings = {}

    def revox(self, *words):
        """What the program prints, as JSON."""
        command = [self.args.revox, *map(str, words), "--quiet", "--json"]
        return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)

    def embedded(self, model):
        """The embeddings of all recordings, which are the same for every seed."""
        if model not in self.embeddings:
            path = self.folder / f"{len(self.embeddings)}.safetensors"
            self.revox("embed", model, "--wav-scp", self.folder / "wav.scp", "-o", path)
            self.embeddings[model] = path
        return self.embeddings[model]

    def calibrated(self, model, trials, name):
        """The model with a calibration on these trials."""
        scores, output = self.folder / "scores", self.folder / f"{name}.safetensors"
        self.revox("score", self.embedded(model), trials, "-o", scores)
        speakers = self.data.folder / "utt2spk"
        # The equal error rate is what is compared, so both kinds of errors weigh the same.
        words = ["--scores", scores, "--utt2spk", speakers, "--prior", 0.5, "-o", output]
        self.revox("calibrate", model, *words)
        return output

    def write_trials(self, name, trials):
        path = self.folder / name
        path.write_text("".join(" ".join(trial) + "\n" for trial in trials))
        return path

    def cascade(self, small, large, seed):
        """What the program reports of the second half."""
        dev, test = self.data.halves(seed)
        dev, test = self.write_trials("dev", dev), self.write_trials("test", test)
        models = [self.calibrated(small, dev, "small"), self.calibrated(large, dev, "large")]
        list_of_files = self.folder / "wav.scp"
        words = ["--cascade", ":".join(map(str, models)), "-o", self.folder / "merged"]
        words += ["--band-from", dev, "--band-list", list_of_files, "--loss", self.args.loss]
        return self.revox("score", list_of_files, test, *words, "--compare")

    def rows(self, small, large, seed):
        report = self.cascade(small, large, seed)
        whole = report["large"]["macs_per_trial"]
        for who in ["small", "large", "cascade"]:
            row = report[who]
            yield [
                Path(small).stem,
                Path(large).stem,
                seed or "",
                who,
                f"{100 * row['eer']:.3f}",
                f"{row['min_dcf']['0.01']:.4f}",
                f"{row['macs_per_trial'] / 1e9:.4f}",
                f"{row['macs_per_trial_kept'] / 1e9:.4f}",
                f"{row['macs_per_trial'] / whole:.3f}",
                f"{100 * report['share']:.2f}" if who == "cascade" else "",
            ]
        more = 100 * (report["cascade"]["eer"] - report["large"]["eer"])
        part = report["cascade"]["macs_per_trial"] / whole
        half = f"seed {seed}" if seed else "all trials"
        self.said.append(
            f"{Path(small).stem} before {Path(large).stem}, {half}: EER {more:+.3f} points "
            f"from the large model's, {part:.3f} of its multiplications, band {report['band']}"
        )

    def run(self):
        self.said = []
        print("| " + " | ".join(COLUMNS) + " |")
        print("|---" * len(COLUMNS) + "|")
        for small, large in self.args.models:
            for seed in [None] if self.args.whole else self.args.seeds:
                for row in self.rows(small, large, seed):
                    print("| " + " | ".join(map(str, row)) + " |", flush=True)
        print()
        print("\n".join(self.said))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--revox", required=True, help="the program")
    parser.add_argument("--data", required=True, help="wav.scp, utt2spk and trials.txt")
    parser.add_argument(
        "--models", nargs=2, action="append", required=True, metavar=("SMALL", "LARGE")
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--whole", action="store_true", help="choose and score on all trials")
    parser.add_argument("--loss", type=float, default=0.001, help="of EER, on the first half")
    args = parser.parse_args()
    args.revox = os.path.abspath(args.revox)
    try:
        with tempfile.TemporaryDirectory() as folder:
            Bench(args, Path(folder)).run()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(error.cmd[:2])} failed: {error.stdout.decode().strip()}")


if __name__ == "__main__":
    main()
