# Where what the targets run keeps its files; sourced by them, with the repository's root as the current folder.

# keep_below FOLDER: temporary files, and what tools note for themselves, go there, and with it; what makes the next run shorter goes
# below target/ci. The home folder itself stays what it is: rustup and cargo are found by it.
keep_below() {
    export TMPDIR=$1/tmp
    mkdir -p "$TMPDIR"
    # SAM's notes and layers; npm's packages and logs.
    export __SAM_CLI_APP_DIR=$1/sam npm_config_cache=$1/npm
    # What Zig, cargo-zigbuild, pip and LocalStack's plugins would keep in ~/.cache.
    export XDG_CACHE_HOME=$PWD/target/ci/cache
}
