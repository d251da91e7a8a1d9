//! Every statement of the product, apart from those made from the audited tables' columns
//! (`tables.rs`) and the migrations. Parameters are numbered; what is SQLite's own dialect stands
//! in the first section.

use crate::tables::Table;

// --- The engine ---------------------------------------------------------------------------------

/// Acknowledged means synced: `FULL` syncs the write-ahead log at every commit. What savepoints
/// keep for their undoing stays in memory; in a file it costs a write for each page they touch.
pub(crate) const WRITER_PRAGMAS: &str = "
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA foreign_keys = ON;
  PRAGMA cache_size = -65536;
  PRAGMA temp_store = MEMORY;
  PRAGMA wal_autocheckpoint = 4000;
  PRAGMA journal_size_limit = 67108864;
  PRAGMA trusted_schema = OFF;";
pub(crate) const READER_PRAGMAS: &str = "
  PRAGMA query_only = ON;
  PRAGMA cache_size = -16384;
  PRAGMA trusted_schema = OFF;";
pub(crate) const APPLICATION_ID: &str = "PRAGMA application_id";
pub(crate) const USER_VERSION: &str = "PRAGMA user_version";
pub(crate) const DATA_VERSION: &str = "PRAGMA data_version";
pub(crate) const PAGE_SIZE: &str = "PRAGMA page_size";
pub(crate) const TRUNCATE_WAL: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
pub(crate) const INTEGRITY: &str = "PRAGMA integrity_check(100)";
pub(crate) const FOREIGN_KEYS: &str = "PRAGMA foreign_key_check";
pub(crate) const COUNT_OBJECTS: &str = "SELECT count(*) FROM sqlite_schema";
pub(crate) const SCHEMA: &str =
    "SELECT type, name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name";
pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(crate) const BEGIN_READ: &str = "BEGIN";
pub(crate) const END_READ: &str = "ROLLBACK";
pub(crate) const COMMIT: &str = "COMMIT";
pub(crate) const ROLLBACK: &str = "ROLLBACK";
pub(crate) const SAVEPOINT: &str = "SAVEPOINT job";
pub(crate) const RELEASE: &str = "RELEASE job";
pub(crate) const ROLLBACK_JOB: &str = "ROLLBACK TO job";

pub(crate) fn max_pages(pages: i64) -> String {
    format!("PRAGMA max_page_count = {pages}")
}
pub(crate) fn set_version(application_id: i64, version: u32) -> String {
    format!("PRAGMA application_id = {application_id}; PRAGMA user_version = {version};")
}
pub(crate) fn next_id(table: &Table) -> String {
    format!("SELECT coalesce(max(id), 0) + 1 FROM {}", table.name)
}

// --- The audit log ------------------------------------------------------------------------------

pub(crate) const FIRST_AUDIT_STATE: &str =
    "INSERT INTO audit_state (id, frontier, head) VALUES (1, ?1, ?2)";
pub(crate) const AUDIT_STATE: &str = "SELECT frontier, head FROM audit_state WHERE id = 1";
pub(crate) const SET_AUDIT_STATE: &str =
    "UPDATE audit_state SET frontier = ?1, head = ?2 WHERE id = 1";
pub(crate) const COUNT_LEAVES_BY_EDGE: &str = "SELECT coalesce(max(seq), -1) + 1 FROM audit_leaves";
pub(crate) const ADD_LEAF: &str = "INSERT INTO audit_leaves (seq, data, hash) VALUES (?1, ?2, ?3)";
pub(crate) const LEAVES: &str =
    "SELECT seq, data, hash FROM audit_leaves WHERE seq >= ?1 ORDER BY seq LIMIT ?2";
pub(crate) const ALL_LEAVES: &str = "SELECT seq, data, hash FROM audit_leaves ORDER BY seq";
pub(crate) const LEAF_HASHES: &str =
    "SELECT seq, hash FROM audit_leaves WHERE seq < ?1 ORDER BY seq";
pub(crate) const ADD_CHECKPOINT: &str =
    "INSERT INTO checkpoints (size, note) VALUES (?1, ?2) ON CONFLICT (size) DO NOTHING";
pub(crate) const NEWEST_CHECKPOINT_SIZE: &str = "SELECT coalesce(max(size), 0) FROM checkpoints";
pub(crate) const ALL_CHECKPOINTS: &str = "SELECT size, note FROM checkpoints ORDER BY size";

// --- Counters -----------------------------------------------------------------------------------

pub(crate) const COUNT: &str = "INSERT INTO counters (name, value) VALUES (?1, ?2)
  ON CONFLICT (name) DO UPDATE SET value = value + excluded.value";
pub(crate) const COUNTERS: &str = "SELECT name, value FROM counters ORDER BY name";

// --- Events and decisions -----------------------------------------------------------------------

/// Columns of a stored event, to be followed by a condition.
macro_rules! events_where {
    ($condition:literal) => {
        concat!(
            "SELECT e.leaf, e.decision, e.source, e.event_id, e.received_at, e.body, e.media, d.body ",
            "FROM events e LEFT JOIN decisions d ON d.id = e.decision WHERE ",
            $condition
        )
    };
}
pub(crate) const FINGERPRINT: &str =
    "SELECT fingerprint, received_at FROM events WHERE source = ?1 AND event_id = ?2";
pub(crate) const EVENT: &str = events_where!("e.source = ?1 AND e.event_id = ?2");
pub(crate) const EVENT_BY_DECISION: &str = events_where!("e.decision = ?1");
pub(crate) const NEWEST_EVENTS: &str = events_where!("e.leaf < ?1 ORDER BY e.leaf DESC LIMIT ?2");
/// By the primary key, so that whoever reads it stops where they like.
pub(crate) const EVENTS_BACKWARDS: &str = "SELECT leaf, received_at, decision, body, media FROM events WHERE leaf < ?1 ORDER BY leaf DESC";
pub(crate) const LOG_AFTER: &str = "SELECT e.leaf, e.received_at, e.decision, e.body, e.media, d.body
  FROM events e LEFT JOIN decisions d ON d.id = e.decision WHERE e.leaf > ?1 ORDER BY e.leaf LIMIT ?2";
pub(crate) const NEWEST_EVENT_LEAF: &str = "SELECT coalesce(max(leaf), 0) FROM events";
pub(crate) const EVENT_FROM_LEAF: &str =
    "SELECT leaf, received_at FROM events WHERE leaf >= ?1 ORDER BY leaf LIMIT 1";
pub(crate) const COUNT_EVENTS_AFTER: &str = "SELECT count(*) FROM events WHERE leaf > ?1";
pub(crate) const LEAF_OF_EVENT: &str = "SELECT leaf FROM events WHERE decision = ?1";
/// A long scan, for reports and back-tests only.
pub(crate) const JUDGED_EVENTS: &str = "SELECT e.decision, c.outcome FROM cases c
  JOIN case_events e ON e.case_id = c.id
  WHERE c.state = 'closed' AND c.outcome IS NOT NULL AND c.at >= ?1 ORDER BY c.at";
pub(crate) const LATER_DECISIONS: &str =
    "SELECT body FROM decisions WHERE about = ?1 ORDER BY leaf LIMIT ?2";
pub(crate) const EVENTS_OF_CASE: &str = events_where!(
    "e.decision IN (SELECT decision FROM case_events WHERE case_id = ?1) ORDER BY e.leaf LIMIT ?2"
);
pub(crate) const CONFLICT_KNOWN: &str = "SELECT 1 FROM event_conflicts
  WHERE source = ?1 AND event_id = ?2 AND fingerprint = ?3";
pub(crate) const CONFLICTS: &str = "SELECT source, event_id, body, received_at, leaf
  FROM event_conflicts WHERE source = ?1 AND event_id = ?2 ORDER BY id LIMIT 100";
pub(crate) const RECENT_CONFLICTS: &str = "SELECT source, event_id, body, received_at, leaf
  FROM event_conflicts ORDER BY id DESC LIMIT ?1";
pub(crate) const DECISION: &str = "SELECT body FROM decisions WHERE id = ?1";
pub(crate) const RECENT_DECISIONS: &str = "SELECT body FROM decisions ORDER BY leaf DESC LIMIT ?1";

// --- Outbox -------------------------------------------------------------------------------------

/// Columns of a delivery, to be followed by a condition.
macro_rules! outbox_where {
    ($condition:literal) => {
        concat!(
            "SELECT id, action, receiver, decision, source, event_id, body, created_at, state, ",
            "finished_at, attempts, due_at, error FROM outbox WHERE ",
            $condition
        )
    };
}
pub(crate) const LEASE: &str = "UPDATE outbox
  SET token = token + 1, attempts = attempts + 1, due_at = ?3
  WHERE id IN (SELECT id FROM outbox WHERE state = 'pending' AND receiver = ?1 AND due_at <= ?2
               ORDER BY due_at, id LIMIT ?4)
  RETURNING id, token, attempts, body, decision, source, event_id, created_at";
pub(crate) const TAKE_OVER: &str =
    "UPDATE outbox SET due_at = ?1 WHERE state = 'pending' AND due_at > ?1";
pub(crate) const LEASED: &str = outbox_where!("id = ?1 AND token = ?2 AND state = 'pending'");
pub(crate) const POSTPONE: &str = "UPDATE outbox SET due_at = ?2, error = ?3 WHERE id = ?1";
pub(crate) const SET_DUE: &str = "UPDATE outbox SET due_at = ?2 WHERE id = ?1";
pub(crate) const SET_ERROR: &str = "UPDATE outbox SET error = ?2 WHERE id = ?1";
pub(crate) const DEAD: &str = outbox_where!("id = ?1 AND state = 'dead'");
pub(crate) const REVIVE: &str =
    "UPDATE outbox SET due_at = ?2, attempts = 0, token = token + 1 WHERE id = ?1";
pub(crate) const DEAD_LETTERS: &str =
    outbox_where!("state = 'dead' AND id < ?1 ORDER BY id DESC LIMIT ?2");
pub(crate) const DELIVERIES: &str = outbox_where!("decision = ?1 ORDER BY id");
pub(crate) const DELIVERIES_OF_CASE: &str = outbox_where!(
    "decision IN (SELECT decision FROM case_events WHERE case_id = ?1
                  UNION SELECT id FROM decisions WHERE case_id = ?1) ORDER BY id LIMIT ?2"
);
pub(crate) const OUTBOX_BY_RECEIVER: &str =
    "SELECT receiver, sum(state = 'pending'), sum(state = 'dead')
  FROM (SELECT receiver, state FROM outbox WHERE state = 'pending'
        UNION ALL SELECT receiver, state FROM outbox WHERE state = 'dead')
  GROUP BY receiver ORDER BY receiver";
pub(crate) const COUNT_PENDING: &str = "SELECT count(*) FROM outbox WHERE state = 'pending'";
pub(crate) const COUNT_DEAD: &str = "SELECT count(*) FROM outbox WHERE state = 'dead'";

// --- Cases --------------------------------------------------------------------------------------

/// Columns of a case, to be followed by a condition.
macro_rules! cases_where {
    ($condition:literal) => {
        concat!(
            "SELECT id, queue, entity_type, entity_id, account, policy, priority, opened_at, state, ",
            "by, at, decision, outcome FROM cases WHERE ",
            $condition
        )
    };
}
pub(crate) const CASE: &str = cases_where!("id = ?1");
pub(crate) const CASE_PENDING: &str =
    cases_where!("queue = ?1 AND entity_type = ?2 AND entity_id = ?3 AND state <> 'closed'");
pub(crate) const CASE_PENDING_ANYWHERE: &str = cases_where!(
    "entity_type = ?1 AND entity_id = ?2 AND state <> 'closed' ORDER BY opened_at LIMIT 1"
);
pub(crate) const CASES_BY_STATE: &str = cases_where!(
    "state = ?1 AND (priority < ?3 OR (priority = ?3 AND (opened_at, id) > (?4, ?5)))
     ORDER BY priority DESC, opened_at, id LIMIT ?2"
);
pub(crate) const CASES_BY_QUEUE: &str = cases_where!(
    "state = ?1 AND queue = ?6 AND (priority < ?3 OR (priority = ?3 AND (opened_at, id) > (?4, ?5)))
     ORDER BY priority DESC, opened_at, id LIMIT ?2"
);
pub(crate) const CASES_RELATED: &str = cases_where!(
    "id <> ?1 AND ((entity_type = ?2 AND entity_id = ?3)
                   OR account = ?4 OR (entity_type = 'account' AND entity_id = ?4))
     ORDER BY opened_at DESC, id LIMIT ?5"
);
pub(crate) const CASE_LINKED: &str =
    "SELECT 1 FROM case_events WHERE case_id = ?1 AND decision = ?2";
pub(crate) const CASE_EVENTS_COUNT: &str = "SELECT count(*) FROM case_events WHERE case_id = ?1";
pub(crate) const CASE_DECISIONS: &str = "SELECT d.body FROM case_events c
  JOIN decisions d ON d.id = c.decision WHERE c.case_id = ?1 ORDER BY c.id";
pub(crate) const CASE_JUDGEMENTS: &str = "SELECT d.body FROM cases c
  JOIN decisions d ON d.id = c.decision
  WHERE c.state = 'closed' AND ((c.entity_type = ?1 AND c.entity_id = ?2)
    OR c.account = ?3 OR (c.entity_type = 'account' AND c.entity_id = ?3))
  ORDER BY c.at DESC LIMIT ?4";
pub(crate) const CASE_TRAIL: &str =
    "SELECT what, author, at, note, leaf FROM case_trail WHERE case_id = ?1 ORDER BY id LIMIT ?2";
pub(crate) const CASE_LEAF: &str = "SELECT leaf FROM cases WHERE id = ?1";
pub(crate) const QUEUES: &str = "SELECT queue, sum(state = 'open'), sum(state = 'claimed'),
    min(CASE WHEN state = 'open' THEN opened_at END), max(priority)
  FROM (SELECT queue, state, opened_at, priority FROM cases WHERE state = 'open'
        UNION ALL SELECT queue, state, opened_at, priority FROM cases WHERE state = 'claimed')
  GROUP BY queue ORDER BY queue";
pub(crate) const COUNT_CASES: &str = "SELECT count(*) FROM cases WHERE state = ?1";

// --- Strikes ------------------------------------------------------------------------------------

macro_rules! strikes_where {
    ($where:literal) => {
        concat!(
            "SELECT account, weight, policy, decision, at, withdrawn, id FROM strikes WHERE ",
            $where
        )
    };
}
pub(crate) const STRIKES: &str =
    strikes_where!("account = ?1 AND withdrawn IS NULL ORDER BY id DESC LIMIT ?2");
pub(crate) const STRIKES_OF_DECISION: &str = strikes_where!("decision = ?1 ORDER BY id");
pub(crate) const STRIKES_WEIGHT: &str =
    "SELECT coalesce(sum(weight), 0) FROM strikes WHERE account = ?1 AND withdrawn IS NULL";

/// A long scan, for back-tests only.
pub(crate) const STRIKES_BEFORE: &str =
    strikes_where!("at < ?1 AND withdrawn IS NULL ORDER BY id DESC LIMIT 1000000");
pub(crate) const STRIKES_SINCE: &str = "SELECT coalesce(sum(weight), 0) FROM strikes
  WHERE account = ?1 AND withdrawn IS NULL AND at > ?2 AND at <= ?3";

// --- Labels -------------------------------------------------------------------------------------

pub(crate) const LABELS: &str =
    "SELECT id, entity_type, entity_id, label, set_at, ends_at, decision
  FROM labels WHERE entity_type = ?1 AND entity_id = ?2 AND ended_at IS NULL
    AND (ends_at IS NULL OR ends_at > ?3) ORDER BY id";
pub(crate) const HAS_LABEL: &str = "SELECT EXISTS (SELECT 1 FROM labels
  WHERE entity_type = ?1 AND entity_id = ?2 AND label = ?3 AND ended_at IS NULL
    AND (ends_at IS NULL OR ends_at > ?4))";
pub(crate) const LABELS_AT: &str = "SELECT id, entity_type, entity_id, label, set_at, ends_at, decision
  FROM labels WHERE set_at <= ?1 AND (ends_at IS NULL OR ends_at > ?1) AND (ended_at IS NULL OR ended_at > ?1)
  ORDER BY id";

// --- Sets ---------------------------------------------------------------------------------------

macro_rules! sets {
    ($rest:literal) => {
        concat!(
            "SELECT s.name, s.description, s.created_at,
               (SELECT count(*) FROM set_items i WHERE i.set_name = s.name AND i.removed_at IS NULL)
             FROM sets s ",
            $rest
        )
    };
}
pub(crate) const SETS: &str = sets!("ORDER BY s.name");
pub(crate) const SET: &str = sets!("WHERE s.name = ?1");
pub(crate) const COUNT_SETS: &str = "SELECT count(*) FROM sets";
pub(crate) const COUNT_SET_ITEMS: &str = "SELECT count(*) FROM set_items WHERE removed_at IS NULL";
pub(crate) const SET_ITEMS: &str =
    "SELECT item FROM set_items WHERE set_name = ?1 AND removed_at IS NULL ORDER BY item";
macro_rules! set_items {
    ($rest:literal) => {
        concat!(
            "SELECT id, item, note, author, added_at, removed_at, removed_by FROM set_items ",
            $rest
        )
    };
}
pub(crate) const SET_ITEM: &str =
    set_items!("WHERE set_name = ?1 AND item = ?2 AND removed_at IS NULL");
pub(crate) const SET_HISTORY: &str = set_items!("WHERE set_name = ?1 ORDER BY id DESC LIMIT ?2");

// --- Circuit breakers ---------------------------------------------------------------------------

macro_rules! rule_stops {
    ($rest:literal) => {
        concat!(
            "SELECT id, rule, why, decision, stopped_at, reset_at, reset_by, note FROM rule_stops ",
            $rest
        )
    };
}
pub(crate) const STOP_OPEN: &str = rule_stops!("WHERE rule = ?1 AND reset_at IS NULL");
pub(crate) const STOPS_OPEN: &str =
    rule_stops!("WHERE rule >= '' AND reset_at IS NULL ORDER BY rule");
pub(crate) const STOPS_OF: &str = rule_stops!("WHERE rule = ?1 ORDER BY id DESC LIMIT ?2");
// What was reset has opened before, whatever the clock said then.
pub(crate) const STOPS_UNTIL: &str = "SELECT count(*) FROM rule_stops
  WHERE rule = ?1 AND (stopped_at <= ?2 OR reset_at <= ?2)";

// --- What rules did -----------------------------------------------------------------------------

pub(crate) const TALLY: &str = "INSERT INTO rule_tallies (day, rule, what, n, last_at)
  VALUES (?1, ?2, ?3, 1, ?4) ON CONFLICT (day, rule, what)
  DO UPDATE SET n = n + 1, last_at = max(last_at, excluded.last_at)";
pub(crate) const TALLIES: &str = "SELECT rule, what, sum(n), max(last_at) FROM rule_tallies
  WHERE day BETWEEN ?1 AND ?2 GROUP BY rule, what ORDER BY rule, what";
pub(crate) const TALLIES_OF: &str = "SELECT day, what, n, last_at FROM rule_tallies
  WHERE rule = ?1 AND day BETWEEN ?2 AND ?3 ORDER BY day, what";

// --- Banks --------------------------------------------------------------------------------------

/// Columns of a bank, to be followed by more of the statement.
macro_rules! banks {
    ($rest:literal) => {
        concat!(
            "SELECT b.id, b.name, b.description, b.enabled, b.settings, b.created_at, ",
            "coalesce((SELECT value FROM counters WHERE name = 'bank.' || b.id), 0) FROM banks b ",
            $rest
        )
    };
}
pub(crate) const BANKS: &str = banks!("ORDER BY b.name");
pub(crate) const BANK: &str = banks!("WHERE b.name = ?1");
pub(crate) const BANKS_BY_ID: &str = "SELECT id, name, enabled, settings FROM banks ORDER BY id";

pub(crate) const ADD_MEMBER: &str = "INSERT INTO members
  (id, signal_type, value, note, exchange, settings, lookup, digest8)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
/// Members with this signal: their bank by the batch they are in, and whether they were removed.
pub(crate) const SAME_SIGNAL: &str = "SELECT m.id,
    (SELECT b.bank FROM member_batches b WHERE b.first <= m.id ORDER BY b.first DESC LIMIT 1),
    EXISTS (SELECT 1 FROM member_removals r WHERE r.member = m.id)
  FROM members m WHERE m.lookup = ?1 AND m.signal_type = ?2 AND m.value = ?3 ORDER BY m.id";
/// How member `m` matches now; empty when as its bank says.
macro_rules! settings_in_force {
    () => {
        "coalesce((SELECT c.settings FROM member_changes c WHERE c.member = m.id
                   ORDER BY c.id DESC LIMIT 1), m.settings)"
    };
}
/// Columns of a member, from its batch outwards, to be followed by conditions.
macro_rules! members_where {
    ($condition:literal) => {
        concat!(
            "SELECT m.id, m.signal_type, m.value, m.note, b.added_at, b.bank, m.exchange, b.author, ",
            settings_in_force!(),
            " FROM member_batches b CROSS JOIN members m ",
            "ON m.id >= b.first AND m.id < b.first + b.count WHERE ",
            $condition
        )
    };
}
pub(crate) const MEMBERS: &str = members_where!(
    "b.bank = ?1 AND b.first + b.count > ?2 AND m.id > ?2
     AND NOT EXISTS (SELECT 1 FROM member_removals r WHERE r.member = m.id)
     ORDER BY b.first, m.id LIMIT ?3"
);
pub(crate) const MEMBER: &str = members_where!(
    "b.id = (SELECT id FROM member_batches WHERE first <= ?1 ORDER BY first DESC LIMIT 1) AND m.id = ?1"
);
pub(crate) const MEMBERS_SINCE_BATCH: &str = members_where!(
    "b.id > ?1 AND NOT EXISTS (SELECT 1 FROM member_removals r WHERE r.member = m.id)
     ORDER BY b.id, m.id"
);
/// The same, and those of other types than the given one of any time.
pub(crate) const MEMBERS_SINCE_OR_OTHER: &str = members_where!(
    "(b.id > ?1 OR m.signal_type <> ?2)
     AND NOT EXISTS (SELECT 1 FROM member_removals r WHERE r.member = m.id)
     ORDER BY b.id, m.id"
);
pub(crate) const NEWEST_BATCH: &str =
    "SELECT id, first + count - 1 FROM member_batches ORDER BY id DESC LIMIT 1";
pub(crate) const REMOVALS_SINCE: &str = "SELECT r.id, r.member, r.bank, m.signal_type
  FROM member_removals r JOIN members m ON m.id = r.member
  WHERE r.id > ?1 AND r.member <= ?2 ORDER BY r.id";
/// How members that were told of before match now: those changed since, the newest change of each.
pub(crate) const SETTINGS_SINCE: &str = "SELECT m.id, m.signal_type, m.value, c.settings, c.bank
  FROM member_changes c JOIN members m ON m.id = c.member
  WHERE c.id > ?1 AND c.member <= ?2
    AND NOT EXISTS (SELECT 1 FROM member_changes n WHERE n.member = c.member AND n.id > c.id)
    AND NOT EXISTS (SELECT 1 FROM member_removals r WHERE r.member = c.member)
  ORDER BY c.id";
/// The same of members of one type, whenever they were changed.
pub(crate) const SETTINGS_OF_TYPE: &str = concat!(
    "SELECT m.id, m.signal_type, m.value, ",
    settings_in_force!(),
    ", (SELECT b.bank FROM member_batches b WHERE b.first <= m.id ORDER BY b.first DESC LIMIT 1)",
    " FROM (SELECT id FROM members INDEXED BY members_with_settings WHERE settings <> ''
            UNION SELECT member FROM member_changes) k
  CROSS JOIN members m ON m.id = k.id
  WHERE m.id <= ?1 AND m.signal_type = ?2
    AND NOT EXISTS (SELECT 1 FROM member_removals r WHERE r.member = m.id)
  ORDER BY m.id"
);
pub(crate) const NEWEST_CHANGE: &str = "SELECT coalesce(max(id), 0) FROM member_changes";
pub(crate) const MEMBER_HISTORY: &str = "SELECT settings, reason, author, changed_at
  FROM (SELECT * FROM member_changes WHERE member = ?1 ORDER BY id DESC LIMIT ?2) ORDER BY id";
pub(crate) const OPINIONS: &str = "SELECT member, stance, note, exchange, author, given_at
  FROM (SELECT * FROM opinions WHERE member = ?1 ORDER BY id DESC LIMIT ?2) ORDER BY id";
pub(crate) const ADD_HITS: &str =
    "INSERT INTO member_hits (hour, member, hits, withheld) VALUES (?1, ?2, ?3, ?4)
  ON CONFLICT (hour, member) DO UPDATE
  SET hits = hits + excluded.hits, withheld = withheld + excluded.withheld";
pub(crate) const HITS_SINCE: &str = "SELECT member, hour, hits, withheld FROM member_hits
  WHERE hour >= ?1 ORDER BY hour, member";
pub(crate) const HITS_OF: &str = "SELECT member, hour, hits, withheld FROM member_hits
  WHERE member = ?1 AND hour >= ?2 ORDER BY hour";
pub(crate) const SET_PROGRESS: &str = "INSERT INTO progress (name, value) VALUES (?1, ?2)
     ON CONFLICT (name) DO UPDATE SET value = ?2";
pub(crate) const PROGRESS: &str = "SELECT value FROM progress WHERE name = ?1";
pub(crate) const DROP_HITS: &str = "DELETE FROM member_hits WHERE hour < ?1";
/// What `BankCursor` stands for: every batch by its digest, every removal.
pub(crate) const BATCHES_UNTIL: &str =
    "SELECT id, bank, first, count, digest FROM member_batches WHERE id <= ?1 ORDER BY id";
pub(crate) const REMOVALS_UNTIL: &str =
    "SELECT id, member FROM member_removals WHERE id <= ?1 ORDER BY id";
pub(crate) const NEWEST_REMOVAL: &str = "SELECT coalesce(max(id), 0) FROM member_removals";
pub(crate) const REMOVAL: &str = "SELECT removed_at FROM member_removals WHERE member = ?1";
pub(crate) const ALL_BATCHES: &str =
    "SELECT id, first, count, digest FROM member_batches ORDER BY first";
pub(crate) const ALL_MEMBERS: &str = "SELECT id, signal_type, value, note, exchange, settings, lookup, digest8 FROM members ORDER BY id";
pub(crate) const COUNT_MEMBERS: &str = "SELECT coalesce(sum(count), 0) FROM member_batches";

// --- Access -------------------------------------------------------------------------------------

pub(crate) const API_KEYS: &str = "SELECT id, name, secret_sha256, scopes, created_at, revoked_at FROM api_keys ORDER BY created_at, id";
pub(crate) const API_KEY: &str =
    "SELECT id, name, secret_sha256, scopes, created_at, revoked_at FROM api_keys WHERE id = ?1";
pub(crate) const REVIEWERS: &str = "SELECT id, login, password_hash, role, created_at, disabled_at
  FROM reviewers ORDER BY login";
pub(crate) const REVIEWER: &str = "SELECT id, login, password_hash, role, created_at, disabled_at
  FROM reviewers WHERE login = ?1";
pub(crate) const COUNT_REVIEWERS: &str = "SELECT count(*) FROM (SELECT 1 FROM reviewers LIMIT 1)";
pub(crate) const SESSION: &str =
    "SELECT s.id, s.token_sha256, s.login, s.csrf, s.created_at, s.expires_at, s.ended_at, r.role
  FROM sessions s JOIN reviewers r ON r.login = s.login
  WHERE s.token_sha256 = ?1 AND s.ended_at IS NULL AND r.disabled_at IS NULL";
pub(crate) const SESSIONS_OF: &str =
    "SELECT s.id, s.token_sha256, s.login, s.csrf, s.created_at, s.expires_at, s.ended_at, r.role
  FROM sessions s JOIN reviewers r ON r.login = s.login
  WHERE s.login = ?1 AND s.ended_at IS NULL";

// --- Rules and evidence -------------------------------------------------------------------------

pub(crate) const NEWEST_RULE: &str =
    "SELECT version, hash FROM rule_versions WHERE name = ?1 ORDER BY version DESC LIMIT 1";
pub(crate) const RULE: &str = "SELECT name, version, hash, text, file, mode, recorded_at
  FROM rule_versions WHERE name = ?1 AND version = ?2";
pub(crate) const RULE_HISTORY: &str = "SELECT name, version, hash, text, file, mode, recorded_at
  FROM rule_versions WHERE name = ?1 ORDER BY version DESC";
/// From file to file by its index, then the newest version of each: no text is read.
pub(crate) const RULE_FILES: &str = "
  WITH RECURSIVE names (file) AS (
    SELECT min(file) FROM rule_files
    UNION ALL SELECT (SELECT min(file) FROM rule_files WHERE file > names.file)
      FROM names WHERE names.file IS NOT NULL)
  SELECT f.file, f.version, f.sha256, f.author, f.note, f.at, f.proposal
  FROM names JOIN rule_files f ON f.file = names.file
    AND f.version = (SELECT max(version) FROM rule_files WHERE file = names.file)
  WHERE names.file IS NOT NULL ORDER BY f.file";
pub(crate) const RULE_FILE_VERSIONS: &str =
    "SELECT file, version, sha256, author, note, at, proposal FROM rule_files
  WHERE file = ?1 AND version < ?2 ORDER BY version DESC LIMIT ?3";
pub(crate) const RULE_FILE: &str = "SELECT file, version, sha256, author, note, at, proposal, text
  FROM rule_files WHERE file = ?1 AND version = ?2";
pub(crate) const RULE_FILE_OF: &str =
    "SELECT file, version, sha256, author, note, at, proposal, text
  FROM rule_files WHERE file = ?1 AND sha256 = ?2 ORDER BY version DESC LIMIT 1";
/// Columns of a proposal, to be followed by a condition.
macro_rules! proposals_where {
    ($condition:literal) => {
        concat!(
            "SELECT id, file, base, author, note, proposed_at, state, decided_by, decided_at, answer, text ",
            "FROM rule_proposals WHERE ",
            $condition
        )
    };
}
pub(crate) const OPEN_PROPOSALS: &str = proposals_where!("state = 'proposed' ORDER BY id");
pub(crate) const COUNT_OPEN_PROPOSALS: &str =
    "SELECT count(*) FROM rule_proposals WHERE state = 'proposed'";
pub(crate) const DECIDED_PROPOSALS: &str =
    proposals_where!("state <> 'proposed' ORDER BY id DESC LIMIT ?1");
pub(crate) const PROPOSAL: &str = proposals_where!("id = ?1");
pub(crate) const PREVIEW: &str = "SELECT content_type, bytes FROM previews WHERE sha256 = ?1";
pub(crate) const HAS_PREVIEW: &str = "SELECT 1 FROM previews WHERE sha256 = ?1";

// --- Verification -------------------------------------------------------------------------------

/// What each counter should say.
pub(crate) const RECOUNT: &str = "
  SELECT 'events', count(*) FROM events
  UNION ALL SELECT 'events.conflicts', count(*) FROM event_conflicts
  UNION ALL SELECT 'decisions.verdicts', count(*) FROM decisions
    WHERE case_id IS NULL AND about IS NULL AND json_array_length(body, '$.verdicts') > 0
  UNION ALL SELECT 'decisions.reviewed', count(*) FROM decisions WHERE case_id IS NOT NULL
  UNION ALL SELECT 'actions.' || json_extract(a.value, '$.kind'), count(*)
    FROM decisions d, json_each(d.body, '$.actions') a GROUP BY 1
  UNION ALL SELECT 'cases', count(*) FROM cases
  UNION ALL SELECT 'outbox.delivered', count(*) FROM outbox WHERE state = 'delivered'
  UNION ALL SELECT 'bank.' || b.id,
    (SELECT coalesce(sum(count), 0) FROM member_batches WHERE bank = b.id)
    - (SELECT count(*) FROM member_removals WHERE bank = b.id) FROM banks b";

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// Asserts that a statement reads no table from end to end, however large it grows.
    #[track_caller]
    fn check(conn: &Connection, sql: &str) {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().unwrap() {
            let step: String = row.get(3).unwrap();
            // Partial indexes hold only what is pending or dead, which is little.
            let small = [
                "SCAN b USING INDEX sqlite_autoindex_banks_1",
                "outbox_due",
                "outbox_dead",
                "cases_pending",
                // Changes of single members are made by people.
                "members_with_settings",
                "member_changes_by_member",
                "SCAN k",
                // The recursion's own names, and proposals that wait for a person.
                "SCAN names",
                "rule_proposals_open",
            ];
            let reads_all =
                step.starts_with("SCAN") && !small.iter().any(|name| step.contains(name));
            let is_subquery = step.contains("SCAN (subquery") || step.contains("SCAN CONSTANT ROW");
            assert!(!reads_all || is_subquery, "{step}\nin {sql}");
        }
    }

    #[test]
    fn no_statement_of_the_running_server_reads_a_whole_table() {
        let conn = Connection::open_in_memory().unwrap();
        for script in crate::open::MIGRATIONS {
            conn.execute_batch(script).unwrap();
        }
        for sql in [
            FINGERPRINT,
            EVENT,
            EVENT_BY_DECISION,
            NEWEST_EVENTS,
            LOG_AFTER,
            EVENT_FROM_LEAF,
            COUNT_EVENTS_AFTER,
            LEAF_OF_EVENT,
            JUDGED_EVENTS,
            LATER_DECISIONS,
            EVENTS_OF_CASE,
            CONFLICT_KNOWN,
            CONFLICTS,
            DECISION,
            LEASE,
            LEASED,
            DEAD,
            DEAD_LETTERS,
            DELIVERIES,
            DELIVERIES_OF_CASE,
            OUTBOX_BY_RECEIVER,
            COUNT_PENDING,
            COUNT_DEAD,
            CASE,
            CASE_PENDING,
            CASE_PENDING_ANYWHERE,
            CASES_BY_STATE,
            CASES_BY_QUEUE,
            CASES_RELATED,
            CASE_LINKED,
            CASE_EVENTS_COUNT,
            CASE_DECISIONS,
            CASE_TRAIL,
            QUEUES,
            COUNT_CASES,
            STRIKES,
            STRIKES_OF_DECISION,
            STRIKES_WEIGHT,
            STRIKES_SINCE,
            LABELS,
            HAS_LABEL,
            SET,
            SET_ITEM,
            SET_ITEMS,
            SET_HISTORY,
            STOP_OPEN,
            STOPS_OPEN,
            STOPS_OF,
            STOPS_UNTIL,
            TALLIES_OF,
            CASE_JUDGEMENTS,
            BANK,
            SAME_SIGNAL,
            MEMBERS,
            MEMBER,
            MEMBERS_SINCE_BATCH,
            REMOVALS_SINCE,
            SETTINGS_SINCE,
            SETTINGS_OF_TYPE,
            MEMBER_HISTORY,
            OPINIONS,
            HITS_SINCE,
            HITS_OF,
            DROP_HITS,
            PROGRESS,
            BATCHES_UNTIL,
            REMOVALS_UNTIL,
            REMOVAL,
            API_KEY,
            REVIEWER,
            SESSION,
            SESSIONS_OF,
            NEWEST_RULE,
            RULE,
            RULE_FILES,
            RULE_FILE_VERSIONS,
            RULE_FILE,
            RULE_FILE_OF,
            OPEN_PROPOSALS,
            COUNT_OPEN_PROPOSALS,
            PROPOSAL,
            PREVIEW,
            COUNT_LEAVES_BY_EDGE,
            LEAVES,
        ] {
            check(&conn, sql);
        }
        for table in crate::tables::ALL {
            check(&conn, &table.sql.leaf_of);
            check(&conn, &table.sql.update);
        }
    }
}
