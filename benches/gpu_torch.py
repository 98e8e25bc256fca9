"""A ResNet's training step in PyTorch: plain autograd, SGD with momentum, a head with an additive angular margin.

    python3 benches/gpu_torch.py [--batch 128] [--frames 200] [--steps 5] resnet34 resnet101 resnet293

Prints figures as `revox bench train --json` does, by "torch" in f32 and by "torch-tf32" with TF32 convolutions and matrix products. Names that are no ordinary ResNet are passed over.
"""

import argparse
import json
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

BLOCKS = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3], 221: [6, 16, 48, 3], 293: [10, 20, 64, 3]}


class Block(nn.Module):
    """Basic for 18 and 34 layers, a bottleneck for more."""

    def __init__(self, inputs, width, stride, bottleneck):
        super().__init__()
        conv = lambda i, o, k, s=1: nn.Sequential(nn.Conv2d(i, o, k, s, k // 2, bias=False), nn.BatchNorm2d(o))
        outputs = 4 * width if bottleneck else width
        if bottleneck:
            self.layers = nn.ModuleList([conv(inputs, width, 1), conv(width, width, 3, stride), conv(width, outputs, 1)])
        else:
            self.layers = nn.ModuleList([conv(inputs, width, 3, stride), conv(width, width, 3)])
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else conv(inputs, outputs, 1, stride)

    def forward(self, x):
        y = x
        for layer in self.layers[:-1]:
            y = F.relu(layer(y))
        return F.relu(self.layers[-1](y) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, depth, mels=80, embedding=256):
        super().__init__()
        bottleneck = depth >= 50
        self.stem = nn.Sequential(nn.Conv2d(1, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        blocks, inputs = [], 32
        for stage, count in enumerate(BLOCKS[depth]):
            for b in range(count):
                width = 32 << stage
                blocks.append(Block(inputs, width, 2 if stage and not b else 1, bottleneck))
                inputs = 4 * width if bottleneck else width
        self.blocks = nn.Sequential(*blocks)
        self.embedding = nn.Linear(2 * inputs * (mels // 8), embedding)

    def forward(self, x):
        y = self.blocks(self.stem(x.transpose(1, 2).unsqueeze(1))).flatten(1, 2)
        return self.embedding(torch.cat([y.mean(-1), torch.sqrt(y.var(-1) + 1e-7)], 1))


def measure(depth, args, device):
    torch.manual_seed(1)
    network = ResNet(depth).to(device).train()
    head = nn.Parameter(torch.randn(args.speakers, 256, device=device))
    optimizer = torch.optim.SGD([*network.parameters(), head], 0.001, 0.9, nesterov=True, weight_decay=1e-4)
    batch, labels = torch.randn(args.batch, args.frames, 80), torch.arange(args.batch) % args.speakers

    def step():
        y = labels.to(device)
        cosine = F.linear(F.normalize(network(batch.to(device))), F.normalize(head))
        target = torch.cos(torch.acos(cosine.gather(1, y[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)) + 0.2)
        loss = F.cross_entropy(32 * cosine.scatter(1, y[:, None], target), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    step(), step()
    times = []
    for _ in range(args.steps):
        begun = time.perf_counter()
        step()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--speakers", type=int, default=5994)
    parser.add_argument("networks", nargs="+")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    figures = []
    for name in args.networks:
        depth = name.removeprefix("resnet")
        if not depth.isdigit() or int(depth) not in BLOCKS:
            continue
        for backend, tf32 in [("torch", False), ("torch-tf32", True)]:
            if tf32 and device.type != "cuda":
                continue
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
            label = f"train/{name}/sgd/{args.batch}x{args.frames}"
            try:
                if device.type == "cuda":
                    torch.cuda.empty_cache()
                    torch.cuda.reset_peak_memory_stats()
                seconds = measure(int(depth), args, device)
            except torch.cuda.OutOfMemoryError as error:
                print(f"{label}: {error}", file=sys.stderr)
                continue
            add = lambda what, value, unit: figures.append(
                {"name": label + what, "value": value, "unit": unit, "backend": backend, "threads": torch.get_num_threads()}
            )
            add("", seconds, "s")
            add("/rate", args.batch / seconds, "utterances/s")
            if device.type == "cuda":
                add("/in-use", torch.cuda.max_memory_allocated(), "bytes")
                add("/reserved", torch.cuda.max_memory_reserved(), "bytes")
    print(json.dumps(figures))


main()
