#!/usr/bin/env bash
# Runs tampered segments through the witness functions under AddressSanitizer, each many times (100, or as often as the
# argument says), on one thread and on eight: what strangers send must be refused, and never read or write beyond what the
# functions were given. Only the C++ is instrumented; what it is given comes from the sanitizer's allocator as well. Takes
# half an hour on two cores.
#
# Needs g++ with its sanitizer library.
set -euo pipefail
cd "$(dirname "$0")/.."
host=$(rustc -vV | sed -n 's/^host: //p')
# What is built here needs the sanitizer's library to start: no other build may take it for its own.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/asan-witness"
export STARLING_WITNESS_SANITIZE=address STARLING_TAMPER_REPEATS=${1:-100}
# The sanitizer's library comes first in a program that was not linked for it. Pools of threads outlive the tests.
runner=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$host")_RUNNER
export "$runner=env LD_PRELOAD=$(g++ -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0"
cargo test --locked --release -p starling-rv32im --lib -- --nocapture witness::tests
