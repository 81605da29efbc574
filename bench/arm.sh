#!/usr/bin/env bash
# The tests of the fast prover on an emulated 64-bit Arm machine: its NEON vectors, instruction by instruction. Takes half
# an hour on two cores. On an Arm machine itself, `cargo test --release -p starling-babybear -p starling-fastprove` does more.
#
# Needs Debian's packages gcc-aarch64-linux-gnu and qemu-user, and `rustup target add aarch64-unknown-linux-gnu`.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in aarch64-linux-gnu-gcc qemu-aarch64; do
    command -v "$tool" >/dev/null || { echo "$0: needs $tool: see the head of this file" >&2; exit 2; }
done
target=aarch64-unknown-linux-gnu
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/arm"
run=(cargo test --release --locked --target "$target" -p starling-babybear -p starling-fastprove)
"${run[@]}" --lib
"${run[@]}" --test recursion -- lift_and_join
