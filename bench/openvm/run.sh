#!/usr/bin/env bash
# OpenVM 2.0.2 on the SHA-256 chain, beside which BENCHMARKS.md has ours.
#
#   bench/openvm/run.sh LINKS...      (bench/openvm/run.sh 100 1000)
#
# HEIGHT and SEGMENT_BYTES are what was best of what was tried on a machine of 24 GiB; OpenVM's own are 24 and 15 GiB, with which
# 1,000 links do not fit. The guest needs a Rust that can build `core` for RISC Zero's target: what guests/README.md says, and
# ld.lld; RUSTC and LLD name others. A first build takes a quarter of an hour.
set -euo pipefail
cd "$(dirname "$0")"
height=${HEIGHT:-20} segment_bytes=${SEGMENT_BYTES:-$((2 << 30))}
target=${CARGO_TARGET_DIR:-target}/openvm
[ $# -gt 0 ] || set -- 100

# The flags of OpenVM's own builder, which would fetch a nightly release.
flags=(-C passes=lower-atomic -C link-arg=-Ttext=0x00200800 -C link-arg=--fatal-warnings -C panic=abort
    --cfg 'getrandom_backend="custom"')
env -u RUSTFLAGS RUSTC_BOOTSTRAP=1 RUSTC="${RUSTC:-rustc}" \
    CARGO_TARGET_RISCV32IM_RISC0_ZKVM_ELF_LINKER="${LLD:-ld.lld}" \
    CARGO_ENCODED_RUSTFLAGS="$(IFS=$'\x1f' && echo "${flags[*]}")" \
    cargo build --locked --release --manifest-path guest/Cargo.toml --target-dir "$target" \
    --target riscv32im-risc0-zkvm-elf \
    -Zbuild-std=alloc,core,proc_macro,panic_abort,std -Zbuild-std-features=compiler-builtins-mem
RUSTFLAGS='-C target-cpu=native' \
    cargo build --locked --release --manifest-path host/Cargo.toml --target-dir "$target"

keys=$(mktemp)
trap 'rm -f "$keys"' EXIT
"$target/release/openvm-chain" keys "$keys" "$height"
for links; do
    echo "$links links"
    "$target/release/openvm-chain" prove "$keys" \
        "$target/riscv32im-risc0-zkvm-elf/release/openvm-sha-chain" "$links" "$segment_bytes"
done
