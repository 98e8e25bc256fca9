"""The networks of `cargo bench --bench network` in torch, for `peers.py`.

Inputs are [batch, frames, mels], outputs [batch, values]. The operations are those of WeSpeaker's
models, so that their time is the time that its users see; the code is our own. Inside, images are
[batch, channels, mels, frames] and sequences [batch, channels, frames].
"""

import math

import torch
from torch import nn
from torch.nn import functional as F


def statistics(x):
    """Mean and standard deviation over frames (TSTP)."""
    x = x.flatten(1, -2)
    return torch.cat([x.mean(2), (x.var(2) + 1e-7).sqrt()], 1)


def weighted_statistics(x, weights, least):
    """Mean and standard deviation under weights that sum to 1 over frames."""
    mean = (weights * x).sum(2)
    variance = (weights * x**2).sum(2) - mean**2
    return torch.cat([mean, variance.clamp(min=least).sqrt()], 1)


class AttentivePooling(nn.Module):
    """ASTP. With context, the attention also sees every channel's mean and deviation."""

    def __init__(self, channels, context=False):
        super().__init__()
        self.context = context
        self.linear1 = nn.Conv1d(channels * (3 if context else 1), 128, 1)
        self.linear2 = nn.Conv1d(128, channels, 1)

    def forward(self, x):
        seen = x
        if self.context:
            mean = x.mean(2, keepdim=True).expand_as(x)
            deviation = (x.var(2, keepdim=True) + 1e-7).sqrt().expand_as(x)
            seen = torch.cat([x, mean, deviation], 1)
        scores = self.linear2(torch.tanh(self.linear1(seen)))
        return weighted_statistics(x, scores.softmax(2), 1e-7)


def stem(channels):
    conv = nn.Conv2d(1, channels, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())


def shortcut(inputs, outputs, stride):
    """A 1x1 convolution, or nothing where shapes stay."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def image(features):
    return features.transpose(1, 2).unsqueeze(1)


class Block(nn.Module):
    """ResNet's basic block. `gate` changes what the convolutions computed."""

    def __init__(self, inputs, width, stride, gate=None):
        super().__init__()
        self.gate = gate
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = shortcut(inputs, width, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.gate:
            y = self.gate(y)
        return F.relu(y + self.shortcut(x))


def stages34(width, gate=None):
    """The four stages of ResNet34."""
    blocks, inputs = [], width
    for stage, count in enumerate([3, 4, 6, 3]):
        for b in range(count):
            blocks.append(Block(inputs, width << stage, 2 if stage and not b else 1, gate))
            inputs = width << stage
    return nn.Sequential(*blocks)


class ResNet34(nn.Module):
    def __init__(self, mels=80, values=256):
        super().__init__()
        self.stem = stem(32)
        self.body = stages34(32)
        self.linear = nn.Linear(2 * 256 * math.ceil(mels / 8), values)

    def forward(self, x):
        return self.linear(statistics(self.body(self.stem(image(x)))))


def simam(x):
    """SimAM's gate: values far from their channel's mean count more."""
    squares = (x - x.mean([2, 3], keepdim=True)).pow(2)
    variance = squares.sum([2, 3], keepdim=True) / (x.shape[2] * x.shape[3] - 1)
    return x * torch.sigmoid(squares / (4 * (variance + 1e-4)) + 0.5)


class SimAMResNet34(nn.Module):
    def __init__(self, mels, values):
        super().__init__()
        self.stem = stem(64)
        self.body = stages34(64, simam)
        channels = 512 * math.ceil(mels / 8)
        self.attention = nn.Sequential(
            nn.Conv1d(channels, 128, 1),
            nn.ReLU(),
            nn.BatchNorm1d(128),
            nn.Conv1d(128, channels, 1),
            nn.Softmax(2),
        )
        self.linear = nn.Linear(2 * channels, values)

    def forward(self, x):
        x = self.body(self.stem(image(x))).flatten(1, 2)
        return self.linear(weighted_statistics(x, self.attention(x), 1e-5))


def clip(x):
    return F.hardtanh(x, 0.0, 20.0, inplace=True)


class Fusion(nn.Module):
    """ERes2Net's attentive sum of two images."""

    def __init__(self, channels):
        super().__init__()
        inner = channels // 4
        self.attention = nn.Sequential(
            nn.Conv2d(2 * channels, inner, 1),
            nn.BatchNorm2d(inner),
            nn.SiLU(inplace=True),
            nn.Conv2d(inner, channels, 1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x, y):
        gate = 1 + torch.tanh(self.attention(torch.cat([x, y], 1)))
        return x * gate + y * (2 - gate)


class Res2Block(nn.Module):
    """ERes2Net's block: two halves of the channels, the first going into the second."""

    def __init__(self, inputs, width, stride, fused):
        super().__init__()
        half = width // 2
        self.conv1 = nn.Conv2d(inputs, width, 1, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.first = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(half)
        self.second = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(half)
        self.fusion = Fusion(half) if fused else None
        self.conv3 = nn.Conv2d(width, 2 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(2 * width)
        self.shortcut = shortcut(inputs, 2 * width, stride)

    def forward(self, x):
        one, two = clip(self.bn1(self.conv1(x))).chunk(2, 1)
        one = clip(self.first_norm(self.first(one)))
        two = self.fusion(one, two) if self.fusion else one + two
        two = clip(self.second_norm(self.second(two)))
        y = self.bn3(self.conv3(torch.cat([one, two], 1)))
        y += self.shortcut(x)
        return clip(y)


class ERes2Net34(nn.Module):
    def __init__(self, mels, values):
        super().__init__()
        self.stem = stem(32)
        self.stages, inputs = nn.ModuleList(), 32
        for stage, count in enumerate([3, 4, 6, 3]):
            blocks, width = [], 32 << stage
            for b in range(count):
                blocks.append(Res2Block(inputs, width, 2 if stage and not b else 1, stage >= 2))
                inputs = 2 * width
            self.stages.append(nn.Sequential(*blocks))
        widths = [64, 128, 256]
        self.down = nn.ModuleList(nn.Conv2d(w, 2 * w, 3, 2, 1, bias=False) for w in widths)
        self.fusions = nn.ModuleList(Fusion(2 * w) for w in widths)
        self.linear = nn.Linear(2 * 512 * math.ceil(mels / 8), values)

    def forward(self, x):
        x = self.stages[0](self.stem(image(x)))
        fused = x
        for stage, down, fusion in zip(self.stages[1:], self.down, self.fusions):
            x = stage(x)
            fused = fusion(x, down(fused))
        return self.linear(statistics(fused))


class ConvReluNorm(nn.Sequential):
    def __init__(self, inputs, outputs, kernel=1, dilation=1, padded=True, affine=True):
        padding = dilation * (kernel // 2) if padded else 0
        super().__init__(
            nn.Conv1d(inputs, outputs, kernel, dilation=dilation, padding=padding),
            nn.ReLU(),
            nn.BatchNorm1d(outputs, affine=affine),
        )


class TDNN(nn.Module):
    """The x-vector network."""

    def __init__(self, mels, values):
        super().__init__()
        shapes = [(mels, 512, 5, 1), (512, 512, 3, 2), (512, 512, 3, 3), (512, 512, 1, 1)]
        shapes.append((512, 1500, 1, 1))
        frames = (ConvReluNorm(*shape, padded=False, affine=False) for shape in shapes)
        self.frames = nn.Sequential(*frames)
        self.linear = nn.Linear(3000, values)
        self.norm = nn.BatchNorm1d(values, affine=False)
        self.linear2 = nn.Linear(values, values)

    def forward(self, x):
        x = self.linear(statistics(self.frames(x.transpose(1, 2))))
        return self.linear2(self.norm(F.relu(x)))


class Res2Layer(nn.Module):
    """ECAPA's middle layer: each eighth of the channels goes into the next, the last stays."""

    def __init__(self, channels, dilation):
        super().__init__()
        self.width = width = channels // 8
        convs = (nn.Conv1d(width, width, 3, 1, dilation, dilation) for _ in range(7))
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(7))

    def forward(self, x):
        parts = x.split(self.width, 1)
        y, outputs = None, []
        for part, conv, norm in zip(parts, self.convs, self.norms):
            y = norm(F.relu(conv(part if y is None else y + part)))
            outputs.append(y)
        return torch.cat([*outputs, parts[7]], 1)


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels):
        super().__init__()
        self.linear1 = nn.Linear(channels, 128)
        self.linear2 = nn.Linear(128, channels)

    def forward(self, x):
        gate = torch.sigmoid(self.linear2(F.relu(self.linear1(x.mean(2)))))
        return x * gate.unsqueeze(2)


class EcapaBlock(nn.Module):
    def __init__(self, channels, dilation):
        super().__init__()
        self.layers = nn.Sequential(
            ConvReluNorm(channels, channels),
            Res2Layer(channels, dilation),
            ConvReluNorm(channels, channels),
            Gate(channels),
        )

    def forward(self, x):
        return x + self.layers(x)


class EcapaTDNN(nn.Module):
    def __init__(self, mels, values, channels=512, pooled=1536):
        super().__init__()
        self.first = ConvReluNorm(mels, channels, 5)
        self.blocks = nn.ModuleList(EcapaBlock(channels, dilation) for dilation in (2, 3, 4))
        self.conv = nn.Conv1d(3 * channels, pooled, 1)
        self.pool = AttentivePooling(pooled)
        self.norm = nn.BatchNorm1d(2 * pooled)
        self.linear = nn.Linear(2 * pooled, values)

    def forward(self, x):
        x = self.first(x.transpose(1, 2))
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        x = F.relu(self.conv(torch.cat(outputs, 1)))
        return self.linear(self.norm(self.pool(x)))


def norm_relu(channels):
    return nn.Sequential(nn.BatchNorm1d(channels), nn.ReLU(inplace=True))


class DenseLayer(nn.Module):
    """CAM++'s dense layer: a convolution, masked by the context of its input."""

    def __init__(self, inputs, growth, dilation):
        super().__init__()
        inner = 4 * growth
        self.inner = nn.Sequential(
            norm_relu(inputs), nn.Conv1d(inputs, inner, 1, bias=False), norm_relu(inner)
        )
        self.local = nn.Conv1d(inner, growth, 3, 1, dilation, dilation, bias=False)
        self.mask = nn.Sequential(
            nn.Conv1d(inner, inner // 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv1d(inner // 2, growth, 1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        y = self.inner(x)
        segments = F.avg_pool1d(y, 100, 100, ceil_mode=True).unsqueeze(3)
        segments = segments.expand(-1, -1, -1, 100).flatten(2)[..., : y.shape[2]]
        context = y.mean(2, keepdim=True) + segments
        return torch.cat([x, self.local(y) * self.mask(context)], 1)


class CAMPlusPlus(nn.Module):
    def __init__(self, mels, values, channels=128, growth=32):
        super().__init__()
        blocks = (Block(32, 32, stride) for stride in [(2, 1), 1, (2, 1), 1])
        self.head = nn.Sequential(
            stem(32),
            *blocks,
            nn.Conv2d(32, 32, 3, (2, 1), 1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
        )
        layers = [nn.Conv1d(32 * (mels // 8), channels, 5, 2, 2, bias=False), norm_relu(channels)]
        for count, dilation in [(12, 1), (24, 2), (16, 2)]:
            for _ in range(count):
                layers.append(DenseLayer(channels, growth, dilation))
                channels += growth
            layers += [norm_relu(channels), nn.Conv1d(channels, channels // 2, 1, bias=False)]
            channels //= 2
        self.body = nn.Sequential(*layers, norm_relu(channels))
        self.linear = nn.Linear(2 * channels, values, bias=False)
        self.norm = nn.BatchNorm1d(values, affine=False)

    def forward(self, x):
        x = self.head(image(x)).flatten(1, 2)
        return self.norm(self.linear(statistics(self.body(x))))


class ChannelNorm(nn.Module):
    """LayerNorm over axis 1."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        shape = [-1] + [1] * (x.ndim - 2)
        centred = x - x.mean(1, keepdim=True)
        x = centred / torch.sqrt(centred.pow(2).mean(1, keepdim=True) + 1e-6)
        return self.weight.view(shape) * x + self.bias.view(shape)


class Mix(nn.Module):
    """ReDimNet's sum of earlier outputs under softmax weights."""

    def __init__(self, inputs, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, inputs, channels, 1))

    def forward(self, outputs):
        return (self.weight.softmax(1) * torch.stack(outputs, 1)).sum(1)


class ConvNext(nn.Module):
    def __init__(self, conv, norm, channels, kernel, groups):
        super().__init__()
        self.layers = nn.Sequential(
            conv(channels, channels, kernel, padding="same", groups=groups),
            norm(channels),
            nn.GELU(),
            conv(channels, channels, 1),
        )

    def forward(self, x):
        return x + self.layers(x)


class SeparableBlock(nn.Module):
    """ReDimNet2's residual block. Its first ReLU stands in front of BatchNorm."""

    def __init__(self, channels):
        super().__init__()

        def conv():
            depthwise = nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False)
            return nn.Sequential(depthwise, nn.Conv2d(channels, channels, 1))

        self.conv1, self.bn1 = conv(), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = conv(), nn.BatchNorm2d(channels)

    def forward(self, x):
        y = self.bn1(F.relu_(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x
        return F.relu_(y)


class Transformer(nn.Module):
    """One post-norm layer with four heads, over [batch, channels, frames]."""

    def __init__(self, channels):
        super().__init__()
        self.key, self.value, self.query, self.output = (
            nn.Linear(channels, channels) for _ in range(4)
        )
        self.norm1 = nn.LayerNorm(channels, 1e-6)
        self.linear1 = nn.Linear(channels, channels)
        self.linear2 = nn.Linear(channels, channels)
        self.norm2 = nn.LayerNorm(channels, 1e-6)

    def attention(self, x):
        def heads(y):
            return y.unflatten(2, (4, -1)).transpose(1, 2)

        query = heads(self.query(x)) * (x.shape[2] // 4) ** -0.5
        weights = (query @ heads(self.key(x)).transpose(2, 3)).softmax(3)
        return self.output((weights @ heads(self.value(x))).transpose(1, 2).flatten(2))

    def forward(self, x):
        x = x.transpose(1, 2)
        x = self.norm1(x + self.attention(x))
        x = self.norm2(x + self.linear2(F.gelu(self.linear1(x), approximate="tanh")))
        return x.transpose(1, 2)


class TimeContext(nn.Module):
    def __init__(self, channels, inner):
        super().__init__()
        kernels = [7, 19, 31, 59]
        convs = (ConvNext(nn.Conv1d, nn.BatchNorm1d, inner, k, inner) for k in kernels)
        self.layers = nn.Sequential(
            nn.Conv1d(channels, inner, 1),
            ChannelNorm(inner),
            *convs,
            Transformer(inner),
            nn.Conv1d(inner, channels, 1),
        )

    def forward(self, x):
        return x + self.layers(x)


class ReDimStage(nn.Module):
    """From a sum of flat outputs, through an image of the stage's shape, to a flat output."""

    def __init__(self, shape, earlier, conv, blocks, divisor, repeats=None):
        super().__init__()
        channels, mels = self.shape = shape
        flat = channels * mels
        self.mix = Mix(earlier, flat)
        self.conv, self.blocks = conv, nn.Sequential(*blocks)
        self.context = TimeContext(flat, flat // divisor)
        self.repeat = nn.Upsample(scale_factor=repeats) if repeats else nn.Identity()

    def forward(self, outputs):
        channels, mels = self.shape
        x = self.mix(outputs).unflatten(1, (mels, channels)).transpose(1, 2)
        x = self.blocks(self.conv(x))
        return self.repeat(self.context(x.transpose(1, 2).flatten(1, 2)))


class ReDimBone(nn.Module):
    """Stem, stages and the last sum. Frames are cut to a multiple."""

    def __init__(self, channels, mels, stages, multiple=1):
        super().__init__()
        self.multiple = multiple
        self.stem = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding="same"), ChannelNorm(channels)
        )
        self.stages = nn.ModuleList(stages)
        self.mix = Mix(len(stages) + 1, channels * mels)

    def forward(self, x):
        x = image(x)
        x = self.stem(x[..., : x.shape[3] // self.multiple * self.multiple])
        outputs = [x.transpose(1, 2).flatten(1, 2)]
        for stage in self.stages:
            outputs.append(stage(outputs))
        return self.mix(outputs)


class ReDimNetB2(nn.Module):
    def __init__(self, mels, values):
        super().__init__()
        channels, left, stages = 16, mels, []
        setup = [(1, 2, 12), (2, 2, 12), (1, 3, 12), (2, 4, 8), (1, 4, 8), (2, 4, 4)]
        for earlier, (stride, count, divisor) in enumerate(setup, 1):
            shape, kernel = (channels, left), (stride, 1)
            conv = nn.Conv2d(channels, stride * channels, kernel, kernel)
            channels, left = stride * channels, left // stride
            blocks = [
                ConvNext(nn.Conv2d, nn.BatchNorm2d, channels, 3, channels // 4)
                for _ in range(count)
            ]
            stages.append(ReDimStage(shape, earlier, conv, blocks, divisor))
        # WeSpeaker stores one weight in front of the first stage, where nothing is mixed.
        stages[0].mix = Mix(1, 1)
        self.bone = ReDimBone(16, mels, stages)
        self.pool = AttentivePooling(16 * mels, context=True)
        self.linear = nn.Linear(32 * mels, values)

    def forward(self, x):
        return self.linear(self.pool(self.bone(x)))


class ReDimNet2B2(nn.Module):
    def __init__(self, mels, values):
        super().__init__()
        channels, left, time, stages = 20, mels, 1, []
        setup = [
            (1, 1, 2, 2, 40),
            (2, 1, 3, 1, 30),
            (1, 2, 4, 1, 30),
            (3, 1, 5, 1, 20),
            (1, 2, 4, 1, 20),
            (2, 1, 3, 1, 10),
        ]
        for earlier, (stride, stride_time, count, wider, divisor) in enumerate(setup, 1):
            time *= stride_time
            shape, kernel = (channels, left), (stride, time)
            inputs, channels, left = channels, stride * channels, left // stride
            width = wider * channels
            conv = nn.Conv2d(inputs, width, kernel, kernel, groups=math.gcd(inputs, width))
            blocks = [SeparableBlock(width) for _ in range(count)]
            if wider != 1:
                squeeze = nn.Conv2d(width, channels, 1, padding="same")
                blocks += [squeeze, nn.BatchNorm2d(channels, 1e-6)]
            stages.append(ReDimStage(shape, earlier, conv, blocks, divisor, time))
        self.bone = ReDimBone(20, mels, stages, time)
        self.head = nn.Conv1d(20 * mels, 64, 1)
        self.pool = AttentivePooling(64, context=True)
        self.norm = nn.BatchNorm1d(128)
        self.linear = nn.Linear(128, values)

    def forward(self, x):
        return self.linear(self.norm(self.pool(self.head(self.bone(x)))))


# The Rust bench's name of each network: its class, mels, values of an embedding, parameters.
NETWORKS = {
    "resnet34": (ResNet34, 80, 256, 6_634_336),
    "ecapa-tdnn-512": (EcapaTDNN, 80, 192, 5_797_504),
    "campplus": (CAMPlusPlus, 80, 512, 7_176_224),
    "redimnet-b2": (ReDimNetB2, 72, 192, 4_888_241),
    "redimnet2-b2": (ReDimNet2B2, 72, 192, 2_530_208),
    "eres2net34": (ERes2Net34, 80, 256, 7_266_112),
    "simam-resnet34": (SimAMResNet34, 80, 256, 25_213_760),
    "tdnn": (TDNN, 80, 512, 4_610_524),
}


def build(name):
    """The network of a name, in evaluation mode."""
    make, mels, values, parameters = NETWORKS[name]
    network = make(mels, values)
    counted = sum(p.numel() for p in network.parameters())
    assert counted == parameters, f"{name} has {counted} parameters instead of {parameters}"
    return network.eval()
