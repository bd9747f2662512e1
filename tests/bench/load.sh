#!/usr/bin/env bash
# Requests a second and latency of two reads, with 1, 8 and 64 connections, and the time from a start to the first answer: of this
# repository's own host, of `cargo lambda watch` (which has that host's AWS endpoints), and of MiniStack, with the same functions
# built for release, one after the other in one run. Needs wrk, and what tests/targets/ministack needs.
#
#   tests/bench/load.sh [SECONDS of each measurement, 5 unless told]
#
# Run tests/targets/ministack once before: it installs cargo-lambda.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly DURATION=${1:-5} HOST=target/release/tintype
export PATH="$PWD/target/ci/venv/bin:$PATH"
folder=$(mktemp -d)
watch='' ministack='' host=''

clean_up() {
    end "$watch"
    end "$ministack"
    stop_host
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# TERM: what a script starts in the background never sees INT.
end() {
    [ -n "$1" ] || return 0
    kill -TERM "$1" 2> /dev/null || true
    wait "$1" 2> /dev/null || true
}

stop_host() {
    [ -n "$host" ] || return 0
    exec 9>&-
    wait "$host" || true
    host=''
}

# until_said PATTERN FILE PROCESS: waits until the process has written it there.
until_said() {
    local deadline=$((SECONDS + 2400))
    until grep -q "$1" "$2"; do
        kill -0 "$3" 2> /dev/null && [ "$SECONDS" -lt "$deadline" ] || fail "it never said $1"
        sleep 0.01
    done
}

fail() {
    echo "$1" >&2
    tail -n 20 "$folder"/*.log >&2 || true
    exit 1
}

# call METHOD PATH [ARGUMENT OF CURL...]: asks $base as whoever $token is, and fails unless it succeeds.
call() {
    local method=$1 path=$2
    shift 2
    curl --silent --show-error --fail --max-time 60 --request "$method" "$base$path" -H "Authorization: Bearer $token" \
        -H 'Content-Type: application/json' "$@" || fail "$method $path"
}

field() { grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }

now() { date +%s%3N; }

# first_answer SINCE: waits until the API answers, and says how long that took since then (ms).
first_answer() {
    until curl --silent --fail --max-time 60 --output /dev/null "$base/health"; do
        [ $(($(now) - $1)) -lt 600000 ] || fail 'no answer in ten minutes'
    done
    echo "$(($(now) - $1)) ms"
}

# Two people, one of whom follows the other, who has five published posts. Sets $token to the follower's.
make_people() {
    local felix post ticket
    token=''
    felix=$(call POST /accounts -d '{"username": "felix", "email": "felix@example.com", "password": "correct horse battery"}' | field access_token)
    token=$(call POST /accounts -d '{"username": "iris", "email": "iris@example.com", "password": "correct horse battery"}' | field access_token)
    token=$felix call PUT /users/iris/follow > /dev/null
    for _ in 1 2 3 4 5; do
        ticket=$(call POST /posts -d "{\"photos\": [{\"content_type\": \"image/jpeg\", \"bytes\": $(wc -c < docs/sample.jpg)}]}")
        post=$(field id <<< "$ticket")
        curl --silent --show-error --fail -T docs/sample.jpg -H 'Content-Type: image/jpeg' "$(field url <<< "$ticket")"
    done
    token=$felix
    for _ in $(seq 600); do
        [ "$(call GET /feed | grep -o '"id":"[^"]*","author"' | wc -l)" -lt 5 ] || return 0
        sleep 0.1
    done
    fail "the feed does not fill: the last post is $post: $(call GET /feed)"
}

# measure NAME: a row of the table for each read and number of connections.
measure() {
    local path connections header
    for path in /users/iris /feed; do
        # A profile is for everybody, a feed for whoever has the token.
        header='Accept: application/json'
        [ "$path" != /feed ] || header="Authorization: Bearer $token"
        for connections in 1 8 64; do
            # Two seconds to start as many workers as it takes.
            wrk --threads 1 --connections "$connections" --duration 2 --timeout 30 -H "$header" "$base$path" > /dev/null
            wrk --threads 1 --connections "$connections" --duration "$DURATION" --timeout 30 --latency -H "$header" "$base$path" \
                > "$folder/wrk.log"
            # wrk calls it a time-out where nothing was answered at all, and counts no failure if it asked but once.
            grep -q '^Requests/sec: *0.00' "$folder/wrk.log" && { echo "| $1 | $path | $connections | no answer | | |"; continue; }
            grep -q -e 'Non-2xx' -e 'Socket errors' "$folder/wrk.log" && fail "$1: $path with $connections connections has failures"
            awk -v row="| $1 | $path | $connections" '$1 == "50%" { p50 = $2 } $1 == "99%" { p99 = $2 } $1 == "Requests/sec:" { rate = $2 }
                END { print row " | " rate " | " p50 " | " p99 " |" }' "$folder/wrk.log"
        done
    done
}

for tool in wrk cargo-lambda curl; do
    command -v "$tool" > /dev/null || fail "$tool is needed (tests/targets/ministack installs cargo-lambda)"
done
# The functions for `cargo lambda watch`, too: what it has to build it builds at the first request.
cargo build --quiet --release --locked --bins
# What the gateway and the edge admit is not what is measured.
readonly MANY=1000000
sed -e "s/ThrottlingRateLimit: .*/ThrottlingRateLimit: $MANY/" -e "s/ThrottlingBurstLimit: .*/ThrottlingBurstLimit: $MANY/" \
    -e "/^  UserReadsPerMinute:/,/Default:/s/Default: .*/Default: $MANY/" template.yaml > "$folder/template.yaml"
export TINTYPE_PARAMETERS="UserReadsPerMinute=$MANY"

echo '| Host | GET /v1... | Connections | Requests/s | p50 | p99 |'
echo '|---|---|---|---|---|---|'

since=$(now)
exec 9> >(exec "$HOST" --port 0 --aws-port 0 --state-dir "$folder/state" --template "$folder/template.yaml" --until-stdin-closes > "$folder/host.log" 2>&1)
host=$!
until_said Ctrl-C "$folder/host.log" "$host"
base=$(sed -n 's/^ *API *\(http[^ ]*\).*/\1/p' "$folder/host.log")
aws_port=$(sed -n 's/^ *AWS *http:[^ ]*:\([0-9]*\) .*/\1/p' "$folder/host.log")
host_start=$(first_answer "$since")
idle=$(ps -o rss= -p "$host")
make_people
measure 'this host'
loaded=$(ps -o rss= -p "$host")

"$HOST" environment --aws-port "$aws_port" > "$folder/environment"
port=$((20000 + RANDOM % 10000))
since=$(now)
cargo-lambda lambda watch --release --ignore-changes --invoke-address 127.0.0.1 --invoke-port "$port" --env-file "$folder/environment" \
    < /dev/null > "$folder/watch.log" 2>&1 9>&- &
watch=$!
base=http://127.0.0.1:$port/v1
watch_start=$(first_answer "$since")
call GET /users/iris > /dev/null
call GET /feed > /dev/null
measure 'cargo lambda watch'
end "$watch"
watch=''
stop_host

tests/targets/ministack --serve > "$folder/ministack.log" 2>&1 < /dev/null &
ministack=$!
until_said '^AWS ' "$folder/ministack.log" "$ministack"
# Without the front that plays its CDN.
base=$(sed -n 's/^API, no CDN before it *\(http.*\)$/\1/p' "$folder/ministack.log")
ministack_first=$(first_answer "$(now)")
make_people
measure MiniStack

echo
echo "start to first answer: this host $host_start; cargo lambda watch $watch_start;"
echo "MiniStack: $(grep -e 'MiniStack starts:' -e 'sam deploy:' "$folder/ministack.log" | sed 's/^-- //' | paste -s -d ',' -), then $ministack_first"
echo "memory of this host's own process: $((idle / 1024)) MiB idle, $((loaded / 1024)) MiB after the load"
