# Sourced by the commands beside it: a virtual environment in .venv with Hermes in it, made once and kept.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
venv=${HERMES_VENV:-$root/.venv}
python=${PYTHON:-python3}

say() { printf '\033[1m== %s\033[0m\n' "$*"; }
fail() { printf '\033[31m%s\033[0m\n' "$*" >&2; exit 1; }

# Installs Hermes with the given extra ("" or "[dev]") unless that has been done for this setup.cfg.
setUp() {
    local extra=$1 stamp
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "Hermes needs Python 3.11 or later; \"$python\" is not. Set PYTHON=/path/to/python3.11."
    stamp=$venv/.hermes-$(cat setup.cfg pyproject.toml | cksum | cut -d' ' -f1)$extra
    if [ -e "$stamp" ]; then
        say "Using the virtual environment in ${venv#"$root"/}"
    else
        say "Setting up a virtual environment in ${venv#"$root"/} (once; about a minute)"
        "$python" -m venv "$venv" ||
            fail "Could not make a virtual environment. On Debian: apt-get install python3-venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".$extra" ||
            fail "Could not install Hermes's requirements; see above."
        touch "$stamp"
    fi
    export PATH="$venv/bin:$PATH"
    # Hundreds of processes are started from here: what Python has compiled for the first is there for the others.
    unset PYTHONDONTWRITEBYTECODE
}

# NDNts, a peer to test against that comes from npm: in the directory of the virtual environment, once for each list of
# packages.
setUpNDNts() {
    local from=$root/hermes/test/interop/ndnts to=$venv/ndnts
    cmp -s "$from/package-lock.json" "$to/.installed" && return
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
        say "Not installed, so the tests with NDNts skip: nodejs npm"
        return
    fi
    say "Installing NDNts to test against (once)"
    rm -rf "$to"
    mkdir -p "$to" && cp "$from"/package*.json "$to" &&
        (cd "$to" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier) >/dev/null 2>&1 &&
        cp "$from/package-lock.json" "$to/.installed" || say "could not: the tests with it skip"
}
