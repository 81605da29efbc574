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
# Both get one worker that proves with every core, cut at the same po2 and join to one receipt; the script
# fails when they did not cut into as many segments. r0vm is asked over its REST API, since its command line
# cuts at its default po2 whatever it is told, and timed from the request to the answer that it is done, with
# the server and its worker up before. Starling's figure is its whole process: its node is started, the receipt
# verified and written, the node stopped.
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

json() { # the value of the field $1 of the JSON object on stdin
    sed -E "s/.*\"$1\": *\"?([^,\"}]*).*/\1/"
}

api=127.0.0.1:${R0VM_PORT:-18090}
call() { curl --silent --show-error --fail --header 'x-api-key: bench' --header 'content-type: application/json' "$@"; }

ask_r0vm() { # proves the chain through r0vm; prints "SECONDS SEGMENTS"
    local pair=$1 image input_id=00000000-0000-4000-8000-000000000000 job status start end
    "$r0vm" --manager --config "$dir/pool.toml" --api "$api" --po2 "$po2" --storage "$dir/storage$pair" \
        >"$dir/r0vm.log" 2>&1 &
    local server=$!
    # This function runs in a subshell of its own, and so does its trap.
    trap 'kill -9 "$server" 2>/dev/null || true' EXIT
    for _ in $(seq 100); do curl --silent --output /dev/null "$api" && break; sleep 0.1; done
    image=$("$starling" inspect guests/bin/sha-chain.bin --json | json image_id)
    call --request PUT --data-binary @guests/bin/sha-chain.bin "$api/images/upload/$image"
    call --request PUT --data-binary @"$dir/input" "$api/inputs/upload/$input_id"
    start=$(date +%s.%N)
    job=$(call --data "{\"img\":\"$image\",\"input\":\"$input_id\",\"assumptions\":[],\"execute_only\":false}" \
        "$api/sessions/create" | json uuid)
    while status=$(call "$api/sessions/status/$job") && [ "$(json status <<<"$status")" = RUNNING ]; do sleep 0.5; done
    end=$(date +%s.%N)
    # It puts a mere SIGTERM off until its task is done.
    kill -9 "$server"
    wait "$server" 2>/dev/null || true
    [ "$(json status <<<"$status")" = SUCCEEDED ] || { echo "r0vm: $status" >&2; exit 1; }
    awk -v a="$start" -v b="$end" -v n="$(json segments <<<"$status")" 'BEGIN { printf "%.1f %d", b - a, n }'
}

ask_starling() { # the same through Starling
    local start end result
    start=$(date +%s.%N)
    result=$("$starling" prove guests/bin/sha-chain.bin --input "$dir/input" --segment-po2 "$po2" --local 1 \
        --data-dir "$dir/data$1" --receipt "$dir/receipt" --json 2>"$dir/starling.log")
    end=$(date +%s.%N)
    awk -v a="$start" -v b="$end" -v n="$(json segments <<<"$result")" 'BEGIN { printf "%.1f %d", b - a, n }'
}

echo "chain of $links, po2 $po2, one worker, $(nproc) cores; $("$starling" --version), risc0-r0vm 3.1.0-rc.1"
for pair in $(seq "$pairs"); do
    read -r ours our_segments <<<"$(ask_starling "$pair")"
    read -r theirs their_segments <<<"$(ask_r0vm "$pair")"
    [ "$our_segments" = "$their_segments" ] ||
        { echo "starling cut into $our_segments segments, r0vm into $their_segments" >&2; exit 1; }
    awk -v p="$pair" -v n="$our_segments" -v a="$ours" -v b="$theirs" \
        'BEGIN { printf "pair %d: %d segments, starling %.1f s, r0vm %.1f s, ratio %.3f\n", p, n, a, b, a / b }'
done
