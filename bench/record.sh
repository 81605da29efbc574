#!/usr/bin/env bash
# Records anew what the tests compare with where the stock prover and executor are not compiled. Compiles RISC Zero's C++, and
# takes half an hour beside that; `git diff` shows what changed.
#
#   seals of segments                crates/starling-zkvm/src/backend/fast/recorded-seals.txt
#   segments of guests, and paging   crates/starling-zkvm/tests/data/segments.json
#   receipts of segments             crates/starling-fastprove/tests/data/segments.bin
#   receipts whose fields change     crates/starling-zkvm/tests/data/receipts
#   keccak: traces and seals         crates/starling-fastprove/src/keccak/recorded.txt
#   check polynomials                crates/starling-fastprove/tests/columns/recorded.txt
#   columns of segments              crates/starling-rv32im/src/witness/recorded.txt
#
# By hand, for each is one word beside its test, which `./test.sh --stock` compares live or which cannot change without its
# test saying both values: the traces of recursion programs (`recursion/witness/tests.rs` of fastprove), the control id of the
# test program and the seals of lifts and a join, which are our own (`tests/recursion.rs` there; receipts of segments that were
# recorded anew have other lifts), a keccak claim (`leaf.rs` of zkvm), and the id of an empty memory (`tests.rs` of image).
set -euo pipefail
cd "$(dirname "$0")/.."
# What records fails without it, so that `--ignored` runs of the tests never change what is compared with.
export STARLING_RECORD=1
cargo test --release --locked -p starling-zkvm --features stock --lib --test fields -- --ignored record
cargo test --release --locked -p starling-rv32im --features stock --lib -- --ignored record
cargo test --release --locked -p starling-fastprove --features stock --lib --test recursion --test stock_eval_check -- \
    --ignored record
