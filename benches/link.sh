#!/usr/bin/env bash
# The all-reduce of a step's gradients between two ranks on a simulated link, against arithmetic.
#
#   benches/link.sh [RATE]...          RATE as `tc` has it: 1gbit (the default), 100mbit, 10gbit
#
# Two network namespaces stand for two machines. A pair of virtual interfaces joins them, and `tc`
# limits both directions: netem where the kernel has it, otherwise a token bucket (tbf). Open MPI
# runs one rank in each and may use nothing but that link. COUNT is the number of gradients (those
# of ResNet34 with 5,994 classes), TIMES the number of all-reduces.
#
# Needs root, iproute2, Open MPI with mpicc, and a kernel with these parts. Where something is
# missing it says so, and its status is 77.
set -euo pipefail

count=${COUNT:-8168800} times=${TIMES:-9} here=$(cd "$(dirname "$0")" && pwd)
if [ $# -eq 0 ]; then set -- 1gbit; fi

cannot() {
  echo "$0: not measured: $1" >&2
  exit 77
}

[ "$(id -u)" -eq 0 ] || cannot "network namespaces need root"
for tool in ip tc mpicc mpirun unshare; do
  command -v "$tool" > /dev/null || cannot "there is no $tool"
done
case $(mpirun --version 2> /dev/null) in
  *"Open MPI"* | *"OpenRTE"*) ;;
  *) cannot "mpirun is not Open MPI's" ;;
esac

work=$(mktemp -d)
first=rvx$$a second=rvx$$b
finish() {
  ip netns del "$first" 2> /dev/null || true
  ip netns del "$second" 2> /dev/null || true
  rm -rf "$work"
}
trap finish EXIT

mpicc -O2 -o "$work/link" "$here/link.c" || cannot "mpicc does not compile"
for side in "$first" "$second"; do
  ip netns add "$side" 2> "$work/why" || cannot "no network namespace: $(cat "$work/why")"
done
ip link add "$first" netns "$first" type veth peer name "$second" netns "$second" \
  2> "$work/why" || cannot "no virtual interfaces: $(cat "$work/why")"
ip -n "$first" addr add 10.77.0.1/24 dev "$first"
ip -n "$second" addr add 10.77.0.2/24 dev "$second"
for side in "$first" "$second"; do
  ip -n "$side" link set lo up
  ip -n "$side" link set "$side" up
done

# Starts what mpirun wants on a host: in the namespace of that name.
cat > "$work/agent" << 'AGENT'
#!/bin/sh
host=$1
shift
exec ip netns exec "$host" unshare -u sh -c 'hostname "$0"; eval "$*"' "$host" "$@"
AGENT
chmod +x "$work/agent"

# Limits both directions to a rate. Prints with what.
limit() {
  local side kind
  for kind in "netem rate $1" "tbf rate $1 burst 256kb latency 100ms"; do
    for side in "$first" "$second"; do
      # shellcheck disable=SC2086
      tc -n "$side" qdisc replace dev "$side" root $kind 2> "$work/why" || continue 2
    done
    echo "${kind%% *}"
    return
  done
  return 1
}

sent() { ip netns exec "$first" cat "/sys/class/net/$first/statistics/tx_bytes"; }

# The bits a second of a rate.
bits() {
  case $1 in
    *gbit) echo "${1%gbit}000000000" ;;
    *mbit) echo "${1%mbit}000000" ;;
    *kbit) echo "${1%kbit}000" ;;
    *) cannot "$1 is no rate such as 1gbit" ;;
  esac
}

for rate in "$@"; do
  bits=$(bits "$rate") || exit 77
  kind=$(limit "$rate") || cannot "the kernel limits no rates: $(cat "$work/why")"
  before=$(sent)
  seconds=$(ip netns exec "$first" unshare -u sh -c 'hostname "$0"; exec "$@"' "$first" \
    timeout 300 mpirun --allow-run-as-root --bind-to none -np 2 --host "$first:1,$second:1" \
    --mca plm_rsh_agent "$work/agent" --mca pml ob1 --mca btl tcp,self \
    --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 \
    --mca mpi_yield_when_idle 1 "$work/link" "$count" "$times")
  # One more all-reduce makes the connections. Two ranks send all gradients once.
  awk -v rate="$rate" -v kind="$kind" -v seconds="$seconds" -v bits="$bits" -v count="$count" \
    -v sent="$(($(sent) - before))" -v times="$times" 'BEGIN {
      split(seconds, s, " ")
      bytes = 4 * count
      ideal = 8 * bytes / bits
      printf "%s (%s): each rank sends %.1f MB by arithmetic, %.1f MB by the interface\n",
        rate, kind, bytes / 1e6, sent / (times + 1) / 1e6
      printf "  %.4f s by arithmetic; measured %.4f s at least (%.2f times), ",
        ideal, s[1], s[1] / ideal
      printf "%.4f s in the middle (%.2f times), %.4f s at most\n", s[2], s[2] / ideal, s[3]
    }'
done
