# A Docker whose base image for functions is at hand; sourced by targets after lambda.bash, with the repository's root as the current
# folder.
#
# The one that runs, if it has the image or may fetch it. Otherwise, for root on Debian, one of our own: Debian's packages, a daemon
# with a bridge of its own and its data below target/ci, and an image made from Debian's packages in the real one's place. That has
# nothing of Lambda in it, and needs nothing: functions bring the Runtime API's client, and SAM its server.

# What SAM calls it: the base of `Runtime: provided.al2023`.
readonly BASE_IMAGE=public.ecr.aws/lambda/provided:al2023-$ARCHITECTURE
# The bridge of our own, named for this process: a sibling has another.
readonly BRIDGE_PREFIX=tintype
readonly BRIDGE=$BRIDGE_PREFIX$$
# Asked by Debian's packages whether they may start their services.
readonly SERVICE_POLICY=/usr/sbin/policy-rc.d
holds_services=''

# start_docker FOLDER: sets DOCKER_HOST if it has to start one, whose socket and output lie in FOLDER. Says why there is none.
start_docker() {
    # In the foreground: whoever ends this script's process group ends it too.
    if docker image inspect "$BASE_IMAGE" || { docker info && timeout --foreground 120 docker pull --quiet "$BASE_IMAGE"; }; then
        return
    fi &> /dev/null
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        echo 'no Docker runs that has the base image or can fetch it, and this is not root on Debian, where both can be made'
        return 1
    fi
    if ! { command -v dockerd && command -v debootstrap && command -v ip; } &> /dev/null; then
        install_docker "$1" || return 1
    fi
    start_daemon "$1" || return 1
    docker image inspect "$BASE_IMAGE" &> /dev/null || make_base_image "$1"
}

# Without the daemon that Debian's package starts, which would change the machine's firewall and routing.
install_docker() {
    local result=0
    if [ ! -e "$SERVICE_POLICY" ] && [ ! -L "$SERVICE_POLICY" ]; then
        holds_services=yes
        printf '#!/bin/sh\nexit 101\n' > "$SERVICE_POLICY"
        chmod 755 "$SERVICE_POLICY"
    fi
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends docker.io debootstrap iproute2; } \
        &> "$1/apt.log" || result=1
    release_services
    [ "$result" = 0 ] || echo "Debian's packages of Docker cannot be had: $(tail -n 1 "$1/apt.log")"
    return "$result"
}

release_services() {
    [ -n "$holds_services" ] || return 0
    rm -f "$SERVICE_POLICY"
    holds_services=''
}

# It shares nothing with a daemon that others may run, and leaves the machine's firewall and routing alone.
start_daemon() {
    export DOCKER_HOST=unix://$1/docker.sock
    daemon=''
    make_bridge &> "$1/ip.log" || { echo "this machine takes no network bridge: $(tail -n 1 "$1/ip.log")"; return 1; }
    # In a session of its own, so that a signal to all of this script's process group leaves it to stop_docker, when its containers are
    # gone; and it ends with this script, however that came.
    setsid setpriv --pdeathsig TERM dockerd --host "$DOCKER_HOST" --data-root "$PWD/target/ci/docker" --exec-root "$1/docker" \
        --pidfile "$1/docker.pid" --shutdown-timeout 5 --containerd-namespace tintype --containerd-plugins-namespace tintype-plugins \
        --bridge "$BRIDGE" --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false < /dev/null &> "$1/dockerd.log" 9>&- &
    daemon=$!
    local deadline=$((SECONDS + 30))
    until docker info &> /dev/null; do
        if [ "$SECONDS" -ge "$deadline" ] || ! kill -0 "$daemon" 2> /dev/null; then
            echo "Docker does not start here: $(grep -v level=info "$1/dockerd.log" | tail -n 1)"
            return 1
        fi
        sleep 0.1
    done
    # Of a run that was killed.
    docker container ls --all --quiet | xargs -r docker container rm --force > /dev/null
}

make_bridge() {
    local link pid net
    for link in /sys/class/net/"$BRIDGE_PREFIX"*; do
        pid=${link##*/"$BRIDGE_PREFIX"}
        # Of a run that was killed.
        [[ $pid != +([0-9]) || -e /proc/$pid ]] || ip link delete "$BRIDGE_PREFIX$pid"
    done
    # Addresses that are set aside for tests (RFC 2544).
    for net in 198.18.{0..255}; do
        [[ $(ip -4 -oneline address show) = *" $net."* ]] || break
    done
    ip link add "$BRIDGE" type bridge && ip address add "$net.1/24" dev "$BRIDGE" && ip link set "$BRIDGE" up
}

make_base_image() {
    debootstrap --variant=minbase --include=ca-certificates bookworm "$1/root" &> "$1/debootstrap.log" ||
        { echo "the stand-in for the base image cannot be made: $(tail -n 1 "$1/debootstrap.log")"; return 1; }
    mkdir -p "$1/root/var/task" "$1/root/var/runtime" "$1/root/opt"
    tar --create --directory "$1/root" . |
        docker import --change 'WORKDIR /var/task' --change 'ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime' \
            --change 'ENTRYPOINT ["/lambda-entrypoint.sh"]' - "$BASE_IMAGE" &> "$1/import.log" ||
        { echo "Docker does not take the stand-in for the base image: $(tail -n 1 "$1/import.log")"; return 1; }
    rm -rf "$1/root"
}

# Where containers find this machine.
docker_gateway() { docker network inspect bridge --format '{{(index .IPAM.Config 0).Gateway}}'; }

# stop_docker FOLDER: ends the Docker that start_docker has started.
stop_docker() {
    release_services
    [ -n "${daemon+set}" ] || return 0
    if [ -n "$daemon" ]; then
        kill "$daemon" 2> /dev/null || true
        for _ in {1..150}; do
            kill -0 "$daemon" 2> /dev/null || break
            sleep 0.1
        done
        kill -KILL "$daemon" 2> /dev/null || true
        wait "$daemon" || true
    fi
    # It leaves this one mounted.
    umount "$1/docker/netns/default" 2> /dev/null || true
    ip link delete "$BRIDGE" 2> /dev/null || true
    unset daemon
}
