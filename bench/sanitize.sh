#!/usr/bin/env bash
# Looks for what `unsafe` code must not do. Takes some minutes.
#
# - The arithmetic's tests under AddressSanitizer, on every instruction set that this machine has. The stable compiler
#   ships the sanitizer, but lets nightly alone ask for it: RUSTC_BOOTSTRAP says that we know.
# - The prover's tests, its constraint interpreter's among them, under Valgrind (Debian's package `valgrind`), which executes
#   vectors up to AVX2: the sanitizer would want RISC Zero's C++ kernels built anew, half an hour's work.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "$0: needs valgrind: see the head of this file" >&2; exit 2; }
host=$(rustc -vV | sed -n 's/^host: //p')
# A directory of its own: nothing built like this is of use to anyone else.
RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/sanitizer" \
    cargo test --release --locked -p starling-babybear --target "$host"

built=$(cargo test --release --locked --workspace --lib --no-run 2>&1) || { echo "$built" >&2; exit 1; }
prover=$(sed -n 's/.*(\(.*starling_fastprove-[0-9a-f]*\))$/\1/p' <<<"$built")
valgrind -q --error-exitcode=9 "$prover"
