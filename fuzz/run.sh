#!/usr/bin/env bash
# Fuzzes every target, or those that are named, for SECONDS each: fuzz/run.sh SECONDS [TARGET...]
# Exits with 1 when a rule broke; the input that broke it is then in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "usage: fuzz/run.sh SECONDS [TARGET...]" >&2; exit 2; }
shift

cargo fuzz --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-fuzz

# No address sanitizer, which needs nightly and finds little in code without `unsafe`. No `cfg(fuzzing)`
# either, which makes some dependencies behave otherwise than they do for users. Debug assertions are
# Cargo.toml's business: with --release, cargo-fuzz does not turn them on for every crate.
flags=(--release --sanitizer none --no-cfg-fuzzing)

targets=("$@")
if [[ ${#targets[@]} -eq 0 ]]; then
    mapfile -t targets < <(cargo fuzz list)
fi
cargo fuzz build "${flags[@]}"

broken=()
for target in "${targets[@]}"; do
    printf '\n== %s ==\n' "$target"
    folders=("corpus/$target" "seeds/$target")
    mkdir -p "${folders[0]}"
    cargo fuzz run "${flags[@]}" "$target" "${folders[@]}" -- \
        -max_total_time="$seconds" -print_final_stats=1 || broken+=("$target")
done

if [[ ${#broken[@]} -gt 0 ]]; then
    printf '\nbroken: %s\n' "${broken[*]}"
    exit 1
fi
