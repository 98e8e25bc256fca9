#!/usr/bin/env bash
# What is worth measuring on one NVIDIA GPU, most important first, into one JSON file that `revox
# bench report` turns into tables: figures in nine minutes, then the self-test, up to four more.
#
#   benches/gpu.sh target/dist/revox gpu.json
#
# Needs the binary (`cargo build --profile dist --features cuda`), gpu.sh and gpu_torch.py, and what
# `revox doctor` says that it needs; no data, since steps are of noise. Where python3 has torch, the
# same steps are measured in PyTorch, where it has bitsandbytes, its optimizers too. A part that
# fails, does not fit the card or takes too long is named and left out; the others go on.
#
# BUDGET is the seconds after which no part begins (510; the last one ends within 25 more). The
# self-test comes last. It has the rest of BUDGET, but at least four minutes. OUT.json is written
# after every part, so whoever ends this earlier has the figures so far. BACKEND, BATCH, FRAMES,
# STEPS, NETWORKS (an ordinary ResNet, then others), DEEP (the same, of many layers, of which the
# ordinary one takes DEEP_BATCH crops), PRECISIONS and PARAMETERS change what is measured.
set -euo pipefail

if [ $# -ne 2 ]; then
  echo "usage: $0 REVOX OUT.json" >&2
  exit 2
fi
revox=$1 out=$2 here=$(cd "$(dirname "$0")" && pwd)
backend=${BACKEND:-cuda} batch=${BATCH:-128} frames=${FRAMES:-200} steps=${STEPS:-5}
read -ra networks <<< "${NETWORKS:-resnet34 rev1-resnet34 rev2-resnet34}"
read -ra deep <<< "${DEEP-resnet293 rev2-resnet293 rev1-resnet293}"
read -ra precisions <<< "${PRECISIONS:-f32 tf32 bf16 f16}"
deep_batch=${DEEP_BATCH:-64} parameters=${PARAMETERS:-6630000,50300000} budget=${BUDGET:-510}
if [ -e "$out" ]; then
  echo "$0: $out is there already" >&2
  exit 1
fi
parts=$(mktemp -d)
sampler=
child=
card=${CUDA_VISIBLE_DEVICES:-0}
selftest="not run"
device=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader \
  -i "${card%%,*}" 2> /dev/null | head -n 1 || true)

# One object: the machine in words, and a list for each part.
write() {
  local file
  {
    printf '{"device": "%s",\n"self-test": "%s"' \
      "${device:-not an NVIDIA GPU, backend $backend}" "$selftest"
    for file in "$parts"/*.json; do
      # A part that is cut short is left out.
      if ! grep -qs '\]$' "$file"; then continue; fi
      printf ',\n"%s": ' "$(basename "$file" .json)"
      cat "$file"
    done
    printf '}\n'
  } > "$out.part"
  mv "$out.part" "$out"
}

finish() {
  if [ -n "$sampler" ]; then kill "$sampler" 2> /dev/null || true; fi
  if [ -n "$child" ]; then kill "$child" 2> /dev/null || true; fi
  rm -rf "$parts"
}
trap finish EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

size=$(($(stat -c %s "$revox") + $(stat -c %s "$here/gpu.sh") + $(stat -c %s "$here/gpu_torch.py")))
echo "== program and scripts: $((size >> 20)) MiB" >&2
if [ "$size" -gt $((60 << 20)) ]; then
  echo "$0: more than 60 MiB: build with \`--profile dist\`" >&2
fi

# Samples what the driver says is in use, in MiB.
sample() {
  nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits -i "${card%%,*}" -lms 200 \
    > "$parts/used" 2> /dev/null &
  sampler=$!
}

# Ends the sampling, and adds the most that was in use to a part's figures.
add_peak() {
  local file=$1 first peak
  if [ -z "$sampler" ]; then return; fi
  kill "$sampler" 2> /dev/null || true
  wait "$sampler" 2> /dev/null || true
  sampler=
  peak=$(awk '$1 > most {most = $1} END {if (most) printf "%.0f", most * 1048576}' "$parts/used")
  first=$(sed -n '1s/^\[{"name": *"\([^"]*\)".*/\1/p' "$file" 2> /dev/null || true)
  if [ -n "$peak" ] && [ -n "$first" ]; then
    local figure="{\"name\":\"$first/driver-peak\",\"value\":$peak,\"unit\":\"bytes\""
    sed -i "1s|\]\$|,$figure,\"backend\":\"$backend\"}]|" "$file"
  fi
}

# Runs a part for so many seconds at most: LIMIT NAME COMMAND... A process each: what one has
# reserved of the card does not count for the next.
part() {
  local limit=$1 name=$2 status=0
  local left=$((budget - SECONDS))
  shift 2
  if [ "$left" -le 0 ]; then
    echo "== $name: no time left" >&2
    return
  fi
  if [ "$limit" -gt $((left + 25)) ]; then limit=$((left + 25)); fi
  echo "== $name ($SECONDS s)" >&2
  # Behind the shell, which else would hear of signals only when the part has ended.
  timeout -k 5 "$limit" "$@" > "$parts/$name.json" &
  child=$!
  wait "$child" || status=$?
  child=
  if [ "$status" -ne 0 ]; then
    echo "$0: $name failed or took more than $limit s (status $status)" >&2
  fi
  # PyTorch's part prints what it has when its time is over.
  if ! grep -q '^\[{' "$parts/$name.json"; then rm -f "$parts/$name.json"; fi
  write
}

# A training step: LIMIT BATCH NETWORK OPTIMIZER PRECISION.
step() {
  local limit=$1 crops=$2 network=$3 optimizer=$4 precision=$5
  local name=$network-$optimizer-$precision-$crops
  if command -v nvidia-smi > /dev/null; then sample; fi
  part "$limit" "$name" "$revox" bench train "$network" --optimizer "$optimizer" --json \
    --precision "$precision" --batch "$crops" --frames "$frames" --steps "$steps" \
    --backend "$backend"
  add_peak "$parts/$name.json"
}

torch=
if timeout 60 python3 -c 'import torch' 2> /dev/null; then
  torch=yes
else
  echo "$0: python3 has no torch: its steps are not measured" >&2
fi

# PyTorch's steps of an ordinary ResNet: LIMIT BATCH NETWORK MODES.
torch_steps() {
  if [ -z "$torch" ]; then return; fi
  part "$1" "torch-$3-$2-${4%%,*}" python3 "$here/gpu_torch.py" steps --batch "$2" \
    --frames "$frames" --steps "$steps" --modes "$4" "$3"
}

first=${networks[0]}
for precision in "${precisions[@]}"; do
  step 90 "$batch" "$first" sgd "$precision"
done
torch_steps 100 "$batch" "$first" f32,tf32,f16,bf16
step 60 "$batch" "$first" sgd8bit f32
for network in "${networks[@]:1}"; do
  step 60 "$batch" "$network" sgd8bit "${precisions[0]}"
done
torch_steps 60 "$batch" "$first" checkpoint-f32,checkpoint-tf32
part 60 optimizers "$revox" bench optim --backend "$backend" --parameters "$parameters" --json
if [ -n "$torch" ]; then
  part 60 torch-optimizers python3 "$here/gpu_torch.py" optimizers --parameters "$parameters"
fi
for network in "${deep[@]:1}"; do
  step 90 "$batch" "$network" sgd8bit "${precisions[0]}"
done
if [ "${#deep[@]}" -gt 0 ]; then
  step 60 "$deep_batch" "${deep[0]}" sgd8bit "${precisions[0]}"
  torch_steps 60 "$deep_batch" "${deep[0]}" f32,tf32
  torch_steps 60 "$batch" "${deep[0]}" checkpoint-f32
fi
for network in "${networks[@]:1}"; do
  for precision in "${precisions[@]:1}"; do
    step 60 "$batch" "$network" sgd8bit "$precision"
  done
done

# Behind the figures: it compiles hundreds of kernels, which takes minutes.
limit=$((budget - SECONDS))
if [ "$limit" -lt 240 ]; then limit=240; fi
echo "== self-test ($SECONDS s)" >&2
status=0
timeout -k 5 "$limit" "$revox" doctor --selftest --backend "$backend" >&2 &
child=$!
wait "$child" || status=$?
child=
case $status in
  0) selftest=passed ;;
  124 | 137) selftest="did not end in $limit s" ;;
  *) selftest=failed ;;
esac
write
"$revox" bench report "$out"
