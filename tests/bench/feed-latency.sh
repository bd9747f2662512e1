#!/bin/sh
# How long after its publication a post stands in a follower's feed, at a host that runs: from `published_at` to the answer that shows
# the post. Both clocks are this machine's. Usage: tests/bench/feed-latency.sh [URL of the API] [posts]
set -eu
api=${1:-http://127.0.0.1:3000/v1}
posts=${2:-20}
photo=docs/sample.jpg
suffix=$(date +%s)

field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
json() { curl -s -H 'Content-Type: application/json' "$@"; }
sign_up() { json "$api/accounts" -d "{\"username\": \"$1\", \"email\": \"$1@example.com\", \"password\": \"correct horse battery\"}" | field access_token; }

author=$(sign_up "author.$suffix")
follower=$(sign_up "follower.$suffix")
curl -s -o /dev/null -X PUT "$api/users/author.$suffix/follow" -H "Authorization: Bearer $follower"
size=$(wc -c < $photo | tr -d ' ')
for _ in $(seq "$posts"); do
    ticket=$(json "$api/posts" -H "Authorization: Bearer $author" -d "{\"photos\": [{\"content_type\": \"image/jpeg\", \"bytes\": $size}]}")
    post=$(echo "$ticket" | field id)
    uploaded=$(date +%s%N)
    curl -s -o /dev/null -T $photo -H 'Content-Type: image/jpeg' "$(echo "$ticket" | field url)"
    until curl -s "$api/feed?limit=1" -H "Authorization: Bearer $follower" | grep -q "$post"; do :; done
    seen=$(date +%s%N)
    published=$(date -d "$(curl -s "$api/posts/$post" | field published_at)" +%s%N)
    echo "$(((published - uploaded) / 1000000)) $(((seen - published) / 1000000))"
done | sort -n -k 2 | awk '
    { published += $1; feed[NR] = $2 }
    END {
        print NR " posts"
        print "upload begun to published: mean " int(published / NR) " ms"
        print "published to feed: median " feed[int((NR + 1) / 2)] " ms, longest " feed[NR] " ms"
    }'
