#!/usr/bin/env bash
# Looks for what `unsafe` code must not do: the tests of the arithmetic, and those of the fast prover, its constraint
# interpreter's among them, under AddressSanitizer, on every instruction set that this machine has; then a lift and a join.
# Takes a quarter of an hour on two cores.
#
# The stable compiler ships the sanitizer, but lets nightly alone ask for it: RUSTC_BOOTSTRAP says that we know.
set -euo pipefail
cd "$(dirname "$0")/.."
host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/sanitizer"
export RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address
# Tests of the constraint compiler leak lists on purpose, since risc0's type wants them to live for ever.
export ASAN_OPTIONS=detect_leaks=0
run=(cargo test --release --locked --target "$host" -p starling-babybear -p starling-fastprove)
"${run[@]}" --lib
"${run[@]}" --test recursion -- lift_and_join
