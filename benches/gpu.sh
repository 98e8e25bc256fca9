#!/usr/bin/env bash
# Everything worth measuring on an NVIDIA GPU, into one JSON file that `revox bench report` turns into tables.
#
#   benches/gpu.sh target/release/revox gpu.json
#
# Needs the binary (built with `--features cuda`), the two files of this folder and what `revox doctor` says that it needs; no data, since steps are of noise. Where python3 has torch,
# the same steps are measured in PyTorch, in the same run. BACKEND, BATCH, FRAMES, STEPS, NETWORKS (ResNets), DEEP (DF-ResNets) and PARAMETERS change what is measured. What does
# not fit the GPU's memory is told of and left out.
set -euo pipefail

if [ $# -ne 2 ]; then
  echo "usage: $0 REVOX OUT.json" >&2
  exit 2
fi
revox=$1 out=$2 here=$(cd "$(dirname "$0")" && pwd)
backend=${BACKEND:-cuda} batch=${BATCH:-128} frames=${FRAMES:-200} steps=${STEPS:-5}
networks=${NETWORKS:-resnet34 rev1-resnet34 rev2-resnet34 resnet101 rev1-resnet101 rev2-resnet101 resnet293 rev1-resnet293 rev2-resnet293}
deep=${DEEP-df-resnet110 rev1-df-resnet110 rev2-df-resnet110 df-resnet233 rev1-df-resnet233 rev2-df-resnet233}
parameters=${PARAMETERS:-6.63M,50.3M}
if [ -e "$out" ]; then
  echo "$0: $out is there already" >&2
  exit 1
fi
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT

echo "== self-test" >&2
"$revox" doctor --selftest --backend "$backend" >&2

# A part that fails leaves a line on stderr and nothing in the file; the others go on.
part() {
  local name=$1
  shift
  echo "== $name" >&2
  if ! "$@" > "$parts/$name.json"; then
    echo "$0: $name failed" >&2
    rm -f "$parts/$name.json"
  fi
}

part optimizers "$revox" bench optim --backend "$backend" --parameters "$parameters" --json
size=(--batch "$batch" --frames "$frames" --steps "$steps" --backend "$backend" --json)
# A process each: what one has reserved of the GPU's memory does not count for the next.
for network in $networks; do
  for optimizer in sgd sgd8bit; do
    part "$network-$optimizer" "$revox" bench train "$network" --optimizer "$optimizer" "${size[@]}"
  done
done
for network in $deep; do
  for optimizer in adamw adamw8bit; do
    part "$network-$optimizer" "$revox" bench train "$network" --optimizer "$optimizer" "${size[@]}"
  done
done
first=${networks%% *}
part "$first-bf16" "$revox" bench train "$first" --precision bf16 "${size[@]}"

if python3 -c 'import torch' 2> /dev/null; then
  part torch python3 "$here/gpu_torch.py" --batch "$batch" --frames "$frames" --steps "$steps" $networks
else
  echo "$0: python3 has no torch: its steps are not measured" >&2
fi

# One object: the machine in words, and a list for each part.
{
  device=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2> /dev/null | head -n 1 || true)
  printf '{"device": "%s"' "${device:-not an NVIDIA GPU, backend $backend}"
  for file in "$parts"/*.json; do
    printf ',\n"%s": ' "$(basename "$file" .json)"
    cat "$file"
  done
  printf '}\n'
} > "$out.part"
mv "$out.part" "$out"
"$revox" bench report "$out"
