"""The same work as the Rust benches, done by torch, torchaudio and ONNX Runtime on one thread.

    pip install torch==2.8.0 torchaudio==2.8.0 onnxruntime bitsandbytes
    python benches/peers.py [optimizers]

Prints the median wall-clock seconds of each, which on one thread are CPU seconds. Run it right before or after
`RAYON_NUM_THREADS=1 cargo bench` on the same idle machine, and compare.
"""

import os
import statistics
import sys
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)


def median(what, runs, work):
    work()
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    print(f"{what:40} {statistics.median(times):.4f} s")
    return statistics.median(times)


class Block(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != width:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet34(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        blocks, inputs = [], 32
        for stage, count in enumerate([3, 4, 6, 3]):
            for b in range(count):
                blocks.append(Block(inputs, 32 << stage, 2 if stage and not b else 1))
                inputs = 32 << stage
        self.body = nn.Sequential(*blocks)
        self.linear = nn.Linear(5120, 256)

    def forward(self, x):
        x = self.body(self.stem(x.permute(0, 2, 1).unsqueeze(1))).flatten(1, 2)
        return self.linear(torch.cat([x.mean(2), (x.var(2) + 1e-7).sqrt()], 1))


def fbank(seconds):
    import torchaudio.compliance.kaldi as kaldi

    wave = torch.randn(1, 16000 * seconds) * 3000
    took = median(
        f"fbank of {seconds} s (torchaudio)",
        20,
        lambda: kaldi.fbank(wave, num_mel_bins=80, dither=0.0, window_type="hamming"),
    )
    print(f"{'':40} {seconds / took:.0f} x real time")


def optimizers():
    """Steps on one tensor, as `revox bench optim` makes them: ns a parameter."""
    try:
        import bitsandbytes
    except Exception as error:
        bitsandbytes = None
        print(f"bitsandbytes: not measured: {error}")
    for count in [6_630_000, 50_300_000]:
        makers = {
            "SGD nesterov (torch)": lambda p: torch.optim.SGD(p, 1e-6, 0.9, nesterov=True, weight_decay=1e-4),
            "AdamW (torch)": lambda p: torch.optim.AdamW(p, 1e-6, weight_decay=0.05),
            "AdamW fused (torch)": lambda p: torch.optim.AdamW(p, 1e-6, weight_decay=0.05, fused=True),
        }
        if bitsandbytes:
            makers["SGD8bit (bitsandbytes)"] = lambda p: bitsandbytes.optim.SGD8bit(p, 1e-6, 0.9, weight_decay=1e-4)
            makers["AdamW8bit (bitsandbytes)"] = lambda p: bitsandbytes.optim.AdamW8bit(p, 1e-6, weight_decay=0.05)
        for name, make in makers.items():
            parameter = nn.Parameter(torch.randn(count) * 0.02)
            parameter.grad = torch.randn(count) * 0.02
            try:
                took = median(f"{name}, {count}", 11, make([parameter]).step)
                print(f"{'':40} {1e9 * took / count:.2f} ns a parameter")
            except Exception as error:
                print(f"{name}: not measured: {error}")


def main():
    optimizers()
    fbank(3)
    fbank(60)
    network = ResNet34()
    assert sum(p.numel() for p in network.parameters()) == 6_634_336
    network.eval()
    x = torch.randn(1, 298, 80)
    with torch.no_grad():
        median("ResNet34 embedding of 3 s (torch)", 20, lambda: network(x))
    try:
        import onnxruntime

        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "resnet34.onnx")
            torch.onnx.export(network, (x,), path, dynamo=False)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            session = onnxruntime.InferenceSession(path, options)
            name = session.get_inputs()[0].name
            median("ResNet34 embedding of 3 s (ONNX Runtime)", 20, lambda: session.run(None, {name: x.numpy()}))
    except Exception as error:
        print(f"ONNX Runtime: not measured: {error}")
    network.train()
    head = nn.Parameter(torch.randn(1000, 256))
    optimizer = torch.optim.SGD([*network.parameters(), head], 0.01, 0.9, nesterov=True, weight_decay=1e-4)
    batch, labels = torch.randn(8, 200, 80), torch.arange(8)

    def step():
        cosine = F.linear(F.normalize(network(batch)), F.normalize(head))
        target = torch.cos(torch.acos(cosine.gather(1, labels[:, None])) + 0.2)
        loss = F.cross_entropy(32 * cosine.scatter(1, labels[:, None], target), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    median("ResNet34 training step, 8 x 200 (torch)", 5, step)


if sys.argv[1:] == ["optimizers"]:
    optimizers()
else:
    main()
