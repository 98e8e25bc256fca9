"""Replays the addresses of the weight gradient in cubek-convolution 0.3.1.

    python3 cubek-wgrad.py

One row a shape: how many weights come out wrong with the flags as they are, and with the flags
swapped. Needs numpy. Tiles are computed one after the other; on a GPU their order is open, so other
weights may be hit in other runs. The matrix product itself is numpy's: only addresses are replayed.
"""

import numpy as np


def wrong(channels, outputs, kernel, stride, tile, swap):
    batch, side, pad = 2, 8, kernel // 2
    random = np.random.default_rng(0)
    out_side = (side + 2 * pad - kernel) // stride + 1
    x = random.standard_normal((batch, side, side, channels))
    dy = random.standard_normal((batch * out_side * out_side, outputs))

    # adjust_problem (args.rs): channels are padded to 128 bits.
    padded = -(-channels // 4) * 4
    m, n, k = outputs, kernel * kernel * padded, len(dy)
    # BatchMatmulBlueprint::build (cubek-matmul) has set the flags before, from the true sizes.
    check_m = m % tile[0] != 0
    check_n = kernel * kernel * channels % tile[1] != 0

    # Im2colLayout, which has its own flags the right way round: 0 outside of K and N.
    columns = np.zeros((k, -(-n // tile[1]) * tile[1]))
    for column in range(n):
        taps, channel = divmod(column, padded)
        if channel >= channels:
            continue
        for row in range(k):
            image, place = divmod(row, out_side * out_side)
            y = place // out_side * stride + taps // kernel - pad
            z = place % out_side * stride + taps % kernel - pad
            if 0 <= y < side and 0 <= z < side:
                columns[row, column] = x[image, y, z, channel]

    product = np.zeros((-(-m // tile[0]) * tile[0], columns.shape[1]))
    product[:m] = dy.T @ columns

    # TensorOutput: Transpose<WeightLayout>. Its rows are N and its columns M, but its row flag is
    # check_m and its column flag check_n.
    check_rows, check_cols = (check_n, check_m) if swap else (check_m, check_n)
    weights = np.full(m * kernel * kernel * channels, np.nan)
    for i in range(product.shape[0]):
        for j in range(product.shape[1]):
            if check_rows and j >= n or check_cols and i >= m:
                continue
            taps, channel = divmod(j, padded)
            # WeightLayout decomposes taps modulo the kernel: tap 9 of a 3x3 is tap 0 again.
            taps %= kernel * kernel
            # NhwcCheck::Channel is set where channels are padded.
            if channels != padded and channel >= channels:
                continue
            at = (i * kernel * kernel + taps) * channels + channel
            # VirtualTensor::write_checked drops what lies behind the buffer.
            if at < len(weights):
                weights[at] = product[i, j]

    right = (dy.T @ columns)[:, :n].reshape(m, kernel * kernel, padded)[:, :, :channels]
    return int((~np.isclose(weights.reshape(right.shape), right)).sum()), right.size


for what, (channels, outputs, kernel, stride), tile in [
    ("one input channel (a network's first layer)", (1, 32, 3, 1), (16, 16)),
    ("the same, stages of 32 x 32", (1, 32, 3, 1), (32, 32)),
    ("8 to 16 channels, 1x1, stride 2", (8, 16, 1, 2), (16, 16)),
    ("8 to 16 channels, 3x3", (8, 16, 3, 1), (16, 16)),
    ("44 to 32 channels, 3x3, stages of 32 x 32", (44, 32, 3, 1), (32, 32)),
    ("32 to 32 channels, 3x3: both sides fill tiles", (32, 32, 3, 1), (32, 32)),
]:
    (as_is, of), (swapped, _) = (
        wrong(channels, outputs, kernel, stride, tile, swap) for swap in (False, True)
    )
    print(f"{what:48} {as_is:5} of {of:5} wrong, {swapped} with the flags swapped")
