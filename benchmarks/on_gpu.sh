#!/bin/sh
# What one GPU does with this project, in at most 10 minutes. Data: benchmarks/pack_for_gpu.py makes the pack beforehand.
#
#     benchmarks/on_gpu.sh PACK.zip OUT [options of benchmarks/on_gpu.py]
#
# OUT/on_gpu.json and OUT/on_gpu.md grow as measurements end: what is there when the time is up counts.
# PYTHON chooses the interpreter; otherwise it is that of .venv, or python3.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
if [ "$#" -lt 2 ]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
python=${PYTHON:-$root/.venv/bin/python}
command -v "$python" >/dev/null 2>&1 || python=python3
pack=$1
out=$2
shift 2
PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONPATH
exec "$python" "$root/benchmarks/on_gpu.py" --pack "$pack" --out "$out" "$@"
