#!/usr/bin/env bash
# Records anew what the tests compare with where the stock prover and executor are not compiled: segments of every
# shipped guest, and receipts of segments. Compiles RISC Zero's C++; `git diff` shows what changed. Single digests (of keccak
# proofs, constraints, programs and image ids) are constants beside their tests: `./test.sh --stock` makes each anew and says
# both where they differ.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --release --locked -p starling-zkvm --features stock --lib -- --ignored record
cargo test --release --locked -p starling-fastprove --features stock --test recursion -- --ignored record
