# shellcheck shell=bash
# What paper1.sh and paper2.sh share: settings, the plan, training and testing. It is sourced.
#
#   REVOX      the program, `revox` unless given
#   BACKEND    where networks train and embed, `cuda` unless given
#   NETWORKS   ordinary networks, `resnet34 df-resnet110` unless given
#   SEEDS      seeds of every run, `1 2 3` unless given
#   OUT        folder of runs and tables, `runs/papers` unless given
#   TFLOPS     10^12 operations that the device does in a second, for the expected hours; 5 unless
#              given, which is an assumption
#
# Paths are relative to the repository's folder. A script that was stopped goes on where it was.
# --reduced heeds REVOX alone.

# The scripts that source this read the settings.
# shellcheck disable=SC2034

REVOX=${REVOX:-revox}
BACKEND=${BACKEND:-cuda}
NETWORKS=${NETWORKS:-resnet34 df-resnet110}
SEEDS=${SEEDS:-1 2 3}
OUT=${OUT:-runs/papers}
TFLOPS=${TFLOPS:-5}
read -ra networks <<< "$NETWORKS"
read -ra seeds <<< "$SEEDS"

# The lists of run.md.
train_lists=data/voxceleb/vox2_dev
test_lists=data/voxceleb/vox1
trials=(data/voxceleb/vox1_{O,E,H}_cleaned.txt)
utterances=1092009 # of VoxCeleb2's training set
tested=4881600     # crops of 2 s in the 2,360 + 352 hours that a test embeds
classes=17982      # its 5,994 speakers at three speeds
speakers=5994
frames=200
batch=128
# Hours of the plan so far.
total=0
# Further options of training networks, of training models further, of mixed precision,
# and of `revox memory` and `revox zoo`.
small=() small_tuning=() small_mixed=() small_memory=() small_zoo=()

say() { printf '\n== %s\n' "$1"; }

# The recipe, the optimizer and the epochs of an ordinary network's training, and to how many epochs
# of the first phase both phases amount.
recipe_of() {
  case $1 in
    df-resnet*) recipe=df-resnet optimizer=adamw epochs=180 ;;
    resnet*) recipe=resnet optimizer=sgd epochs=165 ;;
    *)
      echo "$0: NETWORKS: $1 is neither a resnet nor a df-resnet" >&2
      exit 2
      ;;
  esac
  if [ "${#small[@]}" -gt 0 ]; then epochs=2; fi
}

# What the script shall do: `plan`, `train` or `reduced`, from its one argument.
mode_of() {
  case "$#:${1:-}" in
    0:) mode=plan ;;
    1:--train) mode=train ;;
    1:--reduced) mode=reduced ;;
    *)
      echo "usage: $0 [--train | --reduced]" >&2
      exit 2
      ;;
  esac
  "$REVOX" --version > /dev/null
  if [ "$mode" = reduced ]; then reduce; fi
  mkdir -p "$OUT"
}

# Tiny networks, a synthetic corpus, one epoch a phase and one seed, on the CPU. The figures mean
# nothing.
reduce() {
  OUT=$(mktemp -d)
  trap 'rm -r "$OUT"' EXIT
  BACKEND=flex networks=(resnet10 df-resnet32) seeds=(1)
  "$REVOX" synth "$OUT/corpus" --speakers 8 --dev-speakers 4 --utterances 4 --seconds 3 --quiet \
    > "$OUT/corpus.log"
  train_lists=$OUT/corpus/train test_lists=$OUT/corpus/dev trials=("$OUT/corpus/dev/trials.txt")
  utterances=32 tested=72 classes=24 speakers=8 frames=40 batch=8
  local data=(
    --set "data.train=$train_lists" --set "data.dev=$test_lists" --set "data.trials=${trials[0]}"
    --set "data.frames=$frames" --set data.threads=2 --set data.cache_mib=16 --set 'augment={}'
    --set train.epochs=1 --set "train.batch_size=$batch" --set train.validate_every=1
    --set schedule.warm_up_epochs=0
  )
  small=(
    "${data[@]}" --set model.width=8 --set model.mels=24 --set model.embedding_dim=16
    --set margin.increase_start_epoch=1 --set margin.fix_start_epoch=1 --set train.average_last=1
    --set large_margin.epochs=1 --set large_margin.frames=60 --set "large_margin.batch_size=$batch"
    --set large_margin.warm_up_epochs=0
  )
  small_tuning=("${data[@]}")
  # Three stages need three epochs.
  small_mixed=(
    --set quantize.sensitivity.probes=2 --set quantize.sensitivity.batches=1 --set train.epochs=3
  )
  small_memory=(--width 8 --mels 24)
  small_zoo=(--frames "$frames")
}

# The corpora must be there before anything trains.
needs_lists() {
  local list
  for list in "$train_lists" "$test_lists" "${trials[@]}"; do
    if [ ! -e "$list" ]; then
      echo "$0: $list is missing; recipes/voxceleb/run.md says how to make the lists" >&2
      exit 1
    fi
  done
}

# The hours of so many epochs of a network with so many passes through it for each crop (one
# forward, two backward, and one more if it is reversible), and of so many tests, which pass once. A
# multiplication counts as two operations.
expected_hours() {
  local network=$1 passes=$2 epochs=$3 tests=$4 gmacs
  gmacs=$("$REVOX" zoo --details "$network" "${small_zoo[@]}" | awk '$1 == "GMACs" {print $2}')
  hours=$(awk -v gmacs="$gmacs" -v crops=$((utterances * passes * epochs + tested * tests)) \
    -v tflops="$TFLOPS" 'BEGIN {printf "%.1f", 2e-3 * gmacs * crops / tflops / 3600}')
  total=$(awk -v total="$total" -v more="$hours" 'BEGIN {print total + more}')
}

# The peak of a step with so many classes, in the words of `revox memory`.
expected_peak() {
  peak=$("$REVOX" memory "$1" --optimizer "$2" --batch "$batch" --frames "$frames" \
    --speakers "$3" "${small_memory[@]}" |
    awk '$1 == "peak" {last = $(NF - 1) " " $NF} END {print last}')
}

# How to read the plan, before its rows.
explain_plan() {
  say "expected, for each seed of: ${seeds[*]} (SEEDS=)"
  cat << END
Hours: by arithmetic, from multiplications, at $TFLOPS x 10^12 operations a second (TFLOPS=). That
is an assumption, not a measurement. Loading data comes on top.
Peak: a step's memory as \`revox memory\` accounts for it, for the CPU backends, in f32.
END
}

# The sum of the plan's rows.
explain_total() {
  awk -v total="$total" -v seeds="${#seeds[@]}" \
    'BEGIN {printf "together, all seeds: %.1f hours\n", total * seeds}'
}

# Trains a network by an optimizer and a seed, or goes on, and names the model.
trained() {
  local network=$1 rule=$2 seed=$3 resume=()
  local run=$OUT/$network-$rule-$seed
  recipe_of "${network#rev[12]-}"
  if [ -e "$run/checkpoint.safetensors" ]; then resume=(--resume); fi
  "$REVOX" train "recipes/voxceleb/$recipe.toml" --backend "$BACKEND" --seed "$seed" --out "$run" \
    --set "model.name=$network" --set "optimizer.kind=$rule" "${small[@]}" "${resume[@]}" --quiet \
    > "$run.log"
  model=$run/large_margin/model.safetensors
}

# Scores every list of trials with a model, by AS-norm, into files $2.LIST.
scored() {
  local model=$1 name=$2 embeddings=$2.e.safetensors cohort=$2.cohort.safetensors list scores
  if [ ! -e "$embeddings" ]; then
    "$REVOX" embed "$model" --backend "$BACKEND" --data "$test_lists" -o "$embeddings" --quiet \
      > "$name.log"
  fi
  if [ ! -e "$cohort" ]; then
    "$REVOX" embed "$model" --backend "$BACKEND" --data "$train_lists" \
      --mean-by "$train_lists/utt2spk" -o "$cohort" --quiet > "$name.log"
  fi
  for list in "${trials[@]}"; do
    scores=$name.$(basename "$list" .txt)
    if [ ! -e "$scores" ]; then
      "$REVOX" score "$embeddings" "$list" --mean "$cohort" --cohort "$cohort" -o "$scores" \
        --quiet > "$name.log"
    fi
  done
}

# A table for each list of trials: error rates of these systems, and differences from the first.
compared() {
  local list files names name
  for list in "${trials[@]}"; do
    say "EER, $(basename "$list" .txt)"
    files=() names=()
    for name in "$@"; do
      files+=("$OUT/$name.$(basename "$list" .txt)")
      names+=(--name "$name")
    done
    "$REVOX" eval "${files[@]}" "${names[@]}" --utt2spk "$test_lists/utt2spk" --quiet
  done
}
