#!/usr/bin/env bash
# Lines of Rust by crate, tests apart, empty lines and comments included.
#
#   bench/lines.sh [COMMIT...]        (HEAD; of several, one table after the other)
#
# Tests are what lies in tests/ and benches/, files that are tests.rs or lie in a folder of that name, and in other files all
# that follows `#[cfg(test)] mod NAME {`.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- HEAD

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for commit in "$@"; do
    rm -rf "$dir/tree" && mkdir "$dir/tree"
    git archive "$commit" crates | tar -x -C "$dir/tree"
    echo "| crate, at $(git rev-parse --short "$commit") | lines | of tests |"
    echo "|---|---|---|"
    (cd "$dir/tree/crates" && find . -name '*.rs' -print0 | xargs -0 awk '
        function add(lines) { if (is_test) tests[crate] += lines; else code[crate] += lines }
        FNR == 1 {
            split(FILENAME, part, "/"); crate = part[2]; code[crate] += 0
            is_test = FILENAME ~ /\/(tests|benches)\/|\/tests\.rs$/
            held = 0
        }
        # What follows it says whether it is the beginning of the tests.
        held && !/^#/ { if (/^(pub(\([a-z]+\))? )?mod [a-z_]+ \{$/) is_test = 1; add(held); held = 0 }
        held || /^#\[cfg\(test\)\]$/ { held++; next }
        { add(1) }
        END {
            for (crate in code) {
                printf "| %s | %d | %d |\n", crate, code[crate], tests[crate]
                all_code += code[crate]; all_tests += tests[crate]
            }
            printf "| ~all | %d | %d |\n", all_code, all_tests
        }' | LC_ALL=C sort | sed 's/~//')
done
