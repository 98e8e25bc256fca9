"""What PyTorch does of what revox does: training steps of a ResNet, and optimizer steps.

    gpu_torch.py steps [--batch 128] [--frames 200] [--steps 5] [--modes f32,tf32] resnet34 ...
    gpu_torch.py optimizers [--parameters 6630000,50300000] [--steps 21]

Prints figures as `revox bench --json` does. Modes: f32; tf32 (convolutions and matrix products);
bf16 and f16 (autocast, f16 with a scaled loss); checkpoint-MODE (torch.utils.checkpoint of each
block). Figures of optimizers are by "torch" (its fused or multi-tensor steps) and, where it can be
imported, by "bitsandbytes". What fails or does not fit is named on stderr; after SIGTERM the
figures so far are printed.
"""

import argparse
import json
import signal
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

BLOCKS = {
    10: [1, 1, 1, 1],
    18: [2, 2, 2, 2],
    34: [3, 4, 6, 3],
    50: [3, 4, 6, 3],
    101: [3, 4, 23, 3],
    152: [3, 8, 36, 3],
    221: [6, 16, 48, 3],
    293: [10, 20, 64, 3],
}
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
HALVES = {"bf16": torch.bfloat16, "f16": torch.float16}


def conv(inputs, outputs, kernel, stride=1):
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs))


class Block(nn.Module):
    """Basic for fewer than 50 layers, a bottleneck for more."""

    def __init__(self, inputs, width, stride, bottleneck):
        super().__init__()
        outputs = 4 * width if bottleneck else width
        if bottleneck:
            middle = conv(width, width, 3, stride)
            layers = [conv(inputs, width, 1), middle, conv(width, outputs, 1)]
        else:
            layers = [conv(inputs, width, 3, stride), conv(width, width, 3)]
        self.layers = nn.ModuleList(layers)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else conv(inputs, outputs, 1, stride)

    def forward(self, x):
        y = x
        for layer in self.layers[:-1]:
            y = F.relu(layer(y))
        return F.relu(self.layers[-1](y) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, depth, recompute, mels=80, embedding=256):
        super().__init__()
        bottleneck = depth >= 50
        self.recompute = recompute
        self.stem = nn.Sequential(conv(1, 32, 3), nn.ReLU())
        blocks, inputs = [], 32
        for stage, count in enumerate(BLOCKS[depth]):
            for b in range(count):
                width = 32 << stage
                blocks.append(Block(inputs, width, 2 if stage and not b else 1, bottleneck))
                inputs = 4 * width if bottleneck else width
        self.blocks = nn.ModuleList(blocks)
        self.embedding = nn.Linear(2 * inputs * (mels // 8), embedding)

    def forward(self, x):
        y = self.stem(x.transpose(1, 2).unsqueeze(1))
        for block in self.blocks:
            y = checkpoint(block, y, use_reentrant=False) if self.recompute else block(y)
        y = y.float().flatten(1, 2)
        return self.embedding(torch.cat([y.mean(-1), torch.sqrt(y.var(-1) + 1e-7)], 1))


def sync():
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def seconds_of(step, steps):
    """Two steps to warm up, then the mean of `steps` in a row, as a training makes them."""
    step(), step()
    sync()
    begun = time.perf_counter()
    for _ in range(steps):
        step()
    sync()
    return (time.perf_counter() - begun) / steps


def training_step(depth, args, precision, recompute):
    """SGD with momentum and a head with an additive angular margin. The loss is not read."""
    torch.manual_seed(1)
    network = ResNet(depth, recompute).to(DEVICE).train()
    head = nn.Parameter(torch.randn(args.speakers, 256, device=DEVICE))
    weights = [*network.parameters(), head]
    optimizer = torch.optim.SGD(weights, 0.001, 0.9, nesterov=True, weight_decay=1e-4)
    scaler = torch.amp.GradScaler(DEVICE.type, enabled=precision == "f16")
    batch = torch.randn(args.batch, args.frames, 80)
    labels = torch.arange(args.batch) % args.speakers
    half = HALVES.get(precision)

    def step():
        x, y = batch.to(DEVICE), labels.to(DEVICE)
        with torch.autocast(DEVICE.type, half or torch.bfloat16, enabled=half is not None):
            embeddings = network(x)
        cosine = F.linear(F.normalize(embeddings.float()), F.normalize(head))
        own = cosine.gather(1, y[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)
        target = torch.cos(torch.acos(own) + 0.2)
        loss = F.cross_entropy(32 * cosine.scatter(1, y[:, None], target), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return step


def measure_steps(args, add):
    for name in args.networks:
        depth = int(name.removeprefix("resnet"))
        for mode in args.modes.split(","):
            recompute = mode.startswith("checkpoint-")
            precision = mode.removeprefix("checkpoint-")
            if precision != "f32" and DEVICE.type != "cuda":
                print(f"{name}, {mode}: not on a CPU", file=sys.stderr)
                continue
            tf32 = precision == "tf32"
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
            label = f"train/{name}/sgd/{args.batch}x{args.frames}"
            label += "" if precision == "f32" else f"/{precision}"
            by = "torch-checkpoint" if recompute else "torch"
            if DEVICE.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            try:
                seconds = seconds_of(training_step(depth, args, precision, recompute), args.steps)
            except torch.cuda.OutOfMemoryError as error:
                print(f"{label}, {by}: {error}", file=sys.stderr)
                continue
            add(label, seconds, "s", by)
            add(f"{label}/rate", args.batch / seconds, "utterances/s", by)
            if DEVICE.type == "cuda":
                free, total = torch.cuda.mem_get_info()
                add(f"{label}/in-use", torch.cuda.max_memory_allocated(), "bytes", by)
                add(f"{label}/reserved", torch.cuda.max_memory_reserved(), "bytes", by)
                add(f"{label}/driver", total - free, "bytes", by)


def optimizers():
    """Name, library, bytes of state a value, and the optimizer of a list of parameters."""
    sgd = {"lr": 1e-6, "momentum": 0.9}
    yield "sgd", "torch", 4, lambda p: torch.optim.SGD(p, **sgd)
    fused = {"fused": True} if DEVICE.type == "cuda" else {}
    yield "adamw", "torch", 8, lambda p: torch.optim.AdamW(p, 1e-6, **fused)
    try:
        import bitsandbytes as bnb
    except Exception as error:
        print(f"bitsandbytes cannot be imported: {error}", file=sys.stderr)
        return
    # One f32 for each 256 values and state.
    yield "sgd8bit", "bitsandbytes", 1 + 1 / 64, lambda p: bnb.optim.SGD8bit(p, **sgd)
    yield "adamw8bit", "bitsandbytes", 2 + 1 / 32, lambda p: bnb.optim.AdamW8bit(p, 1e-6)


def measure_optimizers(args, add):
    for count in map(int, args.parameters.split(",")):
        values = torch.randn(count, device=DEVICE)
        took = seconds_of(lambda: values.add_(1.0), args.steps)
        add(f"optim/pass/{count}", 8 * count / took / 1e9, "GB/s", "torch")
        other = torch.empty_like(values)
        took = seconds_of(lambda: other.copy_(values), args.steps)
        add(f"optim/copy/{count}", 8 * count / took / 1e9, "GB/s", "torch")
        del values, other
        for name, by, state, build in optimizers():
            parameter = nn.Parameter(torch.randn(count, device=DEVICE) * 0.02)
            parameter.grad = torch.randn(count, device=DEVICE) * 0.02
            try:
                took = seconds_of(build([parameter]).step, args.steps)
            except Exception as error:
                print(f"{name} of {by}, {count} values: {error}", file=sys.stderr)
                continue
            traffic = (12 + 2 * state) * count / took / 1e9
            add(f"optim/{name}/{count}", took / count * 1e9, "ns/parameter", by)
            add(f"optim/{name}/state/{count}", state, "bytes/parameter", by)
            add(f"optim/{name}/traffic/{count}", traffic, "GB/s", by)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_subparsers(required=True)
    steps = what.add_parser("steps")
    steps.add_argument("--batch", type=int, default=128)
    steps.add_argument("--frames", type=int, default=200)
    steps.add_argument("--steps", type=int, default=5)
    steps.add_argument("--speakers", type=int, default=5994)
    steps.add_argument("--modes", default="f32,tf32")
    steps.add_argument("networks", nargs="+")
    steps.set_defaults(run=measure_steps)
    optim = what.add_parser("optimizers")
    optim.add_argument("--parameters", default="6630000,50300000")
    optim.add_argument("--steps", type=int, default=21)
    optim.set_defaults(run=measure_optimizers)
    args = parser.parse_args()

    figures = []

    def add(name, value, unit, backend):
        threads = torch.get_num_threads()
        figures.append(dict(name=name, value=value, unit=unit, backend=backend, threads=threads))

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        args.run(args, add)
    finally:
        print(json.dumps(figures))


main()
