/* Version 4 of the schema: sweeps, lists of heads, and summaries.
 *
 * A question about a whole run ("the heads with the highest mean") would read every value of it: 100 prompts
 * of a model of 5,000 heads are half a million rows for one metric.  `summary` holds them added up over the
 * prompts, so that the answer is one short range.  It is written when a run ends (db/summary.c) and only says
 * what `value` says: run.summed is 1 while both agree (below 0 while somebody writes it), triggers take it
 * back to 0 as soon as units or values change, and the view value_summary then adds the values up itself.  So
 * a run that is still going on, was killed or was changed by hand gives right answers too, only slower. */
#include "db/internal.h"

const char store_version_4[] =
    "CREATE TABLE sweep (\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  uid TEXT NOT NULL UNIQUE,  -- the same for everyone who works on the same plan\n"
    "  name TEXT NOT NULL,        -- of its file, without folders\n"
    "  text TEXT NOT NULL,        -- the file\n"
    "  command TEXT NOT NULL,     -- repeats the sweep\n"
    "  created TEXT NOT NULL      -- UTC, ISO 8601\n"
    ") STRICT;\n"
    "ALTER TABLE run ADD COLUMN sweep_id INTEGER REFERENCES sweep;\n" /* NULL: of none */
    "ALTER TABLE run ADD COLUMN cell TEXT;\n"                         /* JSON object: which point of the
                                                                       * sweep */
    "ALTER TABLE run ADD COLUMN n_unit INTEGER CHECK (n_unit >= 0);\n" /* units that it is to have; NULL: not
                                                                        * known */
    "ALTER TABLE run ADD COLUMN summed INTEGER NOT NULL DEFAULT 0 CHECK (summed <= 1);\n"
    "CREATE INDEX run_sweep ON run (sweep_id);\n"
    "CREATE INDEX run_alike ON run (settings, verb);\n" /* what a unit costs is told by runs alike, for every
                                                         * cell of a sweep */
    "CREATE INDEX unit_status ON unit (run_id, status);\n"

    "CREATE TABLE summary (      -- values of a run, added up over its prompts\n"
    "  run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,\n"
    "  metric_id INTEGER NOT NULL REFERENCES metric,\n"
    "  position INTEGER NOT NULL, -- as in value\n"
    "  site_id INTEGER NOT NULL REFERENCES site,\n"
    "  n INTEGER NOT NULL CHECK (n > 0), -- prompts that have a value here\n"
    "  mean REAL NOT NULL,\n"
    "  sd REAL,                   -- of a sample (n - 1); NULL when n is 1\n"
    "  min REAL NOT NULL, max REAL NOT NULL,\n"
    "  PRIMARY KEY (run_id, metric_id, position, site_id)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE TRIGGER summary_of_new_unit AFTER INSERT ON unit BEGIN\n"
    "  UPDATE run SET summed = 0 WHERE id = new.run_id AND summed <> 0;\n"
    "END;\n"
    "CREATE TRIGGER summary_of_moved_unit AFTER UPDATE OF run_id ON unit BEGIN\n"
    "  UPDATE run SET summed = 0 WHERE id IN (old.run_id, new.run_id) AND summed <> 0;\n"
    "END;\n"
    "CREATE TRIGGER summary_of_removed_unit AFTER DELETE ON unit BEGIN\n"
    "  UPDATE run SET summed = 0 WHERE id = old.run_id AND summed <> 0;\n"
    "END;\n"
    "CREATE TRIGGER summary_of_changed_value AFTER UPDATE ON value BEGIN\n"
    "  UPDATE run SET summed = 0 WHERE summed <> 0 AND id IN\n"
    "    (SELECT run_id FROM unit WHERE id IN (old.unit_id, new.unit_id));\n"
    "END;\n"
    "CREATE TRIGGER summary_of_removed_value AFTER DELETE ON value BEGIN\n"
    "  UPDATE run SET summed = 0 WHERE summed <> 0 AND id = (SELECT run_id FROM unit WHERE id ="
    " old.unit_id);\n"
    "END;\n"

    "CREATE TABLE head_set (     -- lists of heads with a name\n"
    "  id INTEGER PRIMARY KEY,\n"
    "  name TEXT NOT NULL UNIQUE,\n"
    "  source TEXT NOT NULL,      -- the file it was read from, as it was named\n"
    "  sha256 TEXT NOT NULL,      -- of that file\n"
    "  created TEXT NOT NULL      -- UTC, ISO 8601\n"
    ") STRICT;\n"
    "CREATE TABLE head_set_item (\n"
    "  head_set_id INTEGER NOT NULL REFERENCES head_set ON DELETE CASCADE,\n"
    "  place INTEGER NOT NULL,    -- in the list, from 0\n"
    "  kind TEXT NOT NULL,        -- as in site\n"
    "  layer INTEGER NOT NULL, head INTEGER NOT NULL,\n"
    "  name TEXT NOT NULL,        -- 'L3H7'\n"
    "  score REAL,                -- NULL: the file gave none\n"
    "  PRIMARY KEY (head_set_id, place), UNIQUE (head_set_id, kind, layer, head)\n"
    ") STRICT, WITHOUT ROWID;\n"

    "CREATE VIEW sweep_list AS   -- the runs of each sweep\n"
    "  SELECT w.id AS sweep, w.name, r.id AS run, m.name AS model, r.verb, r.status, r.cell,\n"
    "    (SELECT count(*) FROM unit u WHERE u.run_id = r.id AND u.status = 'done') AS prompts,\n"
    "    r.started, round((julianday(r.finished) - julianday(r.started)) * 86400, 3) AS seconds,\n"
    "    r.precision, r.operator, r.command\n"
    "  FROM sweep w JOIN run r ON r.sweep_id = w.id JOIN model m ON m.id = r.model_id;\n"

    "CREATE VIEW model_list AS   -- the models, and how much was done with each\n"
    "  SELECT m.id AS model_id, m.name AS model, m.family, m.format, m.dtype, m.n_layer AS layers, m.n_head"
    " AS heads,\n"
    "    m.n_kv_head AS kv_heads, m.width, m.vocab, m.context, m.n_param AS params,\n"
    "    (SELECT count(*) FROM run r WHERE r.model_id = m.id) AS runs, m.path, m.sha256\n"
    "  FROM model m;\n"

    "CREATE VIEW prompt_list AS  -- the prompts of each run\n"
    "  SELECT u.run_id AS run, u.prompt_index AS prompt, u.label, p.n_token AS tokens, p.text, u.status,"
    " u.started,\n"
    "    round((julianday(u.finished) - julianday(u.started)) * 86400, 3) AS seconds, p.sha256\n"
    "  FROM unit u JOIN prompt p ON p.id = u.prompt_id;\n"

    "CREATE VIEW figure_list AS  -- the figures that were drawn\n"
    "  SELECT f.id AS figure, f.run_id AS run, f.recipe, f.path, f.created, f.command FROM figure f;\n"

    "CREATE VIEW head_set_list AS -- the named lists of heads\n"
    "  SELECT h.name, i.place, i.name AS head_name, i.kind, i.layer, i.head, i.score, h.source, h.sha256,"
    " h.created\n"
    "  FROM head_set h JOIN head_set_item i ON i.head_set_id = h.id;\n"

    "CREATE VIEW value_summary AS -- the values of each run over its prompts\n"
    "  SELECT a.run_id AS run, m.name AS metric, s.kind, s.layer, s.head, s.name AS head_name,\n"
    "    nullif(a.position, -1) AS position, a.n, a.mean, a.sd, a.min, a.max\n"
    "  FROM run r JOIN summary a ON a.run_id = r.id JOIN metric m ON m.id = a.metric_id\n"
    "    JOIN site s ON s.id = a.site_id\n"
    "  WHERE r.summed = 1\n"
    "  UNION ALL\n"
    "  SELECT r.id AS run, m.name AS metric, s.kind AS kind, s.layer AS layer, s.head AS head, s.name AS"
    " head_name,\n"
    "    nullif(v.position, -1) AS position, count(*), avg(v.value),\n"
    "    CASE WHEN count(*) > 1 THEN\n" /* not below 0 for rounding */
    "      sqrt(max(0, (sum(v.value * v.value) - sum(v.value) * avg(v.value)) / (count(*) - 1))) END,\n"
    "    min(v.value), max(v.value)\n"
    "  FROM run r JOIN unit u ON u.run_id = r.id JOIN value v ON v.unit_id = u.id JOIN metric m ON m.id ="
    " v.metric_id\n"
    "    JOIN site s ON s.id = v.site_id\n"
    "  WHERE r.summed <> 1\n"
    "  GROUP BY r.id, m.name, s.kind, s.layer, s.head, s.name, nullif(v.position, -1);\n"

    "CREATE VIEW head_summary AS -- those of heads\n"
    "  SELECT run, metric, kind, layer, head, head_name, position, n, mean, sd, min, max FROM value_summary\n"
    "  WHERE head IS NOT NULL;\n"

    /* Windows instead of groups: through them SQLite passes "run = 3" on to value_summary. */
    "CREATE VIEW layer_summary AS -- the heads of a layer together: of their means the mean, sd, lowest and"
    " highest\n"
    "  SELECT DISTINCT run, metric, kind, layer, position, count(*) OVER heads_of AS heads, avg(mean) OVER"
    " heads_of AS mean,\n"
    "    CASE WHEN count(*) OVER heads_of > 1 THEN sqrt(max(0, (sum(mean * mean) OVER heads_of -\n"
    "      sum(mean) OVER heads_of * avg(mean) OVER heads_of) / (count(*) OVER heads_of - 1))) END AS sd,\n"
    "    min(mean) OVER heads_of AS min, max(mean) OVER heads_of AS max\n"
    "  FROM head_summary WINDOW heads_of AS (PARTITION BY run, metric, kind, layer, position);\n"

    "CREATE VIEW sink_by_layer AS -- attention of each layer's heads to the first token; sinks: heads above"
    " 0.3 in the mean\n"
    "  SELECT DISTINCT run, kind, layer, count(*) OVER heads_of AS heads, avg(mean) OVER heads_of AS mean,\n"
    "    max(mean) OVER heads_of AS max, sum(mean > 0.3) OVER heads_of AS sinks\n"
    "  FROM head_summary WHERE metric = 'sink' AND position = 0 WINDOW heads_of AS (PARTITION BY run, kind,"
    " layer);\n"

    "CREATE VIEW metric_list AS   -- which metrics a run has values of\n"
    "  SELECT r.id AS run, m.name AS metric FROM run r JOIN metric m\n"
    "  WHERE EXISTS (SELECT 1 FROM unit u JOIN value v ON v.unit_id = u.id AND v.metric_id = m.id WHERE"
    " u.run_id = r.id);\n"

    "CREATE VIEW metric_summary AS -- what each run measured; n: values\n"
    "  SELECT a.run_id AS run, m.name AS metric, s.kind, count(DISTINCT s.layer) AS layers, count(DISTINCT"
    " s.name) AS heads,\n"
    "    count(DISTINCT nullif(a.position, -1)) AS positions, sum(a.n) AS n, sum(a.mean * a.n) / sum(a.n) AS"
    " mean,\n"
    "    min(a.min) AS min, max(a.max) AS max\n"
    "  FROM run r JOIN summary a ON a.run_id = r.id JOIN metric m ON m.id = a.metric_id JOIN site s ON s.id"
    " = a.site_id\n"
    "  WHERE r.summed = 1 GROUP BY a.run_id, m.name, s.kind\n"
    "  UNION ALL\n"
    "  SELECT r.id, m.name, s.kind, count(DISTINCT s.layer), count(DISTINCT s.name),\n"
    "    count(DISTINCT nullif(v.position, -1)), count(*), avg(v.value), min(v.value), max(v.value)\n"
    "  FROM run r JOIN unit u ON u.run_id = r.id JOIN value v ON v.unit_id = u.id JOIN metric m ON m.id ="
    " v.metric_id\n"
    "    CROSS JOIN site s ON s.id = v.site_id\n" /* looked up last */
    "  WHERE r.summed <> 1 GROUP BY r.id, m.name, s.kind;\n"

    "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES\n"
    "  ('summary', 'summary', '1000000 20000 2000 1000 1'),\n"
    "  ('unit', 'unit_status', '1000 50 50'),\n"
    "  ('run', 'run_sweep', '50 10'),\n"
    "  ('run', 'run_alike', '50 5 5'),\n"
    "  ('head_set_item', 'head_set_item', '1000 50 1');\n"
    STORE_SITE_STATISTICS;
