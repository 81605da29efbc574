#!/usr/bin/env bash
# Tests of the fast prover on an emulated 64-bit Arm machine: its NEON vectors, instruction by instruction. The arithmetic
# and the prover's own tests, the check polynomials of all circuits, a lift and a join, the seals of a segment. Takes an
# hour on two cores. On an Arm machine itself, `./test.sh` does more.
#
# Needs Debian's packages g++-aarch64-linux-gnu and qemu-user, and `rustup target add aarch64-unknown-linux-gnu`.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in aarch64-linux-gnu-g++ qemu-aarch64; do
    command -v "$tool" >/dev/null || { echo "$0: needs $tool: see the head of this file" >&2; exit 2; }
done
target=aarch64-unknown-linux-gnu
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/arm"
# With them the tests of seals take one guest rather than all.
export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true
run=(cargo test --release --locked --target "$target")
prover=(-p starling-babybear -p starling-fastprove)
"${run[@]}" "${prover[@]}" --lib
"${run[@]}" "${prover[@]}" --test eval_check
"${run[@]}" "${prover[@]}" --test recursion -- lift_and_join
"${run[@]}" -p starling-zkvm --lib -- backend::fast::tests::seals_of_every_guest
