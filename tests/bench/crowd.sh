# A host with people who follow each other and have posts, for the scripts beside this file, which source it. They set $TARGET (where the
# programs are) and $POSTS, and may say in `clean_up_more` what else has to end.

readonly MANY=1000000
folder=$(mktemp -d)
host=''

clean_up() {
    clean_up_more
    stop_host
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

stop_host() {
    [ -n "$host" ] || return 0
    exec 9>&-
    wait "$host" || true
    host=''
}

fail() {
    echo "$1" >&2
    tail -n 5 "$folder"/*.log >&2 || true
    exit 1
}

# until_ok COMMAND...: tries for a minute.
until_ok() {
    local deadline=$((SECONDS + 60))
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || fail "never: $*"
        sleep 0.05
    done
}

# start_host [SED EXPRESSION for the template...]: starts it on the state that there is. Sets $base and $token.
start_host() {
    local expressions=(-e "s/ThrottlingRateLimit: .*/ThrottlingRateLimit: $MANY/" -e "s/ThrottlingBurstLimit: .*/ThrottlingBurstLimit: $MANY/"
        -e "/^  UserReadsPerMinute:/,/Default:/s/Default: .*/Default: $MANY/") expression
    for expression in "$@"; do expressions+=(-e "$expression"); done
    sed "${expressions[@]}" template.yaml > "$folder/template.yaml"
    exec 9> >(exec "$TARGET/tintype" --port 0 --aws-port 0 --state-dir "$folder/state" --template "$folder/template.yaml" --until-stdin-closes > "$folder/host.log" 2>&1)
    host=$!
    until_ok grep -q Ctrl-C "$folder/host.log"
    base=$(sed -n 's/^ *API *\(http[^ ]*\).*/\1/p' "$folder/host.log")
    aws_port=$(sed -n 's/^ *AWS *http:[^ ]*:\([0-9]*\) .*/\1/p' "$folder/host.log")
    log=$folder/state/functions.log
    if [ -e "$folder/people" ]; then
        token=$(call POST /sessions -d '{"login": "felix", "password": "correct horse battery"}' | field access_token)
    else
        make_people
        touch "$folder/people"
    fi
}

# call METHOD PATH [ARGUMENT OF CURL...]: asks as whoever $token is, and fails unless it succeeds.
call() {
    local method=$1 path=$2
    shift 2
    curl --silent --show-error --fail --max-time 60 --request "$method" "$base$path" -H "Authorization: Bearer ${token:-}" \
        -H 'Content-Type: application/json' "$@" || fail "$method $path"
}

field() { grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }

sign_up() { token='' call POST /accounts -d "{\"username\": \"$1\", \"email\": \"$1@example.com\", \"password\": \"correct horse battery\"}" | field access_token; }

# Felix follows five people, who have $POSTS posts between them, follow each other and somebody whom he does not, and like him.
make_people() {
    local felix number author ticket authors=()
    felix=$(sign_up felix)
    sign_up cyd > /dev/null
    for number in 1 2 3 4 5; do
        authors+=("$(sign_up "author$number")")
        token=$felix call PUT "/users/author$number/follow" > /dev/null
        for name in felix cyd; do token=${authors[-1]} call PUT "/users/$name/follow" > /dev/null; done
    done
    for number in $(seq "$POSTS"); do
        author=${authors[$((number % 5))]}
        ticket=$(token=$author call POST /posts -d "{\"photos\": [{\"content_type\": \"image/jpeg\", \"bytes\": $(wc -c < docs/sample.jpg)}]}")
        curl --silent --show-error --fail -T docs/sample.jpg -H 'Content-Type: image/jpeg' "$(field url <<< "$ticket")"
    done
    token=$felix
    until_ok is_full
}

is_full() { [ "$(call GET "/feed?limit=$POSTS" | grep -o '"published_at"' | wc -l)" -ge "$POSTS" ]; }
