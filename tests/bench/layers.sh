#!/usr/bin/env bash
# How often the outer layers answer, so that nothing of ours has to: the browser (which keeps what is immutable, and asks for the rest with
# the ETag that it has) and the CDN. The CDN is nginx here, which keeps what the answers' headers allow, below /media as the template has
# it; the browsers are curl and a list of what each of them has. Needs nginx.
#
#   tests/bench/layers.sh [release or debug]

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly PROFILE=${1:-release} POSTS=20 VIEWERS=20 LOOKS=2000 VIEWS=100 CHANGES_EVERY=20
readonly TARGET=${CARGO_TARGET_DIR:-target}/$PROFILE

clean_up_more() { [ ! -e "$folder/nginx.pid" ] || kill "$(cat "$folder/nginx.pid")" || true; }

# shellcheck source=crowd.sh
. tests/bench/crowd.sh

start_cdn() {
    cdn=$((20000 + RANDOM % 10000))
    cat > "$folder/nginx.conf" << END
# One process, so that it may use the folder.
master_process off;
pid $folder/nginx.pid;
error_log $folder/nginx.err;
events {}
http {
    proxy_cache_path $folder/cdn keys_zone=cdn:1m;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/temp;
    fastcgi_temp_path $folder/temp;
    uwsgi_temp_path $folder/temp;
    scgi_temp_path $folder/temp;
    log_format status '\$upstream_cache_status';
    access_log $folder/cdn.log status;
    server {
        listen 127.0.0.1:$cdn;
        location /media/ { proxy_pass ${base%/v1}; proxy_cache cdn; }
    }
}
END
    nginx -c "$folder/nginx.conf"
    until_ok test -s "$folder/nginx.pid"
}

# Of the photographs of the feed each look is at one, in the sizes of a list and of a detail: the first of them most of all (Zipf).
looks() {
    awk -v urls="$folder/urls" -v looks="$LOOKS" -v viewers="$VIEWERS" 'BEGIN {
        while ((getline url < urls) > 0) { all[n++] = url; sum += 1 / n; upto[n] = sum }
        srand(7)
        for (look = 0; look < looks; look++) {
            at = rand() * sum
            for (rank = 1; upto[rank] < at; rank++);
            print int(rand() * viewers), all[rank - 1]
        }
    }'
}

media() {
    local viewer url asked=0
    mkdir "$folder/browsers"
    call GET "/feed?limit=$POSTS" | grep -oE '"url":"/media/[^"]*(w320|w640)[^"]*"' | cut -d '"' -f 4 > "$folder/urls"
    [ "$(wc -l < "$folder/urls")" -ge "$POSTS" ] || fail 'the feed shows no photographs'
    while read -r viewer url; do
        if grep -qsxF "$url" "$folder/browsers/$viewer"; then continue; fi
        asked=$((asked + 1))
        curl --silent --show-error --fail --output /dev/null --dump-header "$folder/headers" "http://127.0.0.1:$cdn$url" || fail "$url"
        ! grep -qiE '^cache-control:.*max-age=31536000.*immutable' "$folder/headers" || echo "$url" >> "$folder/browsers/$viewer"
    done < <(looks)
    echo "| browser, photographs | $LOOKS looks of $VIEWERS people at $(wc -l < "$folder/urls") files, Zipf | $(share $((LOOKS - asked)) "$LOOKS") |"
    echo "| CDN, photographs | the $asked that browsers asked for | $(share "$(grep -c HIT "$folder/cdn.log")" "$asked") |"
}

share() { awk -v part="$1" -v whole="$2" 'BEGIN { printf "%.1f %%", 100 * part / whole }'; }

# views PATH NAME: looked at again and again with the ETag of the last time; now and then something of it changes.
views() {
    local path=$1 name=$2 view status etag='' unchanged=0 whole=0
    for view in $(seq "$VIEWS"); do
        [ $((view % CHANGES_EVERY)) -ne 0 ] || change "$view"
        status=$(call GET "$path" -H "If-None-Match: ${etag:-\"\"}" --output "$folder/body.json" --dump-header "$folder/headers" --write-out '%{http_code}')
        case $status in
            304) unchanged=$((unchanged + 1)) ;;
            200) whole=$(wc -c < "$folder/body.json") ;;
            *) fail "$path: $status" ;;
        esac
        etag=$(sed -n 's/^etag: \(.*\)\r$/\1/p' "$folder/headers")
    done
    echo "| browser, \`GET $name\` | $VIEWS views, a change before every ${CHANGES_EVERY}th; $whole bytes are not sent | $(share "$unchanged" "$VIEWS") |"
}

# Somebody who is shown in all of it gets another name.
change() {
    local name=$1
    token=$author call PATCH /me -d "{\"display_name\": \"Author $name\"}" > /dev/null
}

command -v nginx > /dev/null || fail 'nginx is needed'
release=()
[ "$PROFILE" != release ] || release=(--release)
cargo build --quiet --locked "${release[@]}" --workspace --bins --example naive
# A change shows at once: what functions remember would hide some of them.
start_host '/^  CardSeconds:/,/Default:/s/Default: .*/Default: 0/'
start_cdn
author=$(call POST /sessions -d '{"login": "author1", "password": "correct horse battery"}' | field access_token)
post=$(call GET '/users/author1/posts?limit=1' | field id)
echo '| Layer | Load | answered by it |'
echo '|---|---|---|'
media
views /home /home
views /users/author1 '/users/{username}'
views "/posts/$post" '/posts/{id}'
