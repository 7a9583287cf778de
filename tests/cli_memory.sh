#!/bin/sh
# Memory grows with the prompt, not with its square: 4,096 tokens of a real model in its weights + 200 MB.
. "${srcdir:-.}/tests/cli_lib.sh"
what="4,096 tokens: weights + 200 MB at most"
smollm=${ATTNSCOPE_SMOLLM2:-$srcdir/examples/models/SmolLM2-135M-Instruct.Q4_1.gguf}
if [ ! -r "$smollm" ]; then
    skip "$what" "$smollm is not there: examples/get-smollm2 fetches it"
elif ! command -v python3 > /dev/null; then
    skip "$what" "no python3"
elif grep -q __asan_init "$attnscope"; then
    skip "$what" "a build with AddressSanitizer needs more"
else
    ids=$(awk 'BEGIN { printf "1"; for (i = 1; i < 4096; i++) { x = (x * 1103 + 12289) % 65536; printf ",%d", 100 + x % 40000 } }')
    check "$what" python3 - "$attnscope" "$smollm" "$ids" <<'PY'
import os, resource, subprocess, sys
program, model, ids = sys.argv[1:]
subprocess.run([program, "run", model, "--ids", ids], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
limit = os.path.getsize(model) + 200e6
print("# peak %.0f MB, limit %.0f MB" % (peak / 1e6, limit / 1e6))
sys.exit(peak > limit)
PY
fi
plan
