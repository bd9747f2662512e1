# What targets read of KNOWN.md; sourced by them, with the repository's root as the current folder.

# known TARGET: the names of the tests that are listed under that heading, one a line.
known() {
    sed -n "/^## $1\$/,/^## /s/^| \`\([^\`]*\)\` |.*/\1/p" tests/targets/KNOWN.md
}
