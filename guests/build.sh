#!/usr/bin/env bash
# Builds every guest from source, byte for byte as committed, packs it with RISC Zero's kernel, and makes
# the inputs (some of them name an image id).
#
#   guests/build.sh            writes bin/, image-ids.json and inputs/
#   guests/build.sh --check    compares with what is committed, writes nothing there
#
# Exit codes: 0 done or the same, 1 failed or different, 2 usage, 77 skipped (no such compiler here).
#
# The bytes depend on the compiler, its library sources, Cargo.lock and the flags below, and on nothing
# else: not on where the checkout, Cargo's home or the target directory lie. Each guest is built alone,
# since a build of the whole workspace would unify features and change the bytes.
#
#   CARGO_TARGET_DIR   where to build (default: guests/target)
#   CARGO_BUILD_JOBS   how many jobs at once (Cargo's own)
set -euo pipefail

readonly GUESTS=(bigint compose ecdsa echo evm-transfer fail keccak sha-chain sha-ecall)
readonly TARGET=riscv32im-risc0-zkvm-elf

# The compiler of the committed binaries, its library sources and its linker, as Debian installs them.
readonly GUEST_RUSTC=/usr/bin/rustc
readonly GUEST_RUSTC_VERSION=1.96.0
readonly RUST_SRC=/usr/lib/rustlib/src/rust
readonly GUEST_LINKER=/usr/bin/ld.lld-22
readonly GUEST_LINKER_VERSION=22.1.8

readonly FAILED=1 USAGE=2 SKIPPED=77

fail() {
    echo "guests/build.sh: $*" >&2
    exit "$FAILED"
}

skip() {
    echo "skipped: $*; on Debian: apt-get install --no-install-recommends rustc-web rust-web-src lld-22"
    exit "$SKIPPED"
}

check=false
case "$#:${1-}" in
0:) ;;
1:--check) check=true ;;
*)
    echo "usage: guests/build.sh [--check]" >&2
    exit "$USAGE"
    ;;
esac

# Another version would make other bytes and say nothing about the source: that is no difference, but
# nothing to compare with.
require_version() {
    local program=$1 expected=$2 found
    found=$("$program" --version 2>/dev/null) || skip "no $program here, $expected is needed"
    [[ $found == "$expected "* ]] || skip "$program is $found, $expected is needed"
}
require_version "$GUEST_RUSTC" "rustc $GUEST_RUSTC_VERSION"
require_version "$GUEST_LINKER" "Debian LLD $GUEST_LINKER_VERSION"
[[ -f $RUST_SRC/library/std/src/lib.rs ]] || skip "no sources of Rust's library in $RUST_SRC"

caller_dir=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"
guests_dir=$(pwd -P)
target_dir=${CARGO_TARGET_DIR:-$guests_dir/target}
[[ $target_dir == /* ]] || target_dir=$caller_dir/$target_dir
cargo_home=${CARGO_HOME:-$HOME/.cargo}
staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT

# The tools run here: they get the ordinary compiler, and none of the flags below.
env -u RUSTC -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_TARGET \
    cargo build --quiet --release --locked --manifest-path tools/Cargo.toml --bins \
    --target-dir "$target_dir/tools"
readonly TOOLS=$target_dir/tools/release

# The registry's folders are named in the flags, so the sources must be there first.
cargo fetch --quiet --locked

flags=(
    -C passes=lower-atomic
    -C link-arg=-Ttext=0x00200800
    -C link-arg=--fatal-warnings
    # Without page alignment the image id does not depend on the linker's version.
    -C link-arg=--nmagic
    -C panic=abort
    --cfg 'getrandom_backend="custom"'
    --remap-path-prefix "$guests_dir=/guests"
    --remap-path-prefix "$RUST_SRC=/rust"
)
for registry in "$(cd "$cargo_home" && pwd -P)"/registry/src/*; do
    flags+=(--remap-path-prefix "$registry=/registry")
done

build_guest() {
    # The linker goes into the environment: a flag would be hashed into the names of symbols.
    env -u RUSTFLAGS \
        RUSTC="$GUEST_RUSTC" \
        RUSTC_BOOTSTRAP=1 \
        RISC0_FEATURE_bigint2= \
        CARGO_TARGET_RISCV32IM_RISC0_ZKVM_ELF_LINKER="$GUEST_LINKER" \
        CARGO_ENCODED_RUSTFLAGS="$(IFS=$'\x1f' && echo "${flags[*]}")" \
        cargo build --quiet --release --locked --manifest-path "$1/Cargo.toml" \
        --target "$TARGET" --target-dir "$target_dir" \
        -Zbuild-std=core,alloc,proc_macro,panic_abort,std \
        -Zbuild-std-features=compiler-builtins-mem
}

separator=
{
    echo '{'
    for guest in "${GUESTS[@]}"; do
        build_guest "$guest" || fail "$guest did not build"
        program=$staging/$guest.bin
        image_id=$("$TOOLS/guest-pack" "$target_dir/$TARGET/release/$guest" "$program") ||
            fail "$guest could not be packed"
        sha256=$(sha256sum <"$program")
        printf '%s  "%s": {\n' "$separator" "$guest"
        printf '    "image_id": "%s",\n' "$image_id"
        printf '    "sha256": "%s",\n' "${sha256%% *}"
        printf '    "size_bytes": %d,\n' "$(wc -c <"$program")"
        printf '    "compiler": "%s",\n' "rustc $GUEST_RUSTC_VERSION"
        printf '    "linker": "%s"\n' "lld $GUEST_LINKER_VERSION"
        printf '  }'
        separator=$',\n'
    done
    printf '\n}\n'
} >"$staging/image-ids.json"
mkdir "$staging/inputs"
"$TOOLS/guest-input" shipped --image-ids "$staging/image-ids.json" "$staging/inputs"

if ! $check; then
    mkdir -p bin inputs
    mv "$staging"/*.bin bin/
    mv "$staging/image-ids.json" .
    mv "$staging"/inputs/*.bin inputs/
    exit
fi

different=()
for guest in "${GUESTS[@]}"; do
    cmp -s "$staging/$guest.bin" "bin/$guest.bin" || different+=("bin/$guest.bin")
done
cmp -s "$staging/image-ids.json" image-ids.json || different+=(image-ids.json)
diff -rq "$staging/inputs" inputs >/dev/null || different+=(inputs/)
if ((${#different[@]})); then
    fail "built from source, these differ from what is committed: ${different[*]}" \
        "(build.sh without --check rewrites them)"
fi
echo "same: ${#GUESTS[@]} guests, byte for byte"
