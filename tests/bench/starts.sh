#!/bin/sh
# How long a start takes, from the shell to the first answer of the API: with an empty state folder, and with what the demo left.
# Usage: tests/bench/starts.sh [path of the program]
set -eu
program=${1:-target/debug/tintype}
port=3199
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

milliseconds() { echo $(($(date +%s%N) / 1000000)); }

# start WHAT: one start and stop; prints how long the start took.
start() {
    began=$(milliseconds)
    "$program" --port $port --aws-port 0 --state-dir "$folder/state" > "$folder/out" 2>&1 &
    until curl -s -o "$folder/answer" http://127.0.0.1:$port/v1/health; do :; done
    echo "$1: $(($(milliseconds) - began)) ms"
    kill -INT $!
    wait $!
}

for _ in 1 2 3 4 5; do
    rm -rf "$folder/state"
    start 'empty'
done
"$program" --port $port --aws-port 0 --state-dir "$folder/state" --reset --demo > "$folder/out" 2>&1 &
until grep -q 'Look at' "$folder/out"; do sleep 1; done
kill -INT $!
wait $!
for _ in 1 2 3 4 5; do
    start 'with data'
done
