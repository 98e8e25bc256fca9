#!/usr/bin/env bash
# Counts what training steps on CUDA reserve, launch and move, on a machine without a GPU, and
# writes the tables into docs/evidence/backends.md, between <!-- gpu_dry --> and <!-- /gpu_dry -->.
#
#   benches/gpu_dry.sh
#
# CubeCL's CUDA runtime runs on a stand-in for NVIDIA's driver (tests/cuda/driver); NVRTC is the
# real one. A copy of cubecl-cuda with gpu_dry.patch tells the stand-in how many bytes each launch
# binds: the project itself is built without any patch. What every kernel of a run moved stays in
# target/dry/*.txt. It fails if a step of ResNet34 takes more launches or bytes than are allowed
# (gpu_dry.rs).
set -euo pipefail
cd "$(dirname "$0")/.."

dry=$PWD/target/dry
nvrtc=$(.ci/nvrtc)
mkdir -p "$dry/driver"
rustc --edition 2024 -O -o "$dry/driver/libcuda.so" tests/cuda/driver/lib.rs

host=$(rustc -vV | sed -n 's/^host: //p')
manifest=$(cargo metadata --format-version 1 --locked --filter-platform "$host" \
  --features cuda-bare | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] == "cubecl-cuda":
        print(package["manifest_path"])
')
rm -rf "$dry/cubecl-cuda"
cp -r "$(dirname "$manifest")" "$dry/cubecl-cuda"
patch --quiet -p1 -d "$dry/cubecl-cuda" < benches/gpu_dry.patch

# Cargo notes in its lock file where a crate comes from.
cp Cargo.lock "$dry/Cargo.lock"
trap 'cp "$dry/Cargo.lock" Cargo.lock' EXIT
built=$(CARGO_TARGET_DIR=target/gpu cargo test --no-run --no-default-features \
  --features flex,ndarray,cli,wgpu-bare,cuda-bare,fusion \
  --config 'profile.dev.package."*".opt-level=0' \
  --config "patch.crates-io.cubecl-cuda.path='$dry/cubecl-cuda'" \
  --bench gpu_dry 2>&1 | tee /dev/stderr)
program=$(sed -n 's|^ *Executable benches/gpu_dry.rs (\(.*\))$|\1|p' <<< "$built")

failed=0
# Counts on a card: its name in the table, its compute capability, what, and of which step.
count() {
  local card=$1 arch=$2 what=$3 name=$4 optimizer=$5
  # So much memory that everything fits.
  CUDA_PATH=$nvrtc LD_LIBRARY_PATH=$dry/driver:$nvrtc/lib BURN_DEVICE=cuda STAND_IN_ARCH=$arch \
    STAND_IN_MEMORY=$((1 << 40)) STAND_IN_REPORT=$dry/$what-$name-$arch.txt \
    "$program" "$what" "$name" "$optimizer" "$card" || failed=1
}

table=$dry/tables.md
{
  echo "GiB of a step, 128 crops of 200 frames, f32, fused, no autotune:"
  echo
  echo "| network | optimizer | card | account | dry run, in use | reserved | CUDA, in use \
| reserved |"
  echo "|---|---|---|---|---|---|---|---|"
  for name in resnet34 rev1-resnet34 rev2-resnet34 resnet293 rev1-resnet293 rev2-resnet293; do
    count Ampere 80 memory "$name" sgd8bit
  done
  for name in df-resnet110 rev1-df-resnet110 rev2-df-resnet110; do
    count Ampere 80 memory "$name" adamw8bit
  done
  for name in rev1-resnet34 rev1-resnet293 rev2-resnet293; do
    count Turing 75 memory "$name" sgd8bit
  done
  count Turing 75 memory rev2-df-resnet110 adamw8bit
  echo
  echo "Launches, and GB that they bind:"
  echo
  echo "| network | optimizer | card | part | launches | read | written | both |"
  echo "|---|---|---|---|---|---|---|---|"
  for name in resnet34 rev1-resnet34 rev2-resnet34; do
    count Ampere 80 launches "$name" sgd8bit
  done
} > "$table"

python3 - "$table" docs/evidence/backends.md <<'PYTHON'
import sys
table, page = open(sys.argv[1]).read(), open(sys.argv[2]).read()
begin, end = "<!-- gpu_dry -->\n", "<!-- /gpu_dry -->"
if begin not in page or end not in page:
    sys.exit(f"{sys.argv[2]} has no place for the tables, which are in {sys.argv[1]}")
head, rest = page.split(begin, 1)
open(sys.argv[2], "w").write(head + begin + "\n" + table + "\n" + end + rest.split(end, 1)[1])
PYTHON
exit "$failed"
