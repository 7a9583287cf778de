/* The schema, version by version.  A released text never changes: a change is a new entry at the end.
 * The comments inside the statements are kept by SQLite and shown by its .schema command.
 *
 * `value` is the table that grows (10 million rows are usual).  It has no rowid: a row is its primary key,
 * some 25 bytes, in the order unit, metric, site, position, so that writing a unit appends at the end,
 * "one metric of a run" is one short range for each unit, and "one head" is a search in it.  Names live in
 * metric and site; the views put them back. */
#include "db/internal.h"

static const char version_1[] =
    "CREATE TABLE model (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  identity TEXT NOT NULL UNIQUE, -- SHA-256 over all columns below: other facts, other row\n"
    "  sha256 TEXT NOT NULL,          -- of the weight files\n"
    "  path TEXT NOT NULL,\n"
    "  tokenizer_sha256 TEXT,         -- NULL: none was used\n"
    "  name TEXT, family TEXT, format TEXT, dtype TEXT,\n"
    "  n_layer INTEGER NOT NULL, n_head INTEGER NOT NULL, n_kv_head INTEGER NOT NULL,\n"
    "  width INTEGER NOT NULL, vocab INTEGER NOT NULL, context INTEGER NOT NULL, n_param INTEGER NOT NULL,\n"
    "  plan TEXT                      -- attention of each layer, one line a layer\n"
    ") STRICT;\n"
    "CREATE INDEX model_weights ON model (sha256, path);\n"

    "CREATE TABLE prompt (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  sha256 TEXT NOT NULL UNIQUE, -- over text, policy, ids and pieces\n"
    "  text_sha256 TEXT,            -- of the text; NULL for raw ids\n"
    "  ids_sha256 TEXT NOT NULL,    -- of the ids as 64-bit little-endian integers\n"
    "  text TEXT,                   -- what was tokenised; NULL for raw ids\n"
    "  policy TEXT NOT NULL,        -- what the tokenizer added\n"
    "  n_token INTEGER NOT NULL CHECK (n_token >= 0)\n"
    ") STRICT;\n"
    "CREATE INDEX prompt_ids ON prompt (ids_sha256);\n"

    "CREATE TABLE token (\n"
    "  prompt_id INTEGER NOT NULL REFERENCES prompt ON DELETE CASCADE,\n"
    "  position INTEGER NOT NULL,  -- from 0\n"
    "  id INTEGER NOT NULL,        -- in the vocabulary\n"
    "  text TEXT NOT NULL,         -- its bytes; part of a character where the tokenizer splits one\n"
    "  special INTEGER NOT NULL CHECK (special IN (0, 1)),\n"
    "  PRIMARY KEY (prompt_id, position)\n"
    ") STRICT, WITHOUT ROWID;\n"

    "CREATE TABLE run (\n"
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again, even when the run is deleted\n"
    "  uid TEXT NOT NULL UNIQUE,             -- random; the same run in another store has the same\n"
    "  model_id INTEGER NOT NULL REFERENCES model,\n"
    "  verb TEXT NOT NULL,\n"
    "  command TEXT NOT NULL,   -- repeats the run\n"
    "  settings TEXT NOT NULL,  -- JSON object: metrics and their parameters\n"
    "  operator TEXT NOT NULL,\n"
    "  edits TEXT NOT NULL,     -- JSON list\n"
    "  precision TEXT NOT NULL, isa TEXT NOT NULL, threads INTEGER NOT NULL,\n"
    "  seed INTEGER,            -- NULL: no random numbers\n"
    "  version TEXT NOT NULL,   -- of the program\n"
    "  status TEXT NOT NULL CHECK (status IN ('running', 'done', 'failed', 'cancelled')),\n"
    "  message TEXT,            -- why it failed\n"
    "  started TEXT NOT NULL, finished TEXT -- UTC, ISO 8601\n"
    ") STRICT;\n"
    "CREATE INDEX run_model ON run (model_id);\n"

    "CREATE TABLE unit (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,\n"
    "  prompt_index INTEGER NOT NULL CHECK (prompt_index >= 0), -- within the run, from 0\n"
    "  prompt_id INTEGER NOT NULL REFERENCES prompt,\n"
    "  label TEXT,              -- the user's name for the prompt\n"
    "  status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'done')),\n"
    "  started TEXT, finished TEXT,\n"
    "  UNIQUE (run_id, prompt_index)\n"
    ") STRICT;\n"
    "CREATE INDEX unit_prompt ON unit (prompt_id);\n"

    "CREATE TABLE metric (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  name TEXT NOT NULL UNIQUE\n"
    ") STRICT;\n"

    "CREATE TABLE site (        -- where in a model a value belongs\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  kind TEXT NOT NULL,      -- attention: 'self', 'enc', 'cross', 'vis'\n"
    "  layer INTEGER,           -- NULL: the whole model\n"
    "  head INTEGER,            -- NULL: the whole layer\n"
    "  name TEXT                -- of a head, 'L3H7'; NULL otherwise\n"
    ") STRICT;\n"
    "CREATE UNIQUE INDEX site_key ON site (kind, ifnull(layer, -1), ifnull(head, -1));\n"
    "CREATE INDEX site_place ON site (layer, head);\n"
    "CREATE INDEX site_name ON site (name);\n"

    "CREATE TABLE value (\n"
    "  unit_id INTEGER NOT NULL REFERENCES unit ON DELETE CASCADE,\n"
    "  metric_id INTEGER NOT NULL REFERENCES metric,\n"
    "  site_id INTEGER NOT NULL REFERENCES site,\n"
    "  position INTEGER NOT NULL, -- of a token; -1: over all queries\n"
    "  value REAL NOT NULL,\n"
    "  PRIMARY KEY (unit_id, metric_id, site_id, position)\n"
    ") STRICT, WITHOUT ROWID;\n"

    "CREATE TABLE map (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  unit_id INTEGER NOT NULL REFERENCES unit ON DELETE CASCADE,\n"
    "  site_id INTEGER NOT NULL REFERENCES site,\n"
    "  n_query INTEGER NOT NULL CHECK (n_query > 0), -- tokens, before pooling\n"
    "  n_key INTEGER NOT NULL CHECK (n_key > 0),\n"
    "  pool INTEGER NOT NULL CHECK (pool > 0),       -- a cell covers pool x pool pairs\n"
    "  pooling TEXT NOT NULL CHECK (pooling IN ('none', 'mean', 'max')),\n"
    "  n_row INTEGER NOT NULL, n_col INTEGER NOT NULL,\n"
    "  codec TEXT NOT NULL,     -- of cells; 'zlib': little-endian f32, row by row, deflated\n"
    "  cells BLOB NOT NULL,     -- NaN where no key is visible\n"
    "  UNIQUE (unit_id, site_id)\n"
    ") STRICT;\n"

    "CREATE TABLE figure (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  run_id INTEGER REFERENCES run ON DELETE CASCADE, -- NULL: of several runs\n"
    "  recipe TEXT NOT NULL, path TEXT NOT NULL, command TEXT NOT NULL,\n"
    "  created TEXT NOT NULL\n"
    ") STRICT;\n"
    "CREATE INDEX figure_run ON figure (run_id);\n"

    "CREATE VIEW run_list AS     -- one row a run\n"
    "  SELECT r.id AS run, m.name AS model, r.verb, r.status,\n"
    "    (SELECT count(*) FROM unit u WHERE u.run_id = r.id AND u.status = 'done') AS prompts,\n"
    "    r.started, round((julianday(r.finished) - julianday(r.started)) * 86400, 3) AS seconds,\n"
    "    r.precision, r.operator, r.command\n"
    "  FROM run r JOIN model m ON m.id = r.model_id;\n"

    "CREATE VIEW value_list AS   -- every value of every run\n"
    "  SELECT u.run_id AS run, u.prompt_index AS prompt, m.name AS metric, s.kind, s.layer, s.head,\n"
    "    s.name AS head_name, nullif(v.position, -1) AS position, v.value\n"
    "  FROM unit u JOIN value v ON v.unit_id = u.id JOIN metric m ON m.id = v.metric_id\n"
    "    JOIN site s ON s.id = v.site_id;\n"

    "CREATE VIEW head_value AS   -- the values that belong to a head\n"
    "  SELECT u.run_id AS run, u.prompt_index AS prompt, m.name AS metric, s.kind, s.layer, s.head,\n"
    "    s.name AS head_name, nullif(v.position, -1) AS position, v.value\n"
    "  FROM unit u JOIN value v ON v.unit_id = u.id JOIN metric m ON m.id = v.metric_id\n"
    "    JOIN site s ON s.id = v.site_id\n"
    "  WHERE s.head IS NOT NULL;\n"

    "CREATE VIEW map_list AS     -- the stored maps, without their cells\n"
    "  SELECT u.run_id AS run, u.prompt_index AS prompt, s.kind, s.layer, s.head, s.name AS head_name,\n"
    "    a.n_query, a.n_key, a.pool, a.pooling, length(a.cells) AS bytes\n"
    "  FROM unit u JOIN map a ON a.unit_id = u.id JOIN site s ON s.id = a.site_id;\n"

    "CREATE VIEW prompt_token AS -- the tokens of each prompt of a run\n"
    "  SELECT u.run_id AS run, u.prompt_index AS prompt, t.position, t.id, t.text, t.special\n"
    "  FROM unit u JOIN token t ON t.prompt_id = u.prompt_id;\n"

    /* What ANALYZE would find in a large store.  With it SQLite plans as if the store were large already:
     * head first, then run, then one search in value. */
    "ANALYZE sqlite_schema;\n"
    "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES\n"
    "  ('value', 'value', '10000000 10000 1000 2 1'),\n"
    "  ('unit', 'sqlite_autoindex_unit_1', '1000 50 1'),\n"
    "  ('unit', 'unit_prompt', '1000 2'),\n"
    "  ('token', 'token', '1000000 1000 1'),\n"
    "  ('map', 'sqlite_autoindex_map_1', '10000 20 1'),\n"
    "  ('site', 'site_key', '2000 1000 30 1'),\n"
    "  ('site', 'site_place', '2000 30 1'),\n"
    "  ('site', 'site_name', '2000 1'),\n"
    "  ('metric', 'sqlite_autoindex_metric_1', '20 1');\n"
    "ANALYZE sqlite_schema;\n";

/* Models of several stacks: what each stack reads has its own sequence, patches and frames have no ids, and
 * a prompt is made of more than a text. */
static const char version_2[] =
    "DROP VIEW prompt_token;\n"
    "CREATE TABLE sequence_token (\n"
    "  prompt_id INTEGER NOT NULL REFERENCES prompt ON DELETE CASCADE,\n"
    "  sequence TEXT NOT NULL      -- which stack reads it, as in site.kind: 'self', 'enc' or 'vis'\n"
    "    CHECK (sequence IN ('self', 'enc', 'vis')),\n"
    "  position INTEGER NOT NULL,  -- from 0\n"
    "  id INTEGER,                 -- in the vocabulary; NULL: a patch of an image, a frame of audio\n"
    "  text TEXT NOT NULL,         -- its bytes; part of a character where the tokenizer splits one\n"
    "  special INTEGER NOT NULL CHECK (special IN (0, 1)),\n"
    "  PRIMARY KEY (prompt_id, sequence, position)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "INSERT INTO sequence_token (prompt_id, sequence, position, id, text, special)\n"
    "  SELECT prompt_id, 'self', position, id, text, special FROM token;\n"
    "DROP TABLE token;\n"
    "ALTER TABLE sequence_token RENAME TO token;\n"

    "CREATE TABLE input (        -- what a unit read besides the text of its prompt\n"
    "  unit_id INTEGER NOT NULL REFERENCES unit ON DELETE CASCADE,\n"
    "  role TEXT NOT NULL,      -- 'source', 'target', 'image', 'pixels', 'audio', 'features'\n"
    "  path TEXT,               -- of a file, as it was named; NULL: given in words\n"
    "  sha256 TEXT NOT NULL,    -- of the file, or of the text, or of the ids as 64-bit integers\n"
    "  text TEXT,               -- what was tokenised; NULL: ids, or a file of numbers\n"
    "  policy TEXT,             -- what the tokenizer added\n"
    "  PRIMARY KEY (unit_id, role)\n"
    ") STRICT, WITHOUT ROWID;\n"

    "CREATE VIEW prompt_token AS -- the tokens, patches and frames of each prompt of a run\n"
    "  SELECT u.run_id AS run, u.prompt_index AS prompt, t.sequence, t.position, t.id, t.text, t.special\n"
    "  FROM unit u JOIN token t ON t.prompt_id = u.prompt_id;\n"

    "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES\n"
    "  ('token', 'token', '1000000 1000 800 1'),\n"
    "  ('input', 'input', '1000 1 1');\n"
    "ANALYZE sqlite_schema;\n";

/* Experiments: what a unit is or gave in words. */
static const char version_3[] =
    "CREATE TABLE fact (\n"
    "  unit_id INTEGER NOT NULL REFERENCES unit ON DELETE CASCADE,\n"
    "  name TEXT NOT NULL,      -- 'domain', 'generated', ...\n"
    "  text TEXT NOT NULL,\n"
    "  PRIMARY KEY (unit_id, name)\n"
    ") STRICT, WITHOUT ROWID;\n"

    "CREATE VIEW fact_list AS    -- facts of the units of each run, with the labels of the units\n"
    "  SELECT u.run_id AS run, u.prompt_index AS prompt, u.label, f.name, f.text\n"
    "  FROM unit u JOIN fact f ON f.unit_id = u.id;\n"

    "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('fact', 'fact', '4000 4 1');\n"
    "ANALYZE sqlite_schema;\n";

const char *const store_migrations[] = {version_1, version_2, version_3, store_version_4};
const int store_n_migration = sizeof store_migrations / sizeof *store_migrations;
