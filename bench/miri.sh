#!/usr/bin/env bash
# The arithmetic's tests, smaller, in the interpreter Miri: it knows undefined behaviour that leaves no trace in a run. Twice:
# with one lane, SSE2 and SSE4.1, then with AVX2 as well. It does not know AVX-512, which `bench/sanitize.sh` covers. Takes
# a quarter of an hour.
#
# Needs a nightly toolchain: `rustup toolchain install nightly --component miri,rust-src`.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo +nightly miri --version >/dev/null || { echo "$0: needs Miri: see the head of this file" >&2; exit 2; }
# Test runners read the file system and the clock. Threads of a pool outlive the tests, as they do everywhere.
export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-ignore-leaks -Zmiri-tree-borrows -Zmiri-permissive-provenance" PROPTEST_CASES=4 RAYON_NUM_THREADS=2
for features in +sse4.1 +avx2; do
    RUSTFLAGS="-Ctarget-feature=$features" cargo +nightly miri test --locked -p starling-babybear --lib
done
