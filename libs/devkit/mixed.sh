#!/bin/sh
# Builds the programs of an earlier commit (HEAD's parent, or $1) beside this one's, and runs a rolling upgrade and a
# step back between the two under load.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
commit=$(git -C "$root" rev-parse --verify "${1:-HEAD~1}^{commit}")
source="$root/target/mixed/source"
programs="$root/target/mixed/$commit"

if [ ! -x "$programs/nox-notifier" ]; then
    git -C "$root" worktree remove --force "$source" 2>/dev/null || true
    git -C "$root" worktree prune
    git -C "$root" worktree add --detach "$source" "$commit"
    # What neither commit changes of dependencies is built already.
    cargo build --manifest-path "$source/Cargo.toml" --target-dir "$root/target" --workspace --bins --locked
    mkdir -p "$programs"
    for name in gateway scheduler executor projector notifier; do
        cp "$root/target/debug/nox-$name" "$programs/"
    done
    git -C "$root" worktree remove --force "$source"
fi
cd "$root"
cargo build --workspace --bins --locked
NOX_TEST_BEFORE="$programs" cargo nextest run --workspace --locked --run-ignored only --no-capture \
    -E 'package(nox-testkit) & test(a_rolling_upgrade_and_a_step_back_under_load)'
