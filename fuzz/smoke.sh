#!/usr/bin/env bash
# Fuzzes every target for a short while: fuzz/smoke.sh [SECONDS], 220 by default for all targets
# together, so that a new one makes it no longer. Fails at the first finding; the input is then in
# fuzz/artifacts/TARGET/. The seed is fixed, so that a change does not fail for what an earlier one did;
# long runs by hand (README.md) draw theirs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
targets=(fuzz_targets/*.rs)
seconds=$((${1:-220} / ${#targets[@]}))
[ "$seconds" -ge 1 ] || { echo "expected at least ${#targets[@]} seconds, one a target" >&2; exit 2; }
mkdir -p target
for path in "${targets[@]}"; do
    target=$(basename "$path" .rs)
    echo "fuzz $target for $seconds s"
    ./run.sh "$target" -seed=2957 -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 >"target/$target.log" 2>&1 || {
        tail -n 60 "target/$target.log"
        exit 1
    }
    grep -E '^(Done|stat::(number_of_executed_units|peak_rss_mb))' "target/$target.log"
done
