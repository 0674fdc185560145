#!/usr/bin/env bash
# Sets up .venv next to this file if needed, then runs the demo, the tests or any abaw command.
set -euo pipefail

root=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
venv=$root/.venv
begun=$venv/.setup-begun # written when this script creates the environment
stamp=$venv/.setup-done  # written when everything is installed; has the fingerprint of its sources
needed_gib=8

usage() {
    cat <<'END'
usage: ./run.sh              set up, then run the demo (abaw demo)
       ./run.sh setup        set up only
       ./run.sh test         set up, then run all tests that are not marked slow
       ./run.sh test ...     arguments go to pytest; everything: ./run.sh test -m 'slow or not slow'
       ./run.sh abaw ...     set up, then run any abaw command, for instance: ./run.sh abaw doctor
PYTHON=/path/to/python chooses the Python (3.11 or newer) for .venv.
END
}

say() { printf 'run.sh: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

# Finds the first Python that is new enough and can create virtual environments; sets $python.
find_python() {
    local candidate version old='' bare=''
    local -a candidates=(python3.13 python3.12 python3.11 python3 python)
    [[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        # Asking for the version also skips launchers whose Python is not installed.
        version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        if ! "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            old=${old:-"$candidate is Python $version"}
        elif ! "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            bare=${bare:-$version}
        else
            python=$candidate
            return
        fi
    done
    [[ -z $bare ]] || fail "Python $bare lacks the venv module; install it: sudo apt install python$bare-venv"
    local advice='install it (sudo apt install python3.11 python3.11-venv) or name one: PYTHON=/path/to/python ./run.sh'
    [[ -z $old ]] || fail "Python 3.11 or newer is needed, but $old; $advice"
    [[ -z ${PYTHON:-} ]] || fail "PYTHON=$PYTHON does not run; Python 3.11 or newer is needed"
    fail "Python 3.11 or newer is needed, and none was found; $advice"
}

# Sources of the environment: project metadata, Python, location. Prints nothing when .venv has no working Python.
fingerprint() {
    local version
    version=$("$venv/bin/python" -c 'import sys
if sys.prefix != sys.argv[1]: sys.exit(1)
print("%d.%d" % sys.version_info[:2])' "$venv" 2>/dev/null) || return 0
    printf '%s %s %s\n' "$(sha256sum <"$root/pyproject.toml" | cut -d ' ' -f 1)" "$version" "$venv"
}

is_ready() {
    local now
    now=$(fingerprint)
    [[ -n $now && -f $stamp && $now == "$(<"$stamp")" ]]
}

free_gib() { df -Pk -- "$1" | awk 'NR == 2 { print int($4 / 1048576) }'; }

# Reduces pip's output to the large downloads and the installation itself.
show_progress() {
    local line
    while IFS= read -r line; do
        case $line in
        *Downloading*MB\)* | *'Using cached'*MB\)*)
            [[ $line =~ ([^[:space:]/]+)\ \(([0-9]{2,})(\.[0-9]+)?\ MB\) ]] &&
                say "  ${BASH_REMATCH[1]%%-[cp][py][0-9]*} (${BASH_REMATCH[2]} MB)" || true
            ;;
        'Installing collected packages:'*) say '  installing' ;;
        esac
    done
}

set_up() {
    local why='' free
    # Settings that would install packages elsewhere, or mix in others.
    unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_DRY_RUN
    export PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1

    # An environment that this script did not finish, that was moved, or whose Python is gone, is created again; a working
    # one (made by hand, or before pyproject.toml changed) is completed.
    if [[ -e $venv || -L $venv ]]; then
        [[ ! -f $begun || -f $stamp ]] || why='was not finished'
        [[ ! -f $stamp || $(<"$stamp") == *" $venv" ]] || why='was moved'
        [[ -n $(fingerprint) ]] || why='has no working Python'
        if [[ -n $why ]]; then
            say ".venv $why; creating it again"
            rm -rf -- "$venv"
        fi
    fi
    if [[ ! -d $venv ]]; then
        find_python
        free=$(free_gib "$root")
        ((free >= needed_gib)) || say "only $free GiB free in $root; about $needed_gib GiB are needed; continuing"
        say "creating .venv with $("$python" --version); this takes some minutes and about 7 GB of disk space"
        mkdir -- "$venv"
        : >"$begun"
        "$python" -m venv "$venv" >&2 || fail "$python -m venv failed (see above)"
    fi
    rm -f -- "$stamp"

    say 'installing the project and its dependencies with pip'
    if ! "$venv/bin/python" -m pip install --progress-bar off --editable "$root[dev]" </dev/null | show_progress; then
        say "pip failed (see above); free disk space: $(free_gib "$root") GiB in $root, $(free_gib "${TMPDIR:-/tmp}") GiB in ${TMPDIR:-/tmp}"
        say 'if it says "No space left on device": free some, or set TMPDIR to a larger folder and PIP_NO_CACHE_DIR=1'
        fail 'fix the cause, then run the same command again'
    fi
    "$venv/bin/abaw" doctor --fix </dev/null >&2 || fail 'abaw doctor --fix failed (see above)'
    "$venv/bin/abaw" doctor </dev/null >&2 || say 'something is broken on this machine (see above); continuing'
    fingerprint >"$stamp.new"
    mv -- "$stamp.new" "$stamp"
    say 'set-up finished'
}

ensure_ready() {
    if [[ -n ${PYTHONPATH:-} || -n ${PYTHONHOME:-} ]]; then
        say 'ignoring PYTHONPATH and PYTHONHOME: .venv has everything needed'
        unset PYTHONPATH PYTHONHOME
    fi
    if is_ready; then return; fi
    # One set-up at a time; a process that waited finds it done.
    exec 9<"$root"
    flock -n 9 || {
        say 'another set-up of this folder is running; waiting for it'
        flock 9
    }
    if ! is_ready; then set_up; fi # no `||` here: it would disable `set -e` inside
    exec 9<&-
}

case ${1-} in
'')
    (($# == 0)) || { usage >&2 && exit 2; }
    ensure_ready
    exec "$venv/bin/abaw" demo
    ;;
setup)
    (($# == 1)) || { usage >&2 && exit 2; }
    ensure_ready
    ;;
test)
    ensure_ready
    cd -- "$root"
    (($# > 1)) || set -- test -m 'not slow'
    exec "$venv/bin/python" -m pytest "${@:2}"
    ;;
abaw)
    ensure_ready
    exec "$venv/bin/abaw" "${@:2}"
    ;;
-h | --help | help) usage ;;
*)
    usage >&2
    exit 2
    ;;
esac
