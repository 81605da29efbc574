#!/usr/bin/env bash
# Passes the tests, from a fresh clone on: README.md says what to expect.
#   --stock    also compares with RISC Zero's own prover and executor, live: compiles their C++, half an hour the first time
set -euo pipefail
cd "$(dirname "$0")"
features=()
if [[ ${1:-} == --stock ]]; then
    shift
    features=(--features starling/stock,starling-fastprove/stock,starling-zkvm/stock)
fi
cargo test --release --locked --workspace "${features[@]}" "$@"
