#!/usr/bin/env bash
# The tests of the fast prover on an emulated 64-bit Arm machine: its NEON vectors, instruction by instruction. Takes half
# an hour on two cores. On an Arm machine itself, `cargo test --release -p starling-babybear -p starling-fastprove` does more.
#
# Needs Debian's packages gcc-aarch64-linux-gnu and qemu-user, and `rustup target add aarch64-unknown-linux-gnu`.
#
# RISC Zero's C++ kernels are left out: they take half an hour to build, and only tests that compare with them call them.
# The segments that are lifted and joined come from an earlier run of `./test.sh`, since to prove them takes a kernel.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in aarch64-linux-gnu-gcc qemu-aarch64; do
    command -v "$tool" >/dev/null || { echo "$0: needs $tool: see the head of this file" >&2; exit 2; }
done
target=aarch64-unknown-linux-gnu
segments=fastprove-segments-1.bin
native="${CARGO_TARGET_DIR:-target}"
[[ -f $native/tmp/$segments ]] || { echo "$0: no $native/tmp/$segments: run ./test.sh first" >&2; exit 2; }

export CARGO_TARGET_DIR="$native/arm"
mkdir -p "$CARGO_TARGET_DIR/$target/tmp"
cp "$native/tmp/$segments" "$CARGO_TARGET_DIR/$target/tmp/"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-Clink-arg=-Wl,--unresolved-symbols=ignore-all"
export RISC0_SKIP_BUILD_KERNELS=1
run=(cargo test --release --locked --target "$target" -p starling-babybear -p starling-fastprove)
"${run[@]}" --lib -- --skip has_the_stock
"${run[@]}" --test recursion -- lift_and_join
