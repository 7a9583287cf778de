"""Write stores of the released versions, as those programs left them: vN.db for each version text in db/schema.c.

    python3 tests/stores/make_stores.py [VERSION...]

Every table has rows, with the hashes that the program computes.  A store that was once committed stays as it is: run this for
a version that is new, only.  Pages are small so that the files are."""
import ast, hashlib, os, re, sqlite3, struct, sys, zlib

HERE = os.path.dirname(os.path.abspath(__file__))
APPLICATION_ID = 0x41745363


def statements(version):
    name = "version_%d" % version
    for file in ("schema.c", "schema_%d.c" % version):
        path = os.path.join(HERE, "..", "..", "db", file)
        text = open(path).read() if os.path.exists(path) else ""
        found = re.search(r"%s\[\] =(.*?);\n\n" % name, text, re.S) or re.search(r"%s\[\] =(.*)" % name, text, re.S)
        if found:
            body = re.sub(r"/\*.*?\*/", "", found.group(1), flags=re.S)
            return "".join(ast.literal_eval(s) for s in re.findall(r'"(?:[^"\\]|\\.)*"', body))
    raise SystemExit("no text of version %d" % version)


def le64(n):
    return struct.pack("<q", n)


def field(b):
    return le64(len(b)) + b


def sha(b):
    return hashlib.sha256(b).hexdigest()


def add_model(c):
    facts = ["aa" * 32, "models/tiny", "bb" * 32, "tiny", "llama", "safetensors", "f32", 2, 4, 2, 64, 1000, 128, 123456, "0-1: full"]
    identity = sha(b"".join((str(f) if f is not None else "-1").encode() + b"\0" for f in facts))
    c.execute("INSERT INTO model (id, identity, sha256, path, tokenizer_sha256, name, family, format, dtype, n_layer, n_head,"
              " n_kv_head, width, vocab, context, n_param, plan) VALUES (1, ?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", [identity] + facts)


def add_prompt(c, version, key, text, policy, tokens, patches=(), inputs=()):
    raw = b"".join(le64(i) + bytes([special]) + field(t.encode()) for i, t, special in tokens)
    identity = field(bytes([text is not None])) + field((text or "").encode()) + field(policy.encode()) + raw
    if patches:
        identity += field(b"vis") + le64(len(patches)) + b"".join(le64(-1) + b"\0" + field(t.encode()) for t in patches)
    for role, digest in inputs:
        identity += field(role.encode()) + field(digest.encode())
    c.execute("INSERT INTO prompt (id, sha256, text_sha256, ids_sha256, text, policy, n_token) VALUES (?,?,?,?,?,?,?)",
              (key, sha(identity), sha(text.encode()) if text is not None else None,
               sha(b"".join(le64(i) for i, _, _ in tokens)), text, policy, len(tokens)))
    for p, (i, t, special) in enumerate(tokens):
        if version == 1:
            c.execute("INSERT INTO token (prompt_id, position, id, text, special) VALUES (?,?,?,?,?)", (key, p, i, t, special))
        else:
            c.execute("INSERT INTO token (prompt_id, sequence, position, id, text, special) VALUES (?,'self',?,?,?,?)",
                      (key, p, i, t, special))
    for p, t in enumerate(patches):
        c.execute("INSERT INTO token (prompt_id, sequence, position, id, text, special) VALUES (?,'vis',?,NULL,?,0)", (key, p, t))


def fill(c, version):
    add_model(c)
    add_prompt(c, version, 1, "a b", "bos", [(1, "<s>", 1), (7, "a", 0), (8, " b", 0)])
    add_prompt(c, version, 2, None, "none", [(9, "x", 0)])
    if version >= 2:
        add_prompt(c, version, 3, "see", "none", [(5, "see", 0)], patches=["0,0", "0,1"], inputs=[("image", "cc" * 32)])
    run = ("INSERT INTO run (id, uid, model_id, verb, command, settings, operator, edits, precision, isa, threads, seed, version,"
           " status, message, started, finished) VALUES (?,?,1,'run','attnscope run models/tiny','{\"metrics\":[\"sink\"]}','softmax',"
           "'[]','f32','c',2,NULL,'0.%d',?,?,'2025-01-31T10:00:00.000Z',?)" % version)
    c.execute(run, (1, "01" * 16, "done", None, "2025-01-31T10:00:02.500Z"))
    c.execute(run, (3, "02" * 16, "failed", "disk full", "2025-01-31T10:00:02.500Z"))
    c.executemany("INSERT INTO metric (id, name) VALUES (?,?)", [(1, "sink"), (2, "nll")])
    c.executemany("INSERT INTO site (id, kind, layer, head, name) VALUES (?,?,?,?,?)",
                  [(1, "self", 0, 1, "L0H1"), (2, "self", 1, 3, "L1H3"), (3, "self", None, None, None), (4, "cross", 0, 2, "cross.L0H2")])
    for index in range(10):
        c.execute("INSERT INTO unit (id, run_id, prompt_index, prompt_id, label, status, started, finished) VALUES"
                  " (?,1,?,?,?,'done','2025-01-31T10:00:00.100Z','2025-01-31T10:00:00.200Z')",
                  (10 + index, index, 3 if version >= 2 and index == 9 else 1 + index % 2, "mine" if index == 0 else None))
        c.executemany("INSERT INTO value (unit_id, metric_id, site_id, position, value) VALUES (?,?,?,?,?)",
                      [(10 + index, 1, 1, 0, .25 + index), (10 + index, 1, 2, 0, 1 / 3), (10 + index, 1, 4, 3, -1e-300),
                       (10 + index, 2, 3, 1, 2.5 * index)])
    cells = zlib.compress(struct.pack("<4f", 1, float("nan"), .25, .75), 6)
    c.execute("INSERT INTO map (id, unit_id, site_id, n_query, n_key, pool, pooling, n_row, n_col, codec, cells) VALUES"
              " (1, 10, 2, 2, 2, 1, 'none', 2, 2, 'zlib', ?)", (cells,))
    c.execute("INSERT INTO figure (id, run_id, recipe, path, command, created) VALUES (1, 1, 'score_grid', 'a.png', 'plot', '2025')")
    if version >= 2:
        c.execute("INSERT INTO input (unit_id, role, path, sha256, text, policy) VALUES (19, 'image', 'a.png', ?, NULL, NULL)", ("cc" * 32,))
    if version >= 3:
        c.execute("INSERT INTO fact (unit_id, name, text) VALUES (10, 'domain', 'code')")


def make(version):
    path = os.path.join(HERE, "v%d.db" % version)
    if os.path.exists(path):
        os.remove(path)
    c = sqlite3.connect(path, isolation_level=None)
    c.execute("PRAGMA page_size = 1024")
    c.execute("PRAGMA journal_mode = WAL")
    for v in range(1, version + 1):
        c.executescript("BEGIN;" + statements(v) + "COMMIT;")
    c.execute("PRAGMA application_id = %d" % APPLICATION_ID)
    c.execute("PRAGMA user_version = %d" % version)
    c.execute("BEGIN")
    fill(c, version)
    c.execute("COMMIT")
    c.execute("VACUUM")
    c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    c.close()


for v in [int(a) for a in sys.argv[1:]] or [1, 2, 3]:
    make(v)
