#!/usr/bin/env bash
# Fuzzes every target for a short while: fuzz/smoke.sh [SECONDS], 20 by default. Fails at the first
# finding; the input is then in fuzz/artifacts/TARGET/. The seed is fixed, so that a change does not
# fail for what an earlier one did; long runs by hand (README.md) draw theirs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
seconds=${1:-20}
mkdir -p target
for path in fuzz_targets/*.rs; do
    target=$(basename "$path" .rs)
    echo "fuzz $target for $seconds s"
    ./run.sh "$target" -seed=2957 -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 >"target/$target.log" 2>&1 || {
        tail -n 60 "target/$target.log"
        exit 1
    }
    grep -E '^(Done|stat::(number_of_executed_units|peak_rss_mb))' "target/$target.log"
done
