#!/usr/bin/env bash
# Error rates of quantized networks, the subject of arXiv 2406.05359: k-means with 1 to 8 bits,
# mixed precision under a budget with fine-tuning in one and in three stages, and both binary
# quantizers. Networks, recipes and budgets are this project's choice: we have not seen the paper's
# tables. steps.sh names the settings.
#
#   recipes/voxceleb/paper2.sh             # expected hours and bytes
#   recipes/voxceleb/paper2.sh --train     # the same, then quantization and error rates
#   recipes/voxceleb/paper2.sh --reduced   # all of it, tiny: a check of the commands
#
# --train wants the lists of run.md, steps 1 and 2, and a GPU. It takes the ordinary networks of
# paper1.sh, or trains them as paper1.sh does.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=recipes/voxceleb/steps.sh
source recipes/voxceleb/steps.sh
mode_of "$@"

budgets=(2 3 4) # mixed precision gets the bytes of so many bits for every weight
stages=(1 3)
tunings=$((1 + 8 + ${#budgets[@]} * ${#stages[@]} + 2))
tuning_epochs=12
at_once=8
if [ "$mode" = reduced ]; then
  tuning_epochs=1
  networks=("${networks[0]}")
fi

explain_plan
echo "Each network is trained further $tunings times (epochs each time: $tuning_epochs)."
echo "Weighing layers for mixed precision comes on top."
printf '%-14s %-10s %10s  %s\n' network phase hours peak
for network in "${networks[@]}"; do
  recipe_of "$network"
  expected_hours "$network" 3 "$epochs" 1
  expected_peak "$network" "$optimizer" "$classes"
  printf '%-14s %-10s %10s  %s\n' "$network" f32 "$hours" "$peak"
  expected_hours "$network" 3 $((tunings * tuning_epochs)) $((tunings + at_once))
  expected_peak "$network" sgd "$speakers"
  printf '%-14s %-10s %10s  %s\n' "$network" further "$hours" "$peak"
done
explain_total
for network in "${networks[@]}"; do
  size=$("$REVOX" zoo --details "$network" | sed -n 's/^file *//p')
  echo "$network at its published size: $size"
done

if [ "$mode" = plan ]; then exit 0; fi
needs_lists

# Trains a model further, through the quantizer that the remaining options choose, into $OUT/$1.
quantized() {
  local name=$1 run=$OUT/$1.run resume=()
  shift
  if [ ! -e "$OUT/$name.safetensors" ]; then
    if [ -e "$run/checkpoint.safetensors" ]; then resume=(--resume); fi
    "$REVOX" quantize "$model" "${tuning[@]}" --recipe recipes/voxceleb/fine-tune.toml \
      --backend "$BACKEND" --seed "$seed" "$@" --run "$run" "${resume[@]}" \
      -o "$OUT/$name.safetensors" --quiet > "$OUT/$name.log"
  fi
  tested "$name"
}

# Scores the model $OUT/$1.
tested() {
  scored "$OUT/$1.safetensors" "$OUT/$1"
  systems+=("$1")
}

# The head of the second phase knows each speaker at speed 1 only.
tuning=(--set 'data.speeds=[1.0]' "${small_tuning[@]}")
few=(--set quantize.small_layers=fewer-bits)

for network in "${networks[@]}"; do
  recipe_of "$network"
  for seed in "${seeds[@]}"; do
    systems=()
    trained "$network" "$optimizer" "$seed"
    base=$network-$seed

    # Without a quantizer, for as long as the others.
    resume=()
    if [ -e "$OUT/$base-f32-longer.run/checkpoint.safetensors" ]; then resume=(--resume); fi
    "$REVOX" train recipes/voxceleb/fine-tune.toml --init "$model" "${tuning[@]}" \
      --backend "$BACKEND" --seed "$seed" --out "$OUT/$base-f32-longer.run" "${resume[@]}" \
      --quiet > "$OUT/$base-f32-longer.log"
    cp "$OUT/$base-f32-longer.run/model.safetensors" "$OUT/$base-f32-longer.safetensors"
    tested "$base-f32-longer"
    cp "$model" "$OUT/$base-f32.safetensors"
    tested "$base-f32"

    for bits in 1 2 3 4 5 6 7 8; do
      "$REVOX" quantize "$model" --bits "$bits" "${few[@]}" \
        -o "$OUT/$base-$bits-at-once.safetensors" --quiet > "$OUT/$base-$bits-at-once.log"
      tested "$base-$bits-at-once"
      quantized "$base-$bits" --bits "$bits" "${few[@]}"
    done
    for bits in "${budgets[@]}"; do
      bytes=$(wc -c < "$OUT/$base-$bits-at-once.safetensors")
      for count in "${stages[@]}"; do
        quantized "$base-mixed-of-$bits-in-$count" --method mixed --target-size "$bytes" \
          "${few[@]}" --set "quantize.stages=$count" "${small_mixed[@]}"
      done
    done
    quantized "$base-binary-static" --method binary-static
    quantized "$base-binary-adaptive" --method binary-adaptive

    say "bytes, $base"
    for name in "${systems[@]}"; do
      printf '%-40s %12s\n' "$name" "$(wc -c < "$OUT/$name.safetensors")"
    done
    compared "${systems[@]}"
  done
done
