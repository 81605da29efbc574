#!/usr/bin/env bash
# The tests of the arithmetic under AddressSanitizer, which sees what its `unsafe` loads and stores do: on every
# instruction set that this machine has. Takes some minutes.
#
# The stable compiler ships the sanitizer, but lets nightly alone ask for it: RUSTC_BOOTSTRAP says that we know.
set -euo pipefail
cd "$(dirname "$0")/.."
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address"
# A directory of its own: nothing built like this is of use to anyone else.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/sanitizer"
cargo test --release --locked -p starling-babybear --target "$host" "$@"
