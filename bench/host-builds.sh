#!/usr/bin/env bash
# A host program in another workspace that proves by `starling_client::NetworkProver` needs none of RISC Zero's kernels:
# no crate that compiles them is among its dependencies. Nor does a node or its network need a database: blobs are
# whatever store they are given; nor does either know a proof system, and nothing that is released needs the fake one. And
# the fast prover and all that decides know no system at all: they compile for a browser, where there is none. (So does the
# network, for which `ring` wants a clang besides: it is not checked here.)
#   --build    also builds it, in CARGO_TARGET_DIR if that is set, and checks these for wasm32-unknown-unknown, which
#              the toolchain needs then: rustup target add wasm32-unknown-unknown
#   --both     builds a host that has RISC Zero's own prover besides, whose C++ has the names that ours has too, in both
#              orders of linking, without and with link-time optimisation, and has both provers prove. Compiles RISC Zero's
#              kernels and needs target/release/starling: half an hour and more the first time
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
host=$(mktemp -d)
trap 'rm -rf "$host"' EXIT

mkdir "$host/src"
cat >"$host/Cargo.toml" <<TOML
[package]
name = "host"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
anyhow = "1"
risc0-zkvm = { version = "=3.1.0-rc.1", default-features = false, features = ["client"] }
starling-client = { path = "$root/crates/starling-client" }
starling-types = { path = "$root/crates/starling-types" }
starling-zkvm = { path = "$root/crates/starling-zkvm" }
hex = "0.4"

TOML
# The same profile, so that the dependencies of this workspace need not be compiled twice.
sed -n '/^\[profile\.release/,$p' "$root/Cargo.toml" >>"$host/Cargo.toml"
cp "$root/crates/starling/examples/host.rs" "$host/src/main.rs"
cp "$root/Cargo.lock" "$host/Cargo.lock"

cd "$root"
# What a crate is built of, one package a line.
tree_of() {
    cargo tree --offline --locked --package "$1" --edges normal,build --prefix none --format '{p}'
}
# Fails when a crate is built of a package that matches.
without() {
    local tree
    tree=$(tree_of "$1")
    if grep -E "^($2) " <<<"$tree" >&2; then
        echo "$0: $1 depends on $3" >&2
        exit 1
    fi
}
for crate in starling-blobs starling-net starling-node starling-node-core; do
    without "$crate" 'rusqlite|libsqlite3-sys|starling-store' 'a database'
    without "$crate" 'starling-cost|starling-zkvm|starling-claims|starling-fastprove|risc0-.*' 'a proof system'
done
for crate in starling starling-client starling-zkvm; do
    without "$crate" 'starling-(fake|strangers)' 'what is there for tests'
done

cd "$host"
tree=$(cargo tree --offline --edges normal,build --prefix none --format '{p}')
kernels=$(grep -oE 'risc0-circuit-[a-z0-9]+-sys' <<<"$tree" | sort -u || true)
if [[ -n $kernels ]]; then
    echo "$0: the host depends on what compiles kernels:" $kernels >&2
    exit 1
fi
echo "no kernels among $(sort -u <<<"$tree" | wc -l) packages"
if [[ ${1:-} == --build ]]; then
    cargo build --release --offline
    cd "$root"
    wasm=wasm32-unknown-unknown
    if ! [[ -d $(rustc --print sysroot)/lib/rustlib/$wasm ]]; then
        echo "$0: this toolchain has no $wasm, for which the prover is to be checked: rustup target add $wasm" >&2
        exit 1
    fi
    cargo check --release --locked --target "$wasm" --package starling-fastprove --package starling-types \
        --package starling-swarm --package starling-blobs --package starling-proto --package starling-plan \
        --package starling-sched --package starling-job --package starling-node-core
fi
if [[ ${1:-} == --both ]]; then
    starling=${CARGO_TARGET_DIR:-$root/target}/release/starling
    [[ -x $starling ]] || { echo "$0: first: cargo build --release --bin starling" >&2; exit 1; }
    cd "$host"
    # The host of above as a part of this one.
    sed 's/^fn main/pub fn main/' src/main.rs >src/network.rs
    sed -i 's/^risc0-zkvm = .*/risc0-zkvm = { version = "=3.1.0-rc.1", features = ["prove"] }/' Cargo.toml
    printf '\n[profile.lto]\ninherits = "release"\nlto = "fat"\n' >>Cargo.toml
    for order in "risc0_zkvm starling_client" "starling_client risc0_zkvm"; do
        read -r first second <<<"$order"
        cat >src/main.rs <<RUST
extern crate $first as _;
extern crate $second as _;

mod network;

fn main() -> anyhow::Result<()> {
    network::main()?;
    let guest = std::env::args_os().nth(2).expect("network has looked");
    let elf = std::fs::read(guest)?;
    let mut env = risc0_zkvm::ExecutorEnv::builder();
    let env = env.segment_limit_po2(16).write_slice(&[3_u32]).build()?;
    let stock = risc0_zkvm::get_prover_server(&risc0_zkvm::ProverOpts::composite())?;
    stock.prove(env, &elf)?.receipt.verify(risc0_zkvm::compute_image_id(&elf)?)?;
    Ok(())
}
RUST
        for profile in release lto; do
            cargo build --profile "$profile"
            "${CARGO_TARGET_DIR:-target}/$profile/host" "$starling" "$root/guests/bin/sha-ecall.bin" "$host/data-$first-$profile"
            echo "both provers work, $first linked first, profile $profile"
        done
    done
fi
