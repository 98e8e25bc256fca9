#!/usr/bin/env bash
# Memory and error rates of reversible networks and 8-bit optimizer states, the subject of arXiv
# 2412.01195. Networks, sizes and recipes are this project's choice: we have not seen the paper's
# tables. steps.sh names the settings.
#
#   recipes/voxceleb/paper1.sh             # expected hours and bytes, and the tables of memory
#   recipes/voxceleb/paper1.sh --train     # the same, then training and error rates
#   recipes/voxceleb/paper1.sh --reduced   # all of it, tiny: a check of the commands
#
# --train wants the lists of run.md, steps 1 and 2, and a GPU.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=recipes/voxceleb/steps.sh
source recipes/voxceleb/steps.sh
mode_of "$@"

explain_plan
printf '%-22s %-10s %10s  %s\n' network optimizer hours peak
for network in "${networks[@]}"; do
  recipe_of "$network"
  for type in "" rev1- rev2-; do
    passes=$([ -z "$type" ] && echo 3 || echo 4)
    for states in "" 8bit; do
      expected_hours "$type$network" "$passes" "$epochs" 1
      expected_peak "$type$network" "$optimizer$states" "$classes"
      printf '%-22s %-10s %10s  %s\n' "$type$network" "$optimizer$states" "$hours" "$peak"
    done
  done
done
explain_total

of_memory=(resnet34 resnet101 resnet293 df-resnet56 df-resnet110 df-resnet233)
if [ "$mode" = reduced ]; then of_memory=("${networks[@]}"); fi
for network in "${of_memory[@]}"; do
  recipe_of "$network"
  for states in "" 8bit; do
    say "memory, $network, $optimizer$states"
    "$REVOX" memory "rev1-$network" "rev2-$network" --optimizer "$optimizer$states" \
      --batch "$batch" --frames "$frames" --speakers "$classes" "${small_memory[@]}"
  done
done | tee "$OUT/memory.txt"

if [ "$mode" = plan ]; then exit 0; fi
needs_lists
for network in "${networks[@]}"; do
  recipe_of "$network"
  for seed in "${seeds[@]}"; do
    systems=()
    for type in "" rev1- rev2-; do
      for states in "" 8bit; do
        name=$type$network-$optimizer$states-$seed
        trained "$type$network" "$optimizer$states" "$seed"
        scored "$model" "$OUT/$name"
        systems+=("$name")
      done
    done
    compared "${systems[@]}"
  done
done
