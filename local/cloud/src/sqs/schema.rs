//! The tables, and how older databases come to have them.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// What each version added. A database says with `user_version` how many it has seen; what is here is
/// never changed, only added to.
pub(super) const VERSIONS: [&str; 2] = [
    // `IF NOT EXISTS`, because the first databases did not count versions.
    "
    CREATE TABLE IF NOT EXISTS queues (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        arn TEXT NOT NULL UNIQUE,
        visibility_ms INTEGER NOT NULL,
        retention_ms INTEGER NOT NULL,
        delay_ms INTEGER NOT NULL,
        wait_ms INTEGER NOT NULL,
        dead_letter_arn TEXT,
        max_receive_count INTEGER,
        created_ms INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue INTEGER NOT NULL REFERENCES queues (id),
        message_id TEXT NOT NULL,
        body TEXT NOT NULL,
        attributes TEXT NOT NULL,
        trace_header TEXT,
        group_id TEXT,
        dead_letter_source TEXT,
        sent_ms INTEGER NOT NULL,
        visible_ms INTEGER NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0,
        first_received_ms INTEGER,
        receipt TEXT
    );
    CREATE INDEX IF NOT EXISTS messages_by_age ON messages (queue, sent_ms);",
    // A copy is what chaos' `duplicate` makes. The indices are in the order of what they answer: which
    // messages are visible, oldest first; the same of one group; who has how many in flight. None of the
    // three needs to look at a message for it.
    "
    ALTER TABLE queues ADD COLUMN max_bytes INTEGER NOT NULL DEFAULT 1048576;
    ALTER TABLE queues ADD COLUMN modified_ms INTEGER NOT NULL DEFAULT 0;
    UPDATE queues SET modified_ms = created_ms;
    ALTER TABLE messages ADD COLUMN is_copy INTEGER NOT NULL DEFAULT FALSE;
    DROP INDEX IF EXISTS messages_by_visibility;
    CREATE INDEX messages_by_visibility ON messages (queue, visible_ms, id, group_id);
    CREATE INDEX messages_by_group ON messages (queue, group_id, visible_ms, id);
    CREATE INDEX messages_received ON messages (queue, group_id, visible_ms, receive_count) WHERE receipt IS NOT NULL;
    CREATE INDEX messages_copied ON messages (queue, visible_ms) WHERE is_copy;
    CREATE TABLE tags (
        queue INTEGER NOT NULL REFERENCES queues (id),
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (queue, key)
    ) WITHOUT ROWID;
    CREATE TABLE move_tasks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        source INTEGER NOT NULL REFERENCES queues (id),
        destination_arn TEXT,
        per_second INTEGER,
        to_move INTEGER NOT NULL,
        moved INTEGER NOT NULL DEFAULT 0,
        status TEXT NOT NULL DEFAULT 'RUNNING',
        failure TEXT,
        started_ms INTEGER NOT NULL
    );
    CREATE INDEX move_tasks_by_source ON move_tasks (source, id);
    CREATE INDEX move_tasks_running ON move_tasks (source) WHERE status = 'RUNNING';",
];

/// More than there are statements: to compile one costs more than to run it.
const STATEMENTS: usize = 100;

/// Brings the database to the latest version.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let tx = Transaction::new(connection, TransactionBehavior::Immediate)?;
    let seen: usize = tx.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for (version, sql) in VERSIONS.iter().enumerate().skip(seen) {
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", version + 1)?;
    }
    tx.commit()
}
