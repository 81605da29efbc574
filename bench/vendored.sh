#!/usr/bin/env bash
# Builds the crates whose build scripts read the sources of published crates as a packager does: from a vendored directory,
# offline, with an empty cargo home. Downloads nothing if cargo's registry has everything; takes some minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cargo package --workspace --no-verify --allow-dirty --offline --target-dir "$work/package" --quiet
# What a package includes has to be in it.
mkdir "$work/packages"
for package in "$work"/package/package/*.crate; do tar --extract --gzip --directory "$work/packages" --file "$package"; done
grep --recursive --extended-regexp --only-matching --include='*.rs' 'include_(bytes|str)!\("[^"]+"' "$work/packages" |
    while IFS=: read -r source include; do
        path=$(dirname "$source")/$(cut --delimiter='"' --fields=2 <<<"$include")
        [ -e "$path" ] || { echo "$source includes $path, which its package has not" >&2; exit 1; }
    done
echo "every crate can be packaged, with all that it includes"

mkdir "$work/home"
cargo vendor --locked --offline --quiet "$work/vendor" >"$work/home/config.toml"
export CARGO_HOME=$work/home CARGO_TARGET_DIR=$work/target
crates=(-p starling-rv32im -p starling-programs -p starling-fastprove)
cargo build --release --locked --offline "${crates[@]}"
cargo doc --release --locked --offline --no-deps "${crates[@]}"
echo "built from a vendored directory"
