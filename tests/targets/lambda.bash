# Which Lambda this machine can run: sets $ARCHITECTURE, as SAM has it, and $FLAGS of `cargo lambda build`; sourced by targets.

case $(uname -m) in
    x86_64 | amd64) readonly ARCHITECTURE=x86_64 FLAGS=() ;;
    aarch64 | arm64) readonly ARCHITECTURE=arm64 FLAGS=(--arm64) ;;
    *) echo "Lambda knows no $(uname -m)" >&2; exit 1 ;;
esac
