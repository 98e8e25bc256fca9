"""The same work as the Rust benches, done by torch, torchaudio and ONNX Runtime on one thread.

    pip install torch==2.8.0 torchaudio==2.8.0 numpy onnxruntime bitsandbytes
    python benches/peers.py [optimizers | networks | parts | steps]
    python benches/peers.py infer target/release/revox

`networks`, `parts` and `steps` need torch alone: one embedding of 3 s of every network of
`peers_networks.py`, what stands between their convolutions (`cargo bench --bench parts`), and
training steps of some of them. `infer` runs models of revox in both revox
and ONNX Runtime, and needs no torch (`peers_infer.py`). Without a word: optimizers, features and
ResNet34.

Prints the median wall-clock seconds of each, which on one thread are CPU seconds. Run it right
before or after `RAYON_NUM_THREADS=1 cargo bench` on the same idle machine, and compare.
"""

import os
import statistics
import sys
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = "1"

# Before torch, which it does without.
if sys.argv[1:2] == ["infer"]:
    import peers_infer

    sys.exit(peers_infer.main(sys.argv[2:]))

import torch
from torch import nn
from torch.nn import functional as F

from peers_networks import NETWORKS, ChannelNorm, Gate, Mix, build, simam

torch.set_num_threads(1)


def median(what, runs, work):
    work()
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    print(f"{what:48} {statistics.median(times):.4f} s")
    return statistics.median(times)


def fbank(seconds):
    import torchaudio.compliance.kaldi as kaldi

    wave = torch.randn(1, 16000 * seconds) * 3000
    took = median(
        f"fbank of {seconds} s (torchaudio)",
        20,
        lambda: kaldi.fbank(wave, num_mel_bins=80, dither=0.0, window_type="hamming"),
    )
    print(f"{'':48} {seconds / took:.0f} x real time")


def optimizers():
    """Steps on one tensor, as `revox bench optim` makes them: ns a parameter."""
    try:
        import bitsandbytes
    except Exception as error:
        bitsandbytes = None
        print(f"bitsandbytes: not measured: {error}")
    for count in [6_630_000, 50_300_000]:
        sgd, adamw = torch.optim.SGD, torch.optim.AdamW
        makers = {
            "SGD nesterov (torch)": lambda p: sgd(p, 1e-6, 0.9, nesterov=True, weight_decay=1e-4),
            "AdamW (torch)": lambda p: adamw(p, 1e-6, weight_decay=0.05),
            "AdamW fused (torch)": lambda p: adamw(p, 1e-6, weight_decay=0.05, fused=True),
        }
        if bitsandbytes:
            sgd8, adamw8 = bitsandbytes.optim.SGD8bit, bitsandbytes.optim.AdamW8bit
            makers |= {
                "SGD8bit (bitsandbytes)": lambda p: sgd8(p, 1e-6, 0.9, weight_decay=1e-4),
                "AdamW8bit (bitsandbytes)": lambda p: adamw8(p, 1e-6, weight_decay=0.05),
            }
        for name, make in makers.items():
            parameter = nn.Parameter(torch.randn(count) * 0.02)
            parameter.grad = torch.randn(count) * 0.02
            try:
                took = median(f"{name}, {count}", 11, make([parameter]).step)
                print(f"{'':48} {1e9 * took / count:.2f} ns a parameter")
            except Exception as error:
                print(f"{name}: not measured: {error}")


def embedding(name):
    """One embedding of 3 s; the network and its input."""
    network = build(name)
    x = torch.randn(1, 298, NETWORKS[name][1])
    with torch.no_grad():
        median(f"{name} embedding of 3 s (torch)", 20, lambda: network(x))
    return network, x


def networks():
    for name in NETWORKS:
        embedding(name)


def training_step(name):
    """A step of 8 x 200 frames with AAM softmax over 1,000 speakers."""
    _, mels, values, _ = NETWORKS[name]
    network = build(name).train()
    head = nn.Parameter(torch.randn(1000, values))
    parameters = [*network.parameters(), head]
    optimizer = torch.optim.SGD(parameters, 0.01, 0.9, nesterov=True, weight_decay=1e-4)
    batch, labels = torch.randn(8, 200, mels), torch.arange(8)

    def step():
        cosine = F.linear(F.normalize(network(batch)), F.normalize(head))
        target = torch.cos(torch.acos(cosine.gather(1, labels[:, None])) + 0.2)
        loss = F.cross_entropy(32 * cosine.scatter(1, labels[:, None], target), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    median(f"{name} training step, 8 x 200 (torch)", 5, step)


def part(name, module, *shape):
    """One pass there and back, with the gradients of the input and of what the module learns."""

    x = torch.randn(*shape, requires_grad=True)

    def both():
        x.grad = None
        module(x).sum().backward()

    median(f"{name} of {'x'.join(map(str, shape))}, both ways (torch)", 9, both)


class Attention(nn.Module):
    def forward(self, x):
        x = x.transpose(1, 2).unflatten(2, (4, -1)).transpose(1, 2)
        weights = ((x * x.shape[3] ** -0.5) @ x.transpose(2, 3)).softmax(3)
        return (weights @ x).transpose(1, 2).flatten(2).transpose(1, 2)


class Five(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.mix = Mix(5, channels)

    def forward(self, x):
        return self.mix([x] * 5)


class SimAM(nn.Module):
    def forward(self, x):
        return simam(x)


def parts():
    part("layer norm", ChannelNorm(64), 8, 64, 18, 200)
    part("attention", Attention(), 8, 192, 200)
    part("mix", Five(1152), 8, 1152, 200)
    part("squeeze and excitation", Gate(512), 8, 512, 200)
    part("SimAM", SimAM(), 8, 128, 40, 100)
    part("GELU", nn.GELU(), 8, 64, 18, 200)


def steps():
    for name in ["resnet34", "ecapa-tdnn-512", "campplus", "redimnet2-b2"]:
        training_step(name)


def main():
    optimizers()
    fbank(3)
    fbank(60)
    network, x = embedding("resnet34")
    try:
        import onnxruntime

        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "resnet34.onnx")
            torch.onnx.export(network, (x,), path, dynamo=False)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            session = onnxruntime.InferenceSession(path, options)
            inputs = {session.get_inputs()[0].name: x.numpy()}
            what = "resnet34 embedding of 3 s (ONNX Runtime)"
            median(what, 20, lambda: session.run(None, inputs))
    except Exception as error:
        print(f"ONNX Runtime: not measured: {error}")
    training_step("resnet34")


WHAT = {"optimizers": optimizers, "networks": networks, "parts": parts, "steps": steps}
match sys.argv[1:]:
    case []:
        main()
    case [what] if what in WHAT:
        WHAT[what]()
    case _:
        sys.exit(f"peers.py [{' | '.join(WHAT)} | infer REVOX]")
