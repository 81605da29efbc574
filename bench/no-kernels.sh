# For scripts that run the fast prover's tests on another target, or built in another way, without RISC Zero's C++ kernels.
# Sourced in the repository's root.

# The linker must not miss what only tests that are left out call; nor the loader, which looks it up when it is called.
ALLOW_UNRESOLVED="-Clink-arg=-Wl,--unresolved-symbols=ignore-all,-z,lazy"

# without_kernels NAME TARGET: build in the directory NAME of the target directory, with the segments that `./test.sh` made.
without_kernels() {
    local native="${CARGO_TARGET_DIR:-target}" segments=fastprove-segments-1.bin
    if [[ ! -f $native/tmp/$segments ]]; then
        echo "$0: no $native/tmp/$segments: run ./test.sh first" >&2
        exit 2
    fi
    export CARGO_TARGET_DIR="$native/$1" RISC0_SKIP_BUILD_KERNELS=1
    mkdir -p "$CARGO_TARGET_DIR/$2/tmp"
    cp "$native/tmp/$segments" "$CARGO_TARGET_DIR/$2/tmp/"
}

# test_fast_prover TARGET: all tests that call no kernel.
test_fast_prover() {
    local run=(cargo test --release --locked --target "$1" -p starling-babybear -p starling-fastprove)
    "${run[@]}" --lib -- --skip has_the_stock
    "${run[@]}" --test recursion -- lift_and_join
}
