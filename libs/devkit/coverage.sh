#!/usr/bin/env bash
# Which lines of services and libs the tests run: `make coverage` calls it. It builds everything once more, into
# target/coverage, runs every test, and prints a line for each crate and one for all.
#
# Counters are kept in the mapped profile itself, so that a process that a test kills has counted as well.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=$PWD/${CARGO_TARGET_DIR:-target}/coverage
export CARGO_TARGET_DIR=$target CARGO_INCREMENTAL=0
export RUSTFLAGS="-C instrument-coverage -C llvm-args=-runtime-counter-relocation"
export LLVM_PROFILE_FILE="$target/profiles/%4m%c.profraw"

llvm() {
    local tool
    tool=$(find "$(rustc --print sysroot)" -name "$1" -print -quit)
    [ -n "$tool" ] || { rustup component add llvm-tools; tool=$(find "$(rustc --print sysroot)" -name "$1" -print -quit); }
    shift
    "$tool" "$@"
}

rm -rf "$target/profiles"
cargo build --workspace --bins --locked
# One that fails, as a test of time may among such counters, ran its lines all the same.
cargo nextest run --workspace --locked --no-fail-fast "$@" || echo "not every test passed" >&2

llvm llvm-profdata merge --sparse "$target"/profiles/*.profraw -o "$target/all.profdata"
objects=()
for program in "$target"/debug/nox-* "$target"/debug/noxctl "$target"/debug/deps/*; do
    # Programs alone, and of those which ours are.
    [ -x "$program" ] && [ -f "$program" ] && [[ $program != *.so && $program != *.d ]] || continue
    objects+=(--object "$program")
done
llvm llvm-cov export --summary-only --instr-profile "$target/all.profdata" "${objects[@]}" \
    --ignore-filename-regex '/(tests|target|registry|rustc)/' >"$target/coverage.json"
jq -r --arg root "$PWD/" '
    [.data[0].files[] | select(.filename | startswith($root))
     | {crate: (.filename | ltrimstr($root) | split("/")[:2] | join("/")), lines: .summary.lines}]
    | group_by(.crate)
    | map({crate: .[0].crate, covered: (map(.lines.covered) | add), count: (map(.lines.count) | add)})
    | (. + [{crate: "all", covered: (map(.covered) | add), count: (map(.count) | add)}])[]
    | "\(.crate)\t\(.covered) of \(.count) lines\t\(.covered * 1000 / .count | floor / 10) %"
' "$target/coverage.json" | column -t -s "$(printf '\t')"
