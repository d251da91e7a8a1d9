-- Version 1 of the database.
--
-- Times are microseconds since 1970. `leaf` is the audit leaf that newest covers the row and `salt`
-- what its commitment there is salted with; rows of tables with these two columns are written by
-- one function only (tables.rs). Columns named under "operational" are not part of the commitment.

CREATE TABLE audit_leaves (
  seq  INTEGER PRIMARY KEY,
  data BLOB NOT NULL,
  hash BLOB NOT NULL
) STRICT;

CREATE TABLE audit_state (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  frontier BLOB NOT NULL,
  head     TEXT NOT NULL
) STRICT;

CREATE TABLE checkpoints (
  size INTEGER PRIMARY KEY,
  note TEXT NOT NULL
) STRICT;

-- Sums over other tables, kept so that an overview costs nothing. `audit verify` recounts them.
CREATE TABLE counters (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- An event and the decision on it. A decision without verdicts is this row alone.
CREATE TABLE events (
  leaf        INTEGER PRIMARY KEY,
  decision    TEXT NOT NULL UNIQUE,
  source      TEXT NOT NULL,
  event_id    TEXT NOT NULL,
  type        TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  fingerprint BLOB NOT NULL,
  body        TEXT NOT NULL,
  media       TEXT,
  salt        BLOB NOT NULL,
  UNIQUE (source, event_id)
) STRICT;

-- The same (source, event_id) sent again with another body.
CREATE TABLE event_conflicts (
  id          INTEGER PRIMARY KEY,
  source      TEXT NOT NULL,
  event_id    TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  body        TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  salt        BLOB NOT NULL,
  leaf        INTEGER NOT NULL,
  UNIQUE (source, event_id, fingerprint)
) STRICT;

-- Decisions with verdicts, and those of people. `about` is set when the event had been decided on
-- before: by which decision.
CREATE TABLE decisions (
  leaf    INTEGER PRIMARY KEY,
  id      TEXT NOT NULL UNIQUE,
  case_id TEXT,
  body    TEXT NOT NULL,
  about   TEXT REFERENCES events (decision),
  salt    BLOB NOT NULL
) STRICT;
CREATE INDEX decisions_by_about ON decisions (about) WHERE about IS NOT NULL;

CREATE INDEX decisions_by_case ON decisions (case_id) WHERE case_id IS NOT NULL;

CREATE TABLE strikes (
  id       INTEGER PRIMARY KEY,
  account  TEXT NOT NULL,
  weight   INTEGER NOT NULL,
  policy   TEXT NOT NULL,
  decision TEXT NOT NULL,
  at       INTEGER NOT NULL,
  -- The decision by which a person took it back.
  withdrawn TEXT,
  salt     BLOB NOT NULL,
  leaf     INTEGER NOT NULL
) STRICT;
CREATE INDEX strikes_by_account ON strikes (account, id);
CREATE INDEX strikes_by_decision ON strikes (decision);
CREATE INDEX strikes_by_leaf ON strikes (leaf);

CREATE TABLE cases (
  id          TEXT PRIMARY KEY,
  queue       TEXT NOT NULL,
  entity_type TEXT NOT NULL,
  entity_id   TEXT NOT NULL,
  account     TEXT,
  policy      TEXT NOT NULL,
  priority    INTEGER NOT NULL,
  opened_at   INTEGER NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('open', 'claimed', 'closed')),
  by          TEXT,
  at          INTEGER,
  decision    TEXT,
  outcome     TEXT,
  salt        BLOB NOT NULL,
  leaf        INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX cases_pending ON cases (queue, entity_type, entity_id) WHERE state <> 'closed';
CREATE INDEX cases_by_place ON cases (queue, state, priority DESC, opened_at, id);
CREATE INDEX cases_by_state ON cases (state, priority DESC, opened_at, id);
CREATE INDEX cases_by_entity ON cases (entity_type, entity_id);
CREATE INDEX cases_by_account ON cases (account) WHERE account IS NOT NULL;
CREATE INDEX cases_by_leaf ON cases (leaf);

-- What brought a case about.
CREATE TABLE case_events (
  id       INTEGER PRIMARY KEY,
  case_id  TEXT NOT NULL REFERENCES cases (id),
  decision TEXT NOT NULL REFERENCES events (decision),
  added_at INTEGER NOT NULL,
  salt     BLOB NOT NULL,
  leaf     INTEGER NOT NULL,
  UNIQUE (case_id, decision)
) STRICT;
CREATE INDEX case_events_by_leaf ON case_events (leaf);

-- What happened to a case, by whom and when.
CREATE TABLE case_trail (
  id      INTEGER PRIMARY KEY,
  case_id TEXT NOT NULL REFERENCES cases (id),
  what    TEXT NOT NULL,
  author  TEXT NOT NULL,
  at      INTEGER NOT NULL,
  note    TEXT NOT NULL,
  salt    BLOB NOT NULL,
  leaf    INTEGER NOT NULL
) STRICT;
CREATE INDEX case_trail_by_case ON case_trail (case_id, id);
CREATE INDEX case_trail_by_leaf ON case_trail (leaf);

-- One delivery of one action to one receiver. Operational: token, attempts, due_at, error.
CREATE TABLE outbox (
  id          INTEGER PRIMARY KEY,
  action      TEXT NOT NULL,
  receiver    TEXT NOT NULL,
  decision    TEXT NOT NULL,
  source      TEXT,
  event_id    TEXT,
  body        TEXT NOT NULL,
  created_at  INTEGER NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
  finished_at INTEGER,
  salt        BLOB NOT NULL,
  leaf        INTEGER NOT NULL,
  token       INTEGER NOT NULL DEFAULT 0,
  attempts    INTEGER NOT NULL DEFAULT 0,
  due_at      INTEGER NOT NULL DEFAULT 0,
  error       TEXT,
  UNIQUE (action, receiver)
) STRICT;
CREATE INDEX outbox_due ON outbox (receiver, due_at, id) WHERE state = 'pending';
CREATE INDEX outbox_dead ON outbox (id) WHERE state = 'dead';
CREATE INDEX outbox_by_decision ON outbox (decision);
CREATE INDEX outbox_by_leaf ON outbox (leaf);

CREATE TABLE banks (
  id          INTEGER PRIMARY KEY,
  name        TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL,
  enabled     INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  settings    TEXT NOT NULL,
  created_at  INTEGER NOT NULL,
  salt        BLOB NOT NULL,
  leaf        INTEGER NOT NULL
) STRICT;

-- Members that were added together: a run of consecutive ids. `digest` covers every one of them.
CREATE TABLE member_batches (
  id       INTEGER PRIMARY KEY,
  bank     INTEGER NOT NULL REFERENCES banks (id),
  first    INTEGER NOT NULL,
  count    INTEGER NOT NULL,
  digest   BLOB NOT NULL,
  author   TEXT NOT NULL,
  added_at INTEGER NOT NULL,
  salt     BLOB NOT NULL,
  leaf     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX member_batches_by_first ON member_batches (first);
CREATE INDEX member_batches_by_bank ON member_batches (bank, first);
CREATE INDEX member_batches_by_leaf ON member_batches (leaf);

-- Append-only. `lookup` finds a signal without an index over whole texts; `digest8` says which
-- member changed when the batch's digest says that one did. `settings` are those it was added with,
-- empty when they were the default.
CREATE TABLE members (
  id          INTEGER PRIMARY KEY,
  signal_type TEXT NOT NULL,
  value       BLOB NOT NULL,
  note        TEXT NOT NULL,
  exchange    TEXT,
  settings    TEXT NOT NULL,
  lookup      INTEGER NOT NULL,
  digest8     BLOB NOT NULL
) STRICT;
CREATE INDEX members_by_lookup ON members (lookup);
CREATE INDEX members_with_settings ON members (id) WHERE settings <> '';

-- Append-only: the newest change of a member says how it matches now.
CREATE TABLE member_changes (
  id         INTEGER PRIMARY KEY,
  member     INTEGER NOT NULL REFERENCES members (id),
  bank       INTEGER NOT NULL REFERENCES banks (id),
  settings   TEXT NOT NULL,
  reason     TEXT NOT NULL,
  author     TEXT NOT NULL,
  changed_at INTEGER NOT NULL,
  salt       BLOB NOT NULL,
  leaf       INTEGER NOT NULL
) STRICT;
CREATE INDEX member_changes_by_member ON member_changes (member, id);
CREATE INDEX member_changes_by_leaf ON member_changes (leaf);

-- Append-only: of one author and exchange the newest counts.
CREATE TABLE opinions (
  id       INTEGER PRIMARY KEY,
  member   INTEGER NOT NULL REFERENCES members (id),
  bank     INTEGER NOT NULL REFERENCES banks (id),
  stance   TEXT NOT NULL,
  note     TEXT NOT NULL,
  exchange TEXT,
  author   TEXT NOT NULL,
  given_at INTEGER NOT NULL,
  salt     BLOB NOT NULL,
  leaf     INTEGER NOT NULL
) STRICT;
CREATE INDEX opinions_by_member ON opinions (member, id);
CREATE INDEX opinions_by_leaf ON opinions (leaf);

-- How often members matched, by hours since 1970. Operational as a whole.
CREATE TABLE member_hits (
  hour     INTEGER NOT NULL,
  member   INTEGER NOT NULL REFERENCES members (id),
  hits     INTEGER NOT NULL,
  withheld INTEGER NOT NULL,
  PRIMARY KEY (hour, member)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_hits_by_member ON member_hits (member, hour);

-- How far background work has followed the banks. Operational as a whole.
CREATE TABLE progress (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE member_removals (
  id         INTEGER PRIMARY KEY,
  member     INTEGER NOT NULL UNIQUE REFERENCES members (id),
  bank       INTEGER NOT NULL REFERENCES banks (id),
  reason     TEXT NOT NULL,
  author     TEXT NOT NULL,
  removed_at INTEGER NOT NULL,
  salt       BLOB NOT NULL,
  leaf       INTEGER NOT NULL
) STRICT;

CREATE TABLE rule_versions (
  id          INTEGER PRIMARY KEY,
  name        TEXT NOT NULL,
  version     INTEGER NOT NULL,
  hash        BLOB NOT NULL,
  text        TEXT NOT NULL,
  file        TEXT NOT NULL,
  mode        TEXT NOT NULL,
  recorded_at INTEGER NOT NULL,
  salt        BLOB NOT NULL,
  leaf        INTEGER NOT NULL,
  UNIQUE (name, version)
) STRICT;

-- What a label says of an entity, from when until when. `ended_by` is the decision that took it back.
CREATE TABLE labels (
  id          INTEGER PRIMARY KEY,
  entity_type TEXT NOT NULL,
  entity_id   TEXT NOT NULL,
  label       TEXT NOT NULL,
  set_at      INTEGER NOT NULL,
  ends_at     INTEGER,
  decision    TEXT NOT NULL,
  ended_at    INTEGER,
  ended_by    TEXT,
  salt        BLOB NOT NULL,
  leaf        INTEGER NOT NULL
) STRICT;
CREATE INDEX labels_by_entity ON labels (entity_type, entity_id, label);
CREATE INDEX labels_by_leaf ON labels (leaf);

-- A circuit breaker that has opened: of a rule, or of the whole server (`rule` is `*`). The rule is in
-- shadow until a person has reset it.
CREATE TABLE rule_stops (
  id         INTEGER PRIMARY KEY,
  rule       TEXT NOT NULL,
  why        TEXT NOT NULL,
  decision   TEXT NOT NULL,
  stopped_at INTEGER NOT NULL,
  reset_at   INTEGER,
  reset_by   TEXT,
  note       TEXT,
  salt       BLOB NOT NULL,
  leaf       INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX rule_stops_open ON rule_stops (rule) WHERE reset_at IS NULL;
CREATE INDEX rule_stops_by_rule ON rule_stops (rule, id);
CREATE INDEX rule_stops_by_leaf ON rule_stops (leaf);

-- What rules did, by days since 1970: how often they fired (`live`, `shadow`, `held`) and what they
-- asked for. Operational as a whole.
CREATE TABLE rule_tallies (
  day     INTEGER NOT NULL,
  rule    TEXT NOT NULL,
  what    TEXT NOT NULL,
  n       INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (day, rule, what)
) STRICT, WITHOUT ROWID;

-- Sets that operators keep for rules to ask. Items are never deleted: `removed_at` says since when one is out.
CREATE TABLE sets (
  id          INTEGER PRIMARY KEY,
  name        TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL,
  created_at  INTEGER NOT NULL,
  salt        BLOB NOT NULL,
  leaf        INTEGER NOT NULL
) STRICT;
CREATE INDEX sets_by_leaf ON sets (leaf);

CREATE TABLE set_items (
  id         INTEGER PRIMARY KEY,
  set_name   TEXT NOT NULL REFERENCES sets (name),
  item       TEXT NOT NULL,
  note       TEXT NOT NULL,
  author     TEXT NOT NULL,
  added_at   INTEGER NOT NULL,
  removed_at INTEGER,
  removed_by TEXT,
  salt       BLOB NOT NULL,
  leaf       INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX set_items_now ON set_items (set_name, item) WHERE removed_at IS NULL;
CREATE INDEX set_items_by_set ON set_items (set_name, id);
CREATE INDEX set_items_by_leaf ON set_items (leaf);
-- Append-only: every text a rule file has had. The newest is what lies in the rules folder, or lay
-- there when it last checked. `text` comes last, so that lists need not read past it.
CREATE TABLE rule_files (
  id       INTEGER PRIMARY KEY,
  file     TEXT NOT NULL,
  version  INTEGER NOT NULL,
  sha256   BLOB NOT NULL,
  author   TEXT NOT NULL,
  note     TEXT NOT NULL,
  at       INTEGER NOT NULL,
  proposal INTEGER REFERENCES rule_proposals (id),
  salt     BLOB NOT NULL,
  leaf     INTEGER NOT NULL,
  text     TEXT NOT NULL,
  UNIQUE (file, version)
) STRICT;
CREATE INDEX rule_files_by_leaf ON rule_files (leaf);

-- Changes of rule files that take effect when a second person approves them.
CREATE TABLE rule_proposals (
  id          INTEGER PRIMARY KEY,
  file        TEXT NOT NULL,
  base        BLOB NOT NULL,
  author      TEXT NOT NULL,
  note        TEXT NOT NULL,
  proposed_at INTEGER NOT NULL,
  state       TEXT NOT NULL
    CHECK (state IN ('proposed', 'approved', 'rejected', 'withdrawn', 'superseded')),
  decided_by  TEXT,
  decided_at  INTEGER,
  answer      TEXT NOT NULL,
  salt        BLOB NOT NULL,
  leaf        INTEGER NOT NULL,
  text        TEXT NOT NULL
) STRICT;
CREATE INDEX rule_proposals_open ON rule_proposals (id) WHERE state = 'proposed';

-- Small pictures for reviewers. The commitment covers the SHA-256 of `bytes`.
CREATE TABLE previews (
  sha256       TEXT PRIMARY KEY,
  content_type TEXT NOT NULL,
  added_at     INTEGER NOT NULL,
  salt         BLOB NOT NULL,
  leaf         INTEGER NOT NULL,
  bytes        BLOB NOT NULL
) STRICT;

CREATE TABLE api_keys (
  id            TEXT PRIMARY KEY,
  name          TEXT NOT NULL,
  secret_sha256 BLOB NOT NULL UNIQUE,
  scopes        TEXT NOT NULL,
  created_at    INTEGER NOT NULL,
  revoked_at    INTEGER,
  salt          BLOB NOT NULL,
  leaf          INTEGER NOT NULL
) STRICT;

CREATE TABLE reviewers (
  id            INTEGER PRIMARY KEY,
  login         TEXT NOT NULL UNIQUE,
  password_hash TEXT NOT NULL,
  role          TEXT NOT NULL,
  created_at    INTEGER NOT NULL,
  disabled_at   INTEGER,
  salt          BLOB NOT NULL,
  leaf          INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
  id           INTEGER PRIMARY KEY,
  token_sha256 BLOB NOT NULL UNIQUE,
  login        TEXT NOT NULL,
  csrf         TEXT NOT NULL,
  created_at   INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  ended_at     INTEGER,
  salt         BLOB NOT NULL,
  leaf         INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_login ON sessions (login);
