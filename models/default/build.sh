#!/usr/bin/env bash
# Makes the model inside the program again: trains, packs, tests, takes the threshold of the first
# dev list, and calibrates on both. The figures that it prints belong in model.toml; a test compares
# those that can be compared. model.toml names the commit whose program made the model that ships.
# Dither and reverberation are computed otherwise since: a later program trains another model.
#
#   cargo build --release && models/default/build.sh
#
# DATA names the folder of the dev lists; the recipe names those to train on. The program is built
# with a model inside: where there is none yet, an empty file will do.
set -euo pipefail
cd "$(dirname "$0")/../.."
revox=${REVOX:-target/release/revox}
data=${DATA:-../shared/data}
out=${OUT:-runs/default-model}

"$revox" train recipes/default-model.toml --out "$out"
# Stem and first stage are 1 % of the weights, and 4 bits cost them the most: they stay in f32.
kept='["conv1.weight", "layer1.0.conv1.weight", "layer1.0.conv2.weight",
  "layer1.1.conv1.weight", "layer1.1.conv2.weight"]'
"$revox" quantize "$out/model.safetensors" --bits 4 --set "quantize.keep=$kept" \
  -o "$out/packed.safetensors"

for list in speechocean762 librispeech_mini; do
  for model in model packed; do
    name=$out/$list-$model
    "$revox" embed "$out/$model.safetensors" --wav-scp "$data/$list/dev/wav.scp" \
      -o "$name.safetensors" --speech "$name.speech" --quiet
    "$revox" score "$name.safetensors" "$data/$list/dev/trials.txt" -o "$name.scores" --quiet
    echo "$list, $model:"
    "$revox" eval "$name.scores" --utt2spk "$data/$list/dev/utt2spk" \
      --wav-scp "$data/$list/dev/wav.scp" --json
  done
done
"$revox" eval "$out/speechocean762-packed.scores" --replicates 0 \
  --save-threshold "$out/packed.safetensors"

# Nobody knows how often two recordings at hand have one voice: the prior is one half.
lists() { cat "$data"/{speechocean762,librispeech_mini}/dev/"$1"; }
cat "$out"/{speechocean762,librispeech_mini}-packed.scores > "$out/dev.scores"
cat "$out"/{speechocean762,librispeech_mini}-packed.speech > "$out/dev.speech"
lists utt2spk > "$out/dev.utt2spk"
lists wav.scp > "$out/dev.wav.scp"
"$revox" calibrate "$out/packed.safetensors" --scores "$out/dev.scores" \
  --utt2spk "$out/dev.utt2spk" --wav-scp "$out/dev.wav.scp" --durations "$out/dev.speech" \
  --prior 0.5

cp "$out/packed.safetensors" models/default/model.safetensors
wc -c models/default/model.safetensors
sha256sum models/default/model.safetensors
