#!/usr/bin/env bash
# Looks for what `unsafe` code must not do: the tests of the arithmetic, and those of the fast prover, its constraint
# interpreter's among them, under AddressSanitizer, on every instruction set that this machine has; then a lift and a join.
# Takes a quarter of an hour on two cores.
#
# The stable compiler ships the sanitizer, but lets nightly alone ask for it: RUSTC_BOOTSTRAP says that we know.
#
# RISC Zero's C++ kernels are left out: they take half an hour to build, and only tests that compare with them call them.
# The segments that are lifted and joined come from an earlier run of `./test.sh`, since to prove them takes a kernel.
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/no-kernels.sh
host=$(rustc -vV | sed -n 's/^host: //p')
without_kernels sanitizer "$host"
# Calls go through the linkage table, as `lazy` wants it: on x86-64 Rust reads addresses from where they must be known.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Zplt=yes $ALLOW_UNRESOLVED"
# Tests of the constraint compiler leak lists on purpose, since risc0's type wants them to live for ever.
export ASAN_OPTIONS=detect_leaks=0
test_fast_prover "$host"
