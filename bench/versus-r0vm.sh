#!/usr/bin/env bash
# The same guest, input, po2 and number of workers through Starling and through RISC Zero's own
# distributed prover, in turn, in one run. Prints each wall time and the ratio of each pair.
#
#   bench/versus-r0vm.sh [LINKS [PO2 [PAIRS]]]      (20 links of the SHA-256 chain, po2 16, one pair)
#
# Needs r0vm of the release that Starling is built with; R0VM names it if it is not on the PATH, as
# STARLING names a starling that is built already:
#   cargo install risc0-r0vm --version =3.1.0-rc.1
#
# Both get one worker that proves with every core, and join to one receipt. r0vm's figure is its whole
# process; Starling's too, with its node started, stopped and the receipt verified and written.
set -euo pipefail
cd "$(dirname "$0")/.."
links=${1:-20} po2=${2:-16} pairs=${3:-1}
r0vm=${R0VM:-r0vm}
command -v "$r0vm" >/dev/null || { echo "no r0vm: cargo install risc0-r0vm --version =3.1.0-rc.1" >&2; exit 2; }
starling=${STARLING:-}
if [ -z "$starling" ]; then
    cargo build --release --locked --quiet --bin starling
    starling=${CARGO_TARGET_DIR:-target}/release/starling
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# The count as a little-endian u32.
printf "\\x$(printf %02x $((links & 255)))\\x$(printf %02x $((links >> 8 & 255)))\\x$(printf %02x $((links >> 16 & 255)))\\x00" >"$dir/input"
cat >"$dir/pool.toml" <<'POOL'
[[pools]]
count = 1
task_kinds = ["Execute", "ProveSegment", "Lift", "Join", "Resolve"]
POOL

seconds() { # runs "$@" with its output in $dir/log, prints its wall time
    local start end
    start=$(date +%s.%N)
    "$@" >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
    end=$(date +%s.%N)
    awk -v a="$start" -v b="$end" 'BEGIN { printf "%.1f", b - a }'
}

echo "chain of $links, po2 $po2, one worker, $(nproc) cores; $("$starling" --version), risc0-r0vm 3.1.0-rc.1"
for pair in $(seq "$pairs"); do
    ours=$(seconds "$starling" prove guests/bin/sha-chain.bin --input "$dir/input" --segment-po2 "$po2" \
        --local 1 --data-dir "$dir/data$pair" --receipt "$dir/receipt")
    theirs=$(seconds "$r0vm" --manager --config "$dir/pool.toml" --elf guests/bin/sha-chain.bin \
        --initial-input "$dir/input" --po2 "$po2" --storage "$dir/storage$pair")
    awk -v p="$pair" -v a="$ours" -v b="$theirs" \
        'BEGIN { printf "pair %d: starling %.1f s, r0vm %.1f s, ratio %.3f\n", p, a, b, a / b }'
done
