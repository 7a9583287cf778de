#!/usr/bin/env python3
"""Write METRICS.md from what the program says of its own metrics: metrics-table.py ATTNSCOPE > METRICS.md"""
import json
import subprocess
import sys

GROUPS = [
    ("head", "Values of heads"),
    ("layer", "Values of layers"),
    ("logits", "Values of the prediction"),
    ("weights", "Values of the weights alone (`attnscope weights`)"),
]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    text = subprocess.run([sys.argv[1], "list", "metrics", "--json"], check=True, capture_output=True, text=True).stdout
    rows = [json.loads(line) for line in text.splitlines()]
    print("# Metrics\n")
    print("Written by `build-aux/metrics-table.py` from the registry; `attnscope list metrics --json` has the same for a "
          "program, `attnscope help NAME` for one metric, `attnscope explain NAME --bib` whom to cite. A value belongs to a head (`L3H7`), a layer or a position; "
          "where it has a position, the line says what that counts. *Rows that do not sum to 1* (a learned sink takes a "
          "share, a window hides keys) are treated as the last line of an entry says.\n")
    for scope, title in GROUPS:
        members = [r for r in rows if r["values_of"] == scope]
        if not members:
            continue
        print(f"## {title}\n")
        for r in members:
            unit = f", {r['unit']}" if r["unit"] else ""
            print(f"### `{r['metric']}`\n")
            print(f"{r['summary'][0].upper()}{r['summary'][1:]}{unit}; {r['range']}.\n")
            print(f"* formula: `{r['formula']}`")
            print(f"* definition: {r['definition']}")
            print(f"* source: {r['source']}")
            if r["validated"]:
                print(f"* held against: {r['validated']}")
            if scope in ("head", "layer"):
                counts = "" if r["position_is"] == "none" else f"; a position counts: {r['position_is']}"
                print(f"* attention: {r['attention']}{counts}")
            if r["options"]:
                print(f"* options: `{r['options']}`")
            print(f"* cost: {r['cost']}")
            print(f"* missing mass: {r['missing_mass']}")
            print(f"* reading: {r['reading']}")
            print(f"* traps: {r['traps']}\n")


main()
