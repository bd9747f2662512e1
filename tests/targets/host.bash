# What the targets share that use the AWS endpoints of the host; sourced by them, with the repository's root as the current folder.

readonly HOST=${CARGO_TARGET_DIR:-target}/debug/tintype

# start_host FOLDER [OPTION...]: builds everything and starts the host on free ports, with its state and its output in FOLDER.
# Sets $API, its base URL, and $AWS_PORT.
start_host() {
    local folder=$1
    shift
    cargo build --quiet --locked --bins
    # Its standard input is a pipe from this script: it ends when the script has ended, however that came.
    exec 9> >(exec "$HOST" --port 0 --aws-port 0 --state-dir "$folder/state" --until-stdin-closes "$@" > "$folder/host.log" 2>&1)
    host=$!
    API='' AWS_PORT=''
    local deadline=$((SECONDS + 30))
    until [ -n "$API" ] && [ -n "$AWS_PORT" ]; do
        if [ "$SECONDS" -ge "$deadline" ] || ! kill -0 "$host" 2> /dev/null; then
            echo 'the host does not start:' >&2
            cat "$folder/host.log" >&2
            return 1
        fi
        sleep 0.05
        API=$(sed -n 's/^ *API *\(http[^ ]*\).*/\1/p' "$folder/host.log")
        AWS_PORT=$(sed -n 's/^ *AWS *http:[^ ]*:\([0-9]*\) .*/\1/p' "$folder/host.log")
    done
}

# Ends the host, if one was started, and waits until it has.
stop_host() {
    [ -n "${host:-}" ] || return 0
    exec 9>&-
    wait "$host" || true
    host=''
}
