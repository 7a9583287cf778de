"""attnscope from Python: run the program, have its numbers as numpy arrays.  README.md beside this file shows how."""
import json
import os
import shutil
import subprocess
import tempfile

import numpy as np


class Error(RuntimeError):
    """What the program said; `hint` says what to do next, `status` is its exit status."""

    def __init__(self, said, status):
        lines = [line.strip() for line in said.splitlines()]
        hints = [line[len("hint: "):] for line in lines if line.startswith("hint: ")]
        errors = [line for line in lines if line.startswith("attnscope: ")]
        self.hint, self.status = " ".join(hints), status
        super().__init__(errors[-1] if errors else f"attnscope ended with status {status}")

    def __str__(self):
        return super().__str__() + (f"\n  hint: {self.hint}" if self.hint else "")


class Attnscope:
    """A store and the program that fills it: $ATTNSCOPE, else attnscope on PATH.  Without a file, a store of its own."""

    def __init__(self, store=None, program=None):
        self.program = program or os.environ.get("ATTNSCOPE") or shutil.which("attnscope")
        if not self.program:
            raise Error("attnscope: no such program\nhint: name it in ATTNSCOPE, or put it on PATH", 127)
        self._folder = None if store else tempfile.TemporaryDirectory()
        self.store = os.fspath(store or os.path.join(self._folder.name, "heads.db"))

    def text(self, verb, *words, **options):
        """Run a command and return what it prints.  sink_keys=[0, 1] is --sink-keys 0,1; bos=True is --bos; None is left out."""
        line = [self.program, verb, *map(str, words), "--store", self.store, "--quiet"]
        for name, value in options.items():
            if value is None or value is False:
                continue
            if hasattr(value, "tolist"):  # of numpy
                value = value.tolist()
            if name == "prompt" and isinstance(value, (list, tuple)):
                raise TypeError("prompt is one text; several are a file of texts: prompts=FILE")
            line.append("--" + name.rstrip("_").replace("_", "-"))
            if value is not True:
                line.append(",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace")
        if done.returncode:
            raise Error(done.stderr, done.returncode)
        return done.stdout

    def table(self, verb, *words, **options):
        """Run a command and return its rows, as a list of dicts."""
        return [json.loads(line) for line in self.text(verb, *words, json=True, **options).splitlines() if line]

    def sql(self, question):
        """Rows of the store, as a list of dicts; STORE.md explains the views."""
        return [{k: v for k, v in row.items() if k != "schema"} for row in self.table("sql", question)]

    def run(self, model, **options):
        """`attnscope run`; returns the number of the run."""
        self.text("run", model, **options)
        if options.get("resume"):
            return int(options["resume"])
        return self.sql("SELECT max(run) AS run FROM run_list")[0]["run"]

    def values(self, metric, run, prompt=0, kind="self", axes=None):
        """[layer, head], or [layer, head, position] where there are positions; without the axes that the metric lacks, NaN
        where there is no value.  The last axis has the positions up to the largest.  A metric may have values of several
        forms (layer_similarity has pairs of layers, and a mean for each): those of the most axes, or axes=("layer",)."""
        quoted = [text.replace("'", "''") for text in (metric, kind)]
        rows = self.sql("SELECT layer, head, position, value FROM value_list WHERE run = %d AND prompt = %d AND "
                        "metric = '%s' AND kind = '%s'" % (run, prompt, *quoted))
        if not rows:
            raise KeyError(f"run {run} has no {metric} of prompt {prompt} ({kind})")
        forms = [tuple(axis for axis in ("layer", "head", "position") if row[axis] is not None) for row in rows]
        axes = max(sorted(set(forms)), key=len) if axes is None else tuple(axes)
        rows = [row for row, form in zip(rows, forms) if form == axes]
        if not rows:
            raise KeyError(f"{metric} of run {run} has no values of {axes}")
        array = np.full([1 + max(row[axis] for row in rows) for axis in axes], np.nan)
        for row in rows:
            array[tuple(row[axis] for axis in axes)] = row["value"]
        return array

    def maps(self, run, prompt=0):
        """Stored maps, {"L1H3": array [query, key]}, NaN where a query does not see a key."""
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "run.npz")
            self.text("export", run, prompt=prompt, output=file)
            with np.load(file) as arrays:
                return {name[len("map_"):]: arrays[name] for name in arrays.files if name.startswith("map_")}
