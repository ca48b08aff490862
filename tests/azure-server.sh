#!/usr/bin/env bash
# A real server of Azure's blob storage (Azurite) for the tests.
#
#   tests/azure-server.sh install       puts it below target/, if it is not there
#   tests/azure-server.sh start DIR     starts one, waits until it answers, and writes DIR/env:
#                                       source it, and the tests find the server
#   tests/azure-server.sh stop DIR      ends that one, by its own process id
#
# It needs node and npm. The packages go into $ESKER_TEST_NODE, else target/test-node beside Cargo.toml.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tests/process.sh
source "$here/tests/process.sh"
node=${ESKER_TEST_NODE:-$here/target/test-node}
# The version that the tests have run with.
readonly package=azurite version=3.35.0
readonly account=eskertest container=esk

fail() {
    printf 'azure-server: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '  %s\n' "$line" >&2; done
    exit 1
}

# The stamp is written last: what was interrupted is done again.
install_server() {
    local stamp=$node/$package-$version
    [ ! -f "$stamp" ] || return 0
    command -v npm > /dev/null || fail "npm is missing" "install it: apt-get install nodejs npm"
    printf 'installing %s %s from npm into %s\n' "$package" "$version" "$node" >&2
    mkdir -p "$node"
    npm install --prefix "$node" --no-audit --no-fund --no-save --silent "$package@$version" >&2 ||
        fail "cannot install $package" "the tests need it from npm; is there a network?"
    : > "$stamp"
}

# Makes the container, and prints two signatures for it: one that may do everything, one that may read.
# Only our server knows the key that was drawn for this start.
prepare() {
    python3 - "$1" "$account" "$2" "$container" <<'PYTHON'
import base64, datetime, hashlib, hmac, sys, urllib.parse, urllib.request

endpoint, account, key, container = sys.argv[1:]

def sign(text):
    return base64.b64encode(hmac.digest(base64.b64decode(key), text.encode(), hashlib.sha256)).decode()

now = datetime.datetime.now(datetime.timezone.utc)
stamp, version = now.strftime("%a, %d %b %Y %H:%M:%S GMT"), "2021-12-02"
text = (f"PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{stamp}\nx-ms-version:{version}\n"
        f"/{account}/{account}/{container}\nrestype:container")
headers = {"x-ms-date": stamp, "x-ms-version": version,
           "Authorization": f"SharedKey {account}:{sign(text)}"}
url = f"{endpoint}/{container}?restype=container"
urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers), timeout=10)
expiry = (now + datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
for rights in ["racwdl", "rl"]:
    resource = f"/blob/{account}/{container}"
    text = "\n".join([rights, "", expiry, resource, "", "", "", version, "c", "", "", "", "", "", "", ""])
    print(urllib.parse.urlencode(
        {"sp": rights, "se": expiry, "sv": version, "sr": "c", "sig": sign(text)}))
PYTHON
}

write_env() {
    cat > "$1/env" <<ENV
export ESKER_TEST_AZURE=$2
export ESKER_TEST_AZURE_ACCOUNT=$account
export ESKER_TEST_AZURE_CONTAINER=$container
export ESKER_TEST_AZURE_KEY='$3'
export ESKER_TEST_AZURE_SAS='$4'
export ESKER_TEST_AZURE_READER_SAS='$5'
ENV
}

start_server() {
    local dir=$1 key pid endpoint='' signatures
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    stop_server "$dir"
    key=$(python3 -c 'import base64, secrets; print(base64.b64encode(secrets.token_bytes(32)).decode())')
    : > "$dir/azurite.log"
    # Port 0: the kernel gives a free one. A report home is the default.
    AZURITE_ACCOUNTS="$account:$key" node --title="azurite $dir" "$node/node_modules/azurite/dist/src/blob/main.js" \
        --silent --disableTelemetry --inMemoryPersistence --skipApiVersionCheck --disableProductStyleUrl \
        --blobHost 127.0.0.1 --blobPort 0 \
        > "$dir/azurite.log" 2>&1 < /dev/null &
    pid=$!
    echo "$pid" > "$dir/azurite.pid"
    for _ in $(seq 600); do
        kill -0 "$pid" 2> /dev/null || break
        endpoint=$(sed -n 's/.*successfully listen[a-z]* \(at\|on\) \(http:[^ ]*\).*/\2/p' "$dir/azurite.log" | head -n 1)
        [ -z "$endpoint" ] || break
        sleep 0.1
    done
    if [ -z "$endpoint" ] || ! signatures=$(prepare "$endpoint/$account" "$key"); then
        tail -n 20 "$dir/azurite.log" >&2
        stop_server "$dir"
        fail "the Azure server did not start; its last words are above"
    fi
    # shellcheck disable=SC2086 # two words
    write_env "$dir" "$endpoint/$account" "$key" $signatures
}

stop_server() {
    local dir=$1 pid
    [ -f "$dir/azurite.pid" ] || return 0
    pid=$(cat "$dir/azurite.pid")
    # The number may be somebody else's by now: ours has this directory in its title.
    if command_line "$pid" | grep -qF -- "azurite $dir"; then
        end_process "$pid" TERM
    fi
    rm -f "$dir/azurite.pid" "$dir/env"
}

case "${1:-}" in
install) install_server ;;
start)
    [ $# -eq 2 ] || fail "usage: tests/azure-server.sh start DIR"
    install_server
    start_server "$2"
    ;;
stop)
    [ $# -eq 2 ] || fail "usage: tests/azure-server.sh stop DIR"
    if [ -d "$2" ]; then stop_server "$(cd "$2" && pwd)"; fi
    ;;
*) fail "usage: tests/azure-server.sh install | start DIR | stop DIR" ;;
esac
