#!/usr/bin/env bash
# Looks for what `unsafe` code must not do: the tests of the arithmetic, and those of the fast prover, its constraint
# interpreter's among them, under AddressSanitizer, on every instruction set that this machine has; then a lift and a join,
# and the seals of a segment. Assertions and checks of debug builds are compiled in: that every word that a transform is
# handed is an element, for one. Takes half an hour on two cores.
#
# The stable compiler ships the sanitizer, but lets nightly alone ask for it: RUSTC_BOOTSTRAP says that we know.
set -euo pipefail
cd "$(dirname "$0")/.."
host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/sanitizer"
export RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address
export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true
# Tests of the constraint compiler leak lists on purpose, since risc0's type wants them to live for ever.
export ASAN_OPTIONS=detect_leaks=0
run=(cargo test --release --locked --target "$host")
prover=(-p starling-babybear -p starling-fastprove)
"${run[@]}" "${prover[@]}" --lib
"${run[@]}" "${prover[@]}" --test recursion -- lift_and_join
"${run[@]}" -p starling-zkvm --lib -- backend::fast::tests::seals_of_every_guest
