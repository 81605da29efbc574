#!/usr/bin/env bash
# What whole jobs cost, from guest to receipt: wall time, CPU-seconds and peak memory of client, nodes and provers
# together, by prover and size of segments, in turn.
#
#   bench/jobs.sh [PROVER:PO2... [-- JOB...]]
#   bench/jobs.sh fast:17 fast:18 stock:18 -- sha-chain-100 evm-1      (fast:17 and fast:18 with all jobs)
#
# Jobs: sha-chain-1 ... sha-chain-N (links), evm-1, evm-10, evm-100, keccak-1, keccak-200, compose-1 (a guest that verifies a
# receipt, which is made beforehand and not counted). With `stock` among the provers, starling is built with the feature
# `stock`, whose C++ takes half an hour the first time. STARLING names one that is built already; LOCAL is the number of
# nodes (default 1, with all cores).
#
# Memory is what is resident, added up over the processes four times a second: pages that they share count more than
# once. CPU is what was last seen of each process, so that the last quarter of a second of each is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
setups=() jobs=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do setups+=("$1"); shift; done
[ $# -gt 0 ] && shift
jobs=("$@")
[ ${#setups[@]} -gt 0 ] || setups=(fast:17 fast:18)
[ ${#jobs[@]} -gt 0 ] || jobs=(sha-chain-100 evm-1 keccak-200 compose-1)
starling=${STARLING:-}
if [ -z "$starling" ]; then
    features=()
    case " ${setups[*]}" in *" stock:"*) features=(--features starling/stock) ;; esac
    cargo build --release --locked --quiet --bin starling "${features[@]}"
    starling=${CARGO_TARGET_DIR:-target}/release/starling
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

watch_family() { # writes "CPU_S PEAK_KIB" of process $1 and its descendants to $2, until it is gone
    local pid=$1 out=$2
    while kill -0 "$pid" 2>/dev/null; do
        ps -e -o pid=,ppid=,rss=,cputimes=
        echo end
        sleep 0.25
    done | awk -v root="$pid" '
        $1 == "end" {
            total = 0
            # Parents may come after their children: look until nothing is added.
            delete of; of[root] = 1
            do {
                more = 0
                for (p in parent) if (!(p in of) && parent[p] in of) { of[p] = 1; more = 1 }
            } while (more)
            for (p in of) if (p in rss) { total += rss[p]; cpu[p] = seconds[p] }
            if (total > peak) peak = total
            delete parent; delete rss; delete seconds
            next
        }
        { parent[$1] = $2; rss[$1] = $3; seconds[$1] = $4 }
        END { for (p in cpu) sum += cpu[p]; printf "%d %d\n", sum, peak }' >"$out"
}

input_of() { # the path of the input of job $1
    local links=${1#sha-chain-}
    if [ "$links" != "$1" ]; then
        # The count as a little-endian u32.
        printf "\\x$(printf %02x $((links & 255)))\\x$(printf %02x $((links >> 8 & 255)))\\x$(printf %02x $((links >> 16 & 255)))\\x00" >"$dir/input"
        echo "$dir/input"
    else
        echo "guests/inputs/$1.bin"
    fi
}

guest_of() {
    case $1 in
    sha-chain-*) echo sha-chain ;;
    evm-*) echo evm-transfer ;;
    keccak-*) echo keccak ;;
    compose-*) echo compose ;;
    *) echo "no job $1: see the head of $0" >&2; return 2 ;;
    esac
}

prove() { # job, prover, po2, receipt
    local guest extra=()
    guest=$(guest_of "$1")
    [ "$guest" = compose ] && extra=(--assumption "$dir/assumed")
    exec "$starling" prove "guests/bin/$guest.bin" --input "$(input_of "$1")" --segment-po2 "$3" --local "${LOCAL:-1}" \
        --prover "$2" --data-dir "$dir/data" --receipt "$4" --json "${extra[@]}" >"$dir/result" 2>"$dir/log"
}

case " ${jobs[*]} " in *" compose-"*)
    "$starling" prove guests/bin/sha-ecall.bin --input guests/inputs/sha-chain-1.bin --data-dir "$dir/data" --receipt "$dir/assumed" \
        --json >/dev/null 2>"$dir/log" || { cat "$dir/log" >&2; exit 1; }
    ;;
esac

echo "$("$starling" --version), $(nproc) cores, ${LOCAL:-1} local node(s)"
printf '%-16s %-6s %4s %9s %9s %9s %9s\n' job prover po2 segments "wall s" "CPU s" "peak MiB"
for job in "${jobs[@]}"; do
    for setup in "${setups[@]}"; do
        prover=${setup%%:*} po2=${setup##*:}
        rm -rf "$dir/data"
        start=$(date +%s.%N)
        prove "$job" "$prover" "$po2" "$dir/receipt" &
        pid=$!
        watch_family "$pid" "$dir/family" &
        watcher=$!
        wait "$pid" || { cat "$dir/log" "$dir/result" >&2; exit 1; }
        end=$(date +%s.%N)
        wait "$watcher"
        read -r cpu peak <"$dir/family"
        segments=$(sed -E 's/.*"segments": *([0-9]+).*/\1/' "$dir/result" | tail -1)
        awk -v j="$job" -v p="$prover" -v q="$po2" -v n="$segments" -v w="$(awk -v a="$start" -v b="$end" 'BEGIN { print b - a }')" -v c="$cpu" -v m="$peak" \
            'BEGIN { printf "%-16s %-6s %4d %9s %9.1f %9d %9.0f\n", j, p, q, n, w, c, m / 1024 }'
    done
done
