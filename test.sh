#!/usr/bin/env bash
# Passes the tests, from a fresh clone on: README.md says what to expect.
set -euo pipefail
cd "$(dirname "$0")"
cargo test --release --locked --workspace "$@"
