# What targets read of KNOWN.md; sourced by them, with the repository's root as the current folder. They have a function `fail`.

# known TARGET: the names of the tests that are listed under that heading, one a line.
known() {
    sed -n "/^## $1\$/,/^## /s/^| \`\([^\`]*\)\` |.*/\1/p" tests/targets/KNOWN.md
}

# read_known TARGET PROGRAM...: sets $listed to the tests that are listed there, and $skips to the options that leave them out, with
# --exact. Each must be a test of PROGRAM, which is one of Rust's.
read_known() {
    local target=$1 test tests
    shift
    listed=() skips=()
    tests=$("$@" --list) || fail 'its tests do not say what they are'
    while read -r test; do
        grep -qxF "$test: test" <<< "$tests" || fail "KNOWN.md lists $test, which is no test"
        listed+=("$test")
        skips+=(--skip "$test")
    done < <(known "$target")
}

# known_must_fail PROGRAM...: runs what read_known has read. A row that is not true any more would hide what breaks next.
known_must_fail() {
    local test report
    # With no names it would run them all.
    [ "${#listed[@]}" -gt 0 ] || return 0
    report=$("$@" --exact "${listed[@]}" 2>&1) || true
    for test in "${listed[@]}"; do
        grep -qxF "test $test ... FAILED" <<< "$report" || fail "KNOWN.md lists $test, but it does not fail (any more)"
    done
}
