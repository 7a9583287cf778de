#!/usr/bin/env python3
"""PyTorch's eager attention with attnscope's statistics, and attnscope, in turn.

    python3 bench/race_eager.py attention ATTNSCOPE [--lengths 1024,4096] [--heads 32] [--width 64]
    python3 bench/race_eager.py prefill ATTNSCOPE [--shape 1.1b | --model DIRECTORY] [--lengths 512]

attention: one causal layer, output and for each row its log-sum-exp, entropy, largest weight, mass on the first 4 keys
and on the last 64, and the sum of each column.  naive: the matrices of all heads at once, a line of PyTorch for each
statistic.  blocks: a few heads and queries at a time, in place, nothing computed that is masked; the sizes are the best
of those tried.  compiled: the same with torch.compile behind the products.  Before it counts each is held against its
definition in double.

prefill: the whole model in Hugging Face transformers (attn_implementation="eager", output_attentions=True, float32), the
entropy of every row from the maps; attnscope's is `bench run`, which measures entropy.  Weights are random (of
bench/make_checkpoint, which lies beside ATTNSCOPE or is named with --maker) or those of --model; both must find the same
entropies for a short prompt.

The best of --rounds counts.  ratio: its seconds over attnscope's.  MiB: the most memory of each process.  Each runs in a
process of its own, which sleeps while another is at work.
Needs torch (and transformers) for this python3; they are no dependency of attnscope.
"""
import argparse
import csv
import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
import time

FIRST, WINDOW, CHECKED = 4, 64, 150
STATISTICS = "out", "lse", "entropy", "max", "first", "window", "column"
HIDDEN = -1e4  # a masked score of the forms that work in place: its weight is exactly 0, and 0 * score is no NaN


class Failed(Exception):
    pass


# --- what the children compute -----------------------------------------------------------------------------------------

def naive(q, k, v):
    """The statistics [heads, n] of q, k, v [heads, n, width]."""
    import torch
    n = q.shape[1]
    at = torch.arange(n)
    s = (q @ k.transpose(-1, -2)) / math.sqrt(q.shape[-1])
    s = s.masked_fill(at[None, :] > at[:, None], -math.inf)
    p = torch.softmax(s, -1)
    lse = torch.logsumexp(s, -1)
    del s
    near = at[None, :] > at[:, None] - WINDOW
    return dict(out=p @ v, lse=lse, entropy=torch.special.entr(p).sum(-1), max=p.amax(-1),
                first=p[..., :FIRST].sum(-1), window=(p * near).sum(-1), column=p.sum(-2))


def block_statistics(s, hidden, near):
    """Scores s [heads, queries, keys], whose last square is masked by hidden [queries, queries] and whose last keys near
    is 1 for those within the window: weights and statistics."""
    import torch
    s[..., -hidden.shape[1]:].masked_fill_(hidden, HIDDEN)
    top = s.amax(-1, keepdim=True)
    s.sub_(top)
    p = torch.exp(s)
    total = p.sum(-1, keepdim=True)
    s.mul_(p)
    log_total = total.log()
    entropy = log_total - s.sum(-1, keepdim=True) / total
    p.mul_(1 / total)
    window = (p[..., -near.shape[1]:] * near).sum(-1)
    return (p, (top + log_total).squeeze(-1), entropy.squeeze(-1), (1 / total).squeeze(-1), p[..., :FIRST].sum(-1), window,
            p.sum(-2))


def fused_statistics(s, hidden, near):
    """The same written for torch.compile: nothing in place."""
    import torch
    keys = s.shape[-1]
    at = torch.arange(keys)
    query = torch.arange(keys - s.shape[-2], keys)
    seen = at[None, :] <= query[:, None]
    s = torch.where(seen, s, HIDDEN)
    top = s.amax(-1, keepdim=True)
    s = s - top
    e = torch.exp(s)
    total = e.sum(-1, keepdim=True)
    entropy = total.log() - (e * s).sum(-1, keepdim=True) / total
    p = e * (1 / total)
    window = torch.where(at[None, :] > query[:, None] - WINDOW, p, 0.0).sum(-1)
    return (p, (top + total.log()).squeeze(-1), entropy.squeeze(-1), (1 / total).squeeze(-1), p[..., :FIRST].sum(-1), window,
            p.sum(-2))


class Blocks:
    def __init__(self, statistics):
        self.statistics = statistics
        self.heads, self.queries = 1, 128

    def __call__(self, q, k, v):
        import torch
        heads, n, width = q.shape
        have = {name: torch.empty(heads, n) for name in STATISTICS}
        have["out"] = torch.empty(heads, n, v.shape[-1])
        have["column"].zero_()
        q = q * (1 / math.sqrt(width))
        rows = min(self.queries, n)
        at = torch.arange(rows + WINDOW)
        hidden = at[None, :rows] > at[:rows, None]
        for h in range(0, heads, self.heads):
            of = slice(h, h + self.heads)
            turned = k[of].transpose(-1, -2)
            for first in range(0, n, rows):
                end = min(first + rows, n)
                m = end - first
                scores = torch.bmm(q[of, first:end], turned[..., :end])
                band = min(end, m + WINDOW - 1)
                key = torch.arange(end - band, end)
                near = (key[None, :] > torch.arange(first, end)[:, None] - WINDOW).float()
                p, lse, entropy, most, start, window, column = self.statistics(scores, hidden[:m, :m], near)
                torch.bmm(p, v[of, :end], out=have["out"][of, first:end]) if self.heads == 1 else \
                    have["out"][of, first:end].copy_(torch.bmm(p, v[of, :end]))
                have["lse"][of, first:end] = lse
                have["entropy"][of, first:end] = entropy
                have["max"][of, first:end] = most
                have["first"][of, first:end] = start
                have["window"][of, first:end] = window
                have["column"][of, :end] += column
        return have


def attention_form(name):
    import torch
    if name == "naive":
        return naive
    if name == "blocks":
        return Blocks(block_statistics)
    return Blocks(torch.compile(fused_statistics, dynamic=True))


def operands(heads, n, width):
    import torch
    torch.manual_seed(1)
    return [torch.rand(heads, n, width) - 0.5 for _ in range(3)]


def hold_against_definition(form, width):
    """Every statistic of a short prompt against naive in double."""
    few = operands(2, CHECKED, width)
    true = naive(*(x.double() for x in few))
    have = form(*few)
    for name in STATISTICS:
        wrong = (have[name].double() - true[name]).abs().max().item()
        if not wrong < 1e-4:
            raise Failed("%s is %g away from its definition" % (name, wrong))


def attention_work(a):
    import torch
    form = attention_form(a.child)
    x = operands(a.heads, a.length, a.width)
    with torch.inference_mode():
        hold_against_definition(form, a.width)
        if isinstance(form, Blocks):
            timed = []
            for heads, queries in [(1, 64), (1, 128), (1, 256), (2, 64), (2, 128), (4, 64), (4, 128)]:
                form.heads, form.queries = heads, queries
                few = [t[:4] for t in x]
                form(*few)
                start = time.perf_counter()
                form(*few)
                timed.append((time.perf_counter() - start, heads, queries))
            _, form.heads, form.queries = min(timed)
        else:
            form(*(t[:2] for t in x))

    def work(_):
        with torch.inference_mode():
            start = time.perf_counter()
            form(*x)
            return dict(seconds=time.perf_counter() - start,
                        how="%d x %d" % (form.heads, form.queries) if isinstance(form, Blocks) else "")
    return work


def prefill_work(a):
    import torch
    import transformers
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32, attn_implementation="eager")
    model.eval()
    vocab = model.config.get_text_config().vocab_size

    def entropies(ids):
        maps = model(ids, output_attentions=True, use_cache=False, logits_to_keep=1).attentions
        return [torch.special.entr(m[0]).sum(-1).mean(-1).tolist() for m in maps]

    def work(ids):
        torch.manual_seed(1)
        ids = torch.tensor([ids]) if ids else torch.randint(vocab, (1, a.length))
        with torch.inference_mode():
            start = time.perf_counter()
            values = entropies(ids)
            return dict(seconds=time.perf_counter() - start, how="", values=values)
    return work


def child(a):
    """Does what a line on standard input asks for, and answers with a line of JSON."""
    import resource
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        import torch
        torch.set_num_threads(a.threads)
        work = prefill_work(a) if a.child == "transformers" else attention_work(a)
        print("{}", file=answers, flush=True)
        for line in sys.stdin:
            answer = work(json.loads(line))
            answer["mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(json.dumps(answer), file=answers, flush=True)
    except Exception as e:  # whatever it is, the parent says it in a line
        print(json.dumps(dict(failed="%s: %s" % (type(e).__name__, str(e).strip().split("\n")[0][:300]))), file=answers, flush=True)


# --- the race ----------------------------------------------------------------------------------------------------------

class Child:
    def __init__(self, name, a, length, **more):
        words = [sys.executable, os.path.abspath(__file__), a.what, a.attnscope, "--child", name, "--length", str(length),
                 "--threads", str(a.threads)]
        for key, value in more.items():
            words += ["--" + key, str(value)]
        said("THREADS=%d" % a.threads, *words)
        self.name, self.seconds, self.mib, self.how = name, math.inf, 0, ""
        env = dict(os.environ, OMP_NUM_THREADS=str(a.threads), TORCHINDUCTOR_CACHE_DIR=os.path.join(a.work, "compiled"))
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
                                        stderr=open(os.path.join(a.work, name + ".err"), "w"))
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            raise Failed("%s ended with %d%s" % (self.name, code, " (out of memory?)" if code == -9 else ""))
        got = json.loads(line)
        if "failed" in got:
            raise Failed("%s: %s" % (self.name, got["failed"]))
        return got

    def once(self, ids=None):
        self.process.stdin.write(json.dumps(ids) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def measure(self):
        got = self.once()
        self.seconds, self.mib, self.how = min(self.seconds, got["seconds"]), max(self.mib, got["mib"]), got["how"]

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


SAID = set()


def said(*words):
    line = " ".join(words)
    if line not in SAID:
        SAID.add(line)
        print("+ " + line, file=sys.stderr, flush=True)


def attnscope(a, *words):
    """Runs it; rows of its table and its peak of memory in MiB."""
    words = [a.attnscope, *words]
    said(*words)
    with open(os.path.join(a.work, "out"), "w+") as out, open(os.path.join(a.work, "err"), "w+") as err:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            told = err.read().strip().split("\n")
            raise Failed("attnscope ended with %d: %s" % (process.returncode, told[0]))
        return out.read(), usage.ru_maxrss // 1024


def table_of(text):
    return list(csv.DictReader(text.split("\n"), delimiter="\t"))


def children_of(names, a, length, **more):
    have = []
    for name in names:
        try:
            have.append(Child(name, a, length, **more))
        except Failed as e:
            print("left out at %d tokens: %s" % (length, e), file=sys.stderr)
    if not have:
        raise Failed("none of %s runs at %d tokens" % (", ".join(names), length))
    return have


def race_attention(a):
    print("causal attention with statistics of rows and columns, %d heads of %d, %d threads, best of %d rounds"
          % (a.heads, a.width, a.threads, a.rounds))
    print("%7s  %-22s %10s %7s %7s  %s" % ("length", "", "seconds", "ratio", "MiB", "heads x queries"))
    for length in a.lengths:
        children = children_of(a.forms, a, length, heads=a.heads, width=a.width)
        ours, peak = math.inf, 0
        for _ in range(a.rounds):
            for one in list(children):
                time.sleep(0.3)
                try:
                    one.measure()
                except Failed as e:
                    print("left out at %d tokens: %s" % (length, e), file=sys.stderr)
                    children.remove(one)
            time.sleep(0.3)
            text, mib = attnscope(a, "bench", "attention", "--threads", str(a.threads), "--lengths", str(length), "--heads",
                                  str(a.heads), "--width", str(a.width), "--repeat", "2", "--tsv", "--quiet")
            rows = [r for r in table_of(text) if r["statistics"] == "and columns"]
            ours, peak = min(ours, float(rows[0]["seconds"])), max(peak, mib)
        print("%7d  %-22s %10.4f %7.2f %7d" % (length, "attnscope", ours, 1, peak))
        for one in children:
            print("%7d  %-22s %10.4f %7.2f %7d  %s" % (length, "PyTorch, " + one.name, one.seconds, one.seconds / ours, one.mib,
                                                      one.how), flush=True)
            one.end()


def same_entropies(one, a, model):
    ids = [(7 * i * i + 3 * i + 1) % 300 for i in range(32)]
    theirs = one.once(ids)["values"]
    text, _ = attnscope(a, "run", model, "--ids", ",".join(map(str, ids)), "--metrics", "entropy", "--json", "--quiet")
    worst, n = 0, 0
    for line in text.split("\n"):
        if line and json.loads(line).get("metric") == "entropy":
            row = json.loads(line)
            worst, n = max(worst, abs(row["value"] - theirs[row["layer"]][row["head"]])), n + 1
    if n != sum(map(len, theirs)) or not worst < 1e-3:
        raise Failed("entropies differ by %g in %d heads" % (worst, n))
    return worst


def race_prefill(a):
    model = a.model
    if not model:
        maker = a.maker or os.path.join(os.path.dirname(a.attnscope), "bench", "make_checkpoint")
        model = os.path.join(a.work, "random-" + a.shape)
        said(maker, a.shape, "f32", model)
        made = subprocess.run([maker, a.shape, "f32", model], stderr=subprocess.PIPE, text=True)
        if made.returncode:
            raise Failed(made.stderr.strip().split("\n")[0] or "make_checkpoint ended with %d" % made.returncode)
    print("a whole prompt of %s, the entropy of every row, %d threads, best of %d rounds"
          % (os.path.basename(model.rstrip("/")), a.threads, a.rounds))
    print("%7s  %-22s %10s %10s %7s %7s" % ("length", "", "seconds", "tokens/s", "ratio", "MiB"))
    for length in a.lengths:
        one = Child("transformers", a, length, model=model)
        worst = same_entropies(one, a, model)
        ours, peak = math.inf, 0
        for _ in range(a.rounds):
            time.sleep(0.3)
            one.measure()
            time.sleep(0.3)
            text, mib = attnscope(a, "bench", "run", model, "--threads", str(a.threads), "--lengths", "8,%d" % length,
                                  "--new-tokens", "0", "--repeat", "1", "--metrics", "entropy", "--tsv", "--quiet")
            rows = [r for r in table_of(text) if r["phase"] == "prompt, measured" and int(r["length"]) == length]
            ours, peak = min(ours, float(rows[0]["seconds"])), max(peak, mib)
        print("%7d  %-22s %10.3f %10.2f %7.2f %7d" % (length, "attnscope", ours, length / ours, 1, peak))
        print("%7d  %-22s %10.3f %10.2f %7.2f %7d  entropies of 32 tokens within %.1e"
              % (length, "transformers, eager", one.seconds, length / one.seconds, one.seconds / ours, one.mib, worst), flush=True)
        one.end()


def lengths(text):
    try:
        values = [int(x) for x in text.split(",")]
    except ValueError:
        values = [0]
    if min(values) < 2:
        raise argparse.ArgumentTypeError("'%s' is no list of lengths from 2, \"1024,4096\"" % text)
    return values


def count(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("'%s' is no number from 1" % text)
    return int(text)


def forms(text):
    names = text.split(",")
    if not set(names) <= {"naive", "blocks", "compiled"}:
        raise argparse.ArgumentTypeError("'%s': naive, blocks and compiled are known" % text)
    return names


def arguments():
    class Parser(argparse.ArgumentParser):
        def error(self, message):
            self.exit(2, "race_eager: %s\n" % message)
    p = Parser(prog="race_eager.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=["attention", "prefill"])
    p.add_argument("attnscope", metavar="ATTNSCOPE", help="the program")
    p.add_argument("--lengths", type=lengths, help="tokens; default 1024,4096 and 512")
    p.add_argument("--rounds", type=count, default=2, help="default 2")
    p.add_argument("--threads", type=count, default=len(os.sched_getaffinity(0)), help="default: processors")
    p.add_argument("--heads", type=count, default=32, help="attention; default 32")
    p.add_argument("--width", type=count, default=64, help="attention: of a head; default 64")
    p.add_argument("--forms", type=forms, default="naive,blocks,compiled", help="attention; default naive,blocks,compiled")
    p.add_argument("--shape", default="1.1b", help="prefill: of bench/make_checkpoint; default 1.1b")
    p.add_argument("--model", help="prefill: a directory of config.json and safetensors instead")
    p.add_argument("--maker", help="prefill: make_checkpoint, where it does not lie in bench/ beside ATTNSCOPE")
    p.add_argument("--child", help=argparse.SUPPRESS)
    p.add_argument("--length", type=count, help=argparse.SUPPRESS)
    return p, p.parse_args()


def main():
    p, a = arguments()
    if a.child:
        child(a)
        return 0
    a.lengths = a.lengths or ([1024, 4096] if a.what == "attention" else [512])
    needed = ["torch"] + (["transformers"] if a.what == "prefill" else [])
    for name in needed:  # not imported here: what this process holds would count as memory of those that it starts
        if not importlib.util.find_spec(name):
            p.error("no %s for %s: nothing to race with; python3 -m pip install %s" % (name, sys.executable, " ".join(needed)))
    if not (os.path.isfile(a.attnscope) and os.access(a.attnscope, os.X_OK)):
        p.error("no program attnscope at '%s'" % a.attnscope)
    a.attnscope = os.path.abspath(a.attnscope)
    if a.model and not os.path.isfile(os.path.join(a.model, "config.json")):
        p.error("no config.json in '%s': --model is a directory of a checkpoint" % a.model)
    if os.getloadavg()[0] >= 1:
        print("note: other processes seem to be at work (load %.2f): repeat this on an idle machine" % os.getloadavg()[0],
              file=sys.stderr)
    with tempfile.TemporaryDirectory() as a.work:
        try:
            (race_attention if a.what == "attention" else race_prefill)(a)
        except Failed as e:
            print("race_eager: %s" % e, file=sys.stderr)
            return 1
        except OSError as e:
            print("race_eager: %s" % e, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
