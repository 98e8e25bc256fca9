#!/usr/bin/env bash
# Makes the model inside the program again: trains, packs, takes the threshold of the first dev
# list, tests, and calibrates on both. The figures that it prints belong in model.toml; a test
# compares those that can be compared.
#
#   cargo build --release && models/default/build.sh              # a model by this program
#   cargo build --release && models/default/build.sh --shipped    # the model that ships
#
# model.toml names the commit whose program made the model that ships. Dither and reverberation are
# computed otherwise since: a later program trains another model. --shipped builds that program in a
# temporary worktree of git (some GB under TMPDIR, removed at the end), trains, packs and takes the
# threshold with it, and does the rest with this program. It ends with whether the SHA-256 is that
# of model.toml, and leaves models/default/model.safetensors as it is.
#
# DATA names the folder of the dev lists; the recipe names those to train on. The program is built
# with a model inside: where there is none yet, an empty file will do.
set -euo pipefail
cd "$(dirname "$0")/../.."
revox=${REVOX:-target/release/revox}
data=${DATA:-../shared/data}
out=${OUT:-runs/default-model}
card=models/default/model.toml

case "$#:${1-}" in
  0:) shipped=no ;;
  1:--shipped) shipped=yes ;;
  *)
    echo "usage: models/default/build.sh [--shipped]" >&2
    exit 2
    ;;
esac

# The text under a key of the card.
said() {
  local text
  text=$(sed -n "s/^$1 = \"\(.*\)\"\$/\1/p" "$card")
  if [ -z "$text" ]; then
    echo "$card: no \`$1\`" >&2
    exit 1
  fi
  echo "$text"
}
commit=$(said commit)
wanted=$(said sha256)
recipe=$(said recipe)

# What trains, packs and takes the threshold.
maker=$revox
if [ "$shipped" = yes ]; then
  if ! git cat-file -e "$commit^{commit}" 2> /dev/null; then
    echo "git has no commit $commit here: fetch the whole history (git fetch --unshallow)" >&2
    exit 1
  fi
  tree=$(mktemp -d)
  remove() {
    git worktree remove --force "$tree" || rm -rf "$tree"
    git worktree prune
  }
  trap remove EXIT
  git worktree add --detach "$tree" "$commit"
  (cd "$tree" && cargo build --release --locked --target-dir target)
  maker=$tree/target/release/revox
  recipe=$tree/$recipe
elif ! git diff --quiet "$commit" -- src Cargo.toml Cargo.lock 2> /dev/null; then
  echo "these sources are not those of $commit, whose program made the model that ships:" \
    "this trains another model; models/default/build.sh --shipped makes that one" >&2
fi

"$maker" train "$recipe" --out "$out"
# Stem and first stage are 1 % of the weights, and 4 bits cost them the most: they stay in f32.
kept='["conv1.weight", "layer1.0.conv1.weight", "layer1.0.conv2.weight",
  "layer1.1.conv1.weight", "layer1.1.conv2.weight"]'
"$maker" quantize "$out/model.safetensors" --bits 4 --set "quantize.keep=$kept" \
  -o "$out/packed.safetensors"

first=$data/speechocean762/dev
"$maker" embed "$out/packed.safetensors" --wav-scp "$first/wav.scp" \
  -o "$out/threshold.safetensors" --quiet
"$maker" score "$out/threshold.safetensors" "$first/trials.txt" -o "$out/threshold.scores" --quiet
"$maker" eval "$out/threshold.scores" --replicates 0 --save-threshold "$out/packed.safetensors"
if [ "$shipped" = yes ]; then
  # Programs of that time wrote no graph.
  "$revox" export "$out/packed.safetensors" -o "$out/anew.safetensors"
  mv "$out/anew.safetensors" "$out/packed.safetensors"
fi

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

# Nobody knows how often two recordings at hand have one voice: the prior is one half.
lists() { cat "$data"/{speechocean762,librispeech_mini}/dev/"$1"; }
cat "$out"/{speechocean762,librispeech_mini}-packed.scores > "$out/dev.scores"
cat "$out"/{speechocean762,librispeech_mini}-packed.speech > "$out/dev.speech"
lists utt2spk > "$out/dev.utt2spk"
lists wav.scp > "$out/dev.wav.scp"
"$revox" calibrate "$out/packed.safetensors" --scores "$out/dev.scores" \
  --utt2spk "$out/dev.utt2spk" --wav-scp "$out/dev.wav.scp" --durations "$out/dev.speech" \
  --prior 0.5

if [ "$shipped" = no ]; then
  cp "$out/packed.safetensors" models/default/model.safetensors
fi
wc -c "$out/packed.safetensors"
made=$(sha256sum "$out/packed.safetensors" | cut -d ' ' -f 1)
if [ "$made" = "$wanted" ]; then
  echo "SHA-256 $made: that of $card"
else
  echo "SHA-256 $made: not that of $card, $wanted"
fi
