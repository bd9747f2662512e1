#!/usr/bin/env bash
# Home (GET /v1/home) with 1, 8 and 64 connections: with all layers of caches on, with each of them off in turn, and beside them the
# naive design (functions/home/examples/naive.rs), of the same people and posts on the same host, one after the other in one run.
# For each: requests a second, p50, p99; how many answers missed a section, and how many failed; and of the run with one connection read
# and write units, invocations and dollars for a million views. Needs wrk.
#
#   tests/bench/home.sh [SECONDS of each measurement, 5 unless told] [release or debug]
#
# Dollars are those of us-east-1, for arm64, without data transfer: REST API 3.50 a million, invocations 0.20 a million, 0.0000133334 a
# GB-second (what a function's log line says it took, so a slow machine is a dear one), read units 0.125 and write units 0.625 a million.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly DURATION=${1:-5} PROFILE=${2:-release} POSTS=${POSTS:-20}
readonly TARGET=${CARGO_TARGET_DIR:-target}/$PROFILE
naive=''

stop_naive() {
    [ -n "$naive" ] || return 0
    kill -TERM "$naive" 2> /dev/null || true
    wait "$naive" 2> /dev/null || true
    naive=''
}

clean_up_more() { stop_naive; }

# shellcheck source=crowd.sh
. tests/bench/crowd.sh

# row NAME CONNECTIONS URL LOG... : measures, and prints the row; what it cost is read from what the logs have got meanwhile.
row() {
    local name=$1 connections=$2 url=$3 logs=("${@:4}") file
    wrk --threads 1 --connections "$connections" --duration 2 --timeout 30 "${headers[@]}" "$url" > /dev/null
    for file in "${logs[@]}"; do wc -c < "$file" > "$file.begin"; done
    wrk --threads 1 --connections "$connections" --duration "$DURATION" --timeout 30 --latency "${headers[@]}" "$url" > "$folder/wrk"
    # What is under way writes its line still.
    sleep 0.5
    for file in "${logs[@]}"; do tail -c "+$(($(cat "$file.begin") + 1))" "$file"; done > "$folder/lines"
    # Costs of one connection alone: with more, functions wait for the machine's two or four cores, and are paid for it.
    awk -v row="| $name | $connections" -v alone="$([ "$connections" = 1 ] && echo 1)" -v gateway="$gateway" -v remembers="$remembers" '
        BEGIN { kinds["posts"]; kinds["people"] }
        function number(name) { return match($0, "\"" name "\":[0-9.]+") ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) : 0 }
        FILENAME ~ /wrk$/ {
            if ($1 == "50%") p50 = $2
            if ($1 == "99%") p99 = $2
            if ($1 == "Requests/sec:") rate = $2
            if ($1 == "Non-2xx") failed = $NF
            next
        }
        !/"duration_ms":/ { next }
        /"operation":"GET \/home"/ { views++; if (/"home.degraded"/) missed++ }
        {
            invocations++
            authorizer += /"service":"authorizer"/
            reads += number("dynamodb.read_units")
            writes += number("dynamodb.write_units")
            gb_seconds += number("duration_ms") / 1000 * (/"service":"users"/ ? 0.5 : 0.25)
            for (kind in kinds) {
                hits += number("cache." kind ".hits") + number("cache." kind ".joined")
                read += number("cache." kind ".misses") + number("cache." kind ".anew")
            }
        }
        END {
            printf "%s | %s | %s | %s | %d | %d |", row, rate, p50, p99, missed, failed
            if (!alone || !views) { print " | | | | | |"; exit }
            dollars = gateway + 0.20 * invocations / views + 0.0000133334 * 1e6 * gb_seconds / views + 0.125 * reads / views + 0.625 * writes / views
            if (!(hits + read) && remembers) { print "\nno line says what is remembered" > "/dev/stderr"; exit 1 }
            rate = hits + read ? sprintf("%.1f %%", 100 * hits / (hits + read)) : "-"
            asked = authorizer / views * 100
            printf " %.2f | %.2f | %.1f | %.1f %% | %s | %.2f |\n", reads / views, writes / views, invocations / views, 100 - asked, rate, dollars
        }' "$folder/wrk" "$folder/lines"
}

# measure NAME URL LOG...: a row for each number of connections. Reads $headers, and $gateway: the dollars of a million requests to it.
measure() {
    local connections
    for connections in 1 8 64; do row "$1" "$connections" "${@:2}"; done
}

command -v wrk > /dev/null || fail 'wrk is needed'
release=()
[ "$PROFILE" != release ] || release=(--release)
cargo build --quiet --locked "${release[@]}" --workspace --bins --example naive
echo "| Design | Connections | Requests/s | p50 | p99 | with a section missing | failed | RRU a view | WRU a view | invocations a view | authorizer answered by the gateway | cards from memory | dollars a million views |"
echo '|---|---|---|---|---|---|---|---|---|---|---|---|---|'
gateway=3.50 remembers=1

start_host
headers=(-H "Authorization: Bearer $token")
call GET /home > /dev/null
etag=$(call GET /home --dump-header - --output /dev/null | sed -n 's/^etag: \(.*\)\r$/\1/p')
headers=(-H "Authorization: Bearer $token" -H "If-None-Match: $etag")
measure 'all layers on' "$base/home" "$log"
headers=(-H "Authorization: Bearer $token")
measure 'no ETag sent' "$base/home" "$log"
stop_host

start_host 's/ReauthorizeEvery: .*/ReauthorizeEvery: 0/'
headers=(-H "Authorization: Bearer $token")
measure 'authorizer asked each time' "$base/home" "$log"
stop_host

without_cards='/^  CardSeconds:/,/Default:/s/Default: .*/Default: 0/'
start_host "$without_cards"
headers=(-H "Authorization: Bearer $token")
remembers=''
measure 'functions remember no cards' "$base/home" "$log"
stop_host

start_host "$without_cards"
"$TARGET/tintype" environment --template "$folder/template.yaml" --aws-port "$aws_port" > "$folder/environment"
port=$((20000 + RANDOM % 10000))
env -i $(grep -v -e RESOLVE -e '{{resolve' "$folder/environment") PATH="$PATH" "$TARGET/examples/naive" "$port" > "$folder/naive.log" 2> "$folder/naive.err" 9>&- &
naive=$!
headers=(-H "Authorization: Bearer $token")
until_ok curl --silent --fail --output /dev/null "${headers[@]}" "http://127.0.0.1:$port/home"
# On AWS it would stand behind the same gateway.
measure 'naive' "http://127.0.0.1:$port/home" "$folder/naive.log" "$log"
stop_naive
stop_host
