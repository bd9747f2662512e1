//! The versions of secrets, and their stages: each stage is with one version of a secret, and what has none is gone.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use uuid::Uuid;

use crate::state::{Control, Error};

pub(super) const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS secret_versions (
        name TEXT NOT NULL,
        id TEXT NOT NULL,
        value TEXT NOT NULL,
        created_s REAL NOT NULL,
        PRIMARY KEY (name, id)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS secret_stages (
        name TEXT NOT NULL,
        stage TEXT NOT NULL,
        id TEXT NOT NULL,
        PRIMARY KEY (name, stage)
    ) WITHOUT ROWID;";

/// Of states that were made before there were versions: a secret's value was its only one.
const MIGRATION: &str = "
    INSERT OR IGNORE INTO secret_versions SELECT name, version, value, created_s FROM secrets;
    INSERT OR IGNORE INTO secret_stages SELECT name, 'AWSCURRENT', version FROM secrets;
    DROP TABLE secrets;";

/// What a secret's value was, is, or will be.
pub(super) struct Version {
    pub(super) id: String,
    pub(super) value: String,
    /// Seconds since 1970.
    pub(super) created: f64,
    pub(super) stages: Vec<String>,
}

impl Version {
    pub(super) fn has(&self, stage: &str) -> bool {
        self.stages.iter().any(|other| other == stage)
    }
}

/// What became of a new version.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is there, now or already.
    Done,
    /// There is one with this id, which never changes.
    AnotherValue,
}

/// The versions of all secrets, by the secrets' names.
#[derive(Clone)]
pub(super) struct Versions(Control);

impl Versions {
    pub(super) fn open(control: Control) -> Result<Self, Error> {
        control.with(|connection| {
            let transaction = connection.transaction()?;
            transaction.execute_batch(SCHEMA)?;
            let old = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'secrets'";
            if transaction.query_row(old, [], |_| Ok(())).optional()?.is_some() {
                transaction.execute_batch(MIGRATION)?;
            }
            transaction.commit()
        })?;
        Ok(Self(control))
    }

    /// Gives a secret that has no version its first.
    pub(super) fn begin(&self, name: &str, value: &str) -> Result<(), Error> {
        self.0.with(|connection| {
            let transaction = connection.transaction()?;
            if with_stage(&transaction, name, CURRENT)?.is_none() {
                let id = Uuid::new_v4().to_string();
                insert(&transaction, name, &id, value)?;
                attach(&transaction, name, CURRENT, &id)?;
            }
            transaction.commit()
        })
    }

    /// All versions of a secret, the oldest first.
    pub(super) fn of(&self, name: &str) -> Result<Vec<Version>, Error> {
        self.0.with(|connection| {
            let mut select =
                connection.prepare_cached("SELECT id, value, created_s FROM secret_versions WHERE name = ?1 ORDER BY created_s, id")?;
            let row =
                |row: &rusqlite::Row<'_>| Ok(Version { id: row.get(0)?, value: row.get(1)?, created: row.get(2)?, stages: Vec::new() });
            let mut versions: Vec<Version> = select.query_map([name], row)?.collect::<Result<_, _>>()?;
            for version in &mut versions {
                let mut select = connection.prepare_cached("SELECT stage FROM secret_stages WHERE name = ?1 AND id = ?2 ORDER BY stage")?;
                version.stages = select.query_map([name, &version.id], |row| row.get(0))?.collect::<Result<_, _>>()?;
            }
            Ok(versions)
        })
    }

    /// Adds a version and moves stages to it.
    pub(super) fn put(&self, name: &str, id: &str, value: &str, stages: &[String]) -> Result<Put, Error> {
        self.0.with(|connection| {
            let transaction = connection.transaction()?;
            match value_of(&transaction, name, id)? {
                Some(other) if other != value => return Ok(Put::AnotherValue),
                // The same request again: it is not done twice, for stages may have moved on since.
                Some(_) => return Ok(Put::Done),
                None => insert(&transaction, name, id, value)?,
            }
            for stage in stages {
                hand_over(&transaction, name, stage, id)?;
            }
            remove_unstaged(&transaction, name)?;
            transaction.commit()?;
            Ok(Put::Done)
        })
    }

    /// Moves a stage from one version to another, or takes it away, or gives it. `false`: it is not where it is said to be.
    pub(super) fn move_stage(&self, name: &str, stage: &str, from: Option<&str>, to: Option<&str>) -> Result<bool, Error> {
        self.0.with(|connection| {
            let transaction = connection.transaction()?;
            let holder = with_stage(&transaction, name, stage)?;
            let is_there = holder.as_deref() == from || holder.as_deref() == to;
            match to {
                Some(to) if is_there && value_of(&transaction, name, to)?.is_some() => hand_over(&transaction, name, stage, to)?,
                None if is_there && from.is_some() && stage != CURRENT => {
                    transaction.execute("DELETE FROM secret_stages WHERE name = ?1 AND stage = ?2", [name, stage])?;
                }
                _ => return Ok(false),
            }
            remove_unstaged(&transaction, name)?;
            transaction.commit()?;
            Ok(true)
        })
    }
}

/// Attaches a stage; whatever was current is the previous one from then on.
fn hand_over(transaction: &Transaction<'_>, name: &str, stage: &str, to: &str) -> rusqlite::Result<()> {
    let before = with_stage(transaction, name, stage)?;
    attach(transaction, name, stage, to)?;
    match before {
        Some(before) if stage == CURRENT && before != to => attach(transaction, name, PREVIOUS, &before),
        _ => Ok(()),
    }
}

fn attach(transaction: &Transaction<'_>, name: &str, stage: &str, id: &str) -> rusqlite::Result<()> {
    transaction.execute("INSERT OR REPLACE INTO secret_stages (name, stage, id) VALUES (?1, ?2, ?3)", [name, stage, id])?;
    Ok(())
}

fn insert(transaction: &Transaction<'_>, name: &str, id: &str, value: &str) -> rusqlite::Result<()> {
    let created = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let insert = "INSERT INTO secret_versions (name, id, value, created_s) VALUES (?1, ?2, ?3, ?4)";
    transaction.execute(insert, params![name, id, value, created])?;
    Ok(())
}

/// AWS deletes them too, at some time.
fn remove_unstaged(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    let delete = "DELETE FROM secret_versions WHERE name = ?1 AND id NOT IN (SELECT id FROM secret_stages WHERE name = ?1)";
    transaction.execute(delete, [name])?;
    Ok(())
}

fn with_stage(connection: &Connection, name: &str, stage: &str) -> rusqlite::Result<Option<String>> {
    let select = "SELECT id FROM secret_stages WHERE name = ?1 AND stage = ?2";
    connection.query_row(select, [name, stage], |row| row.get(0)).optional()
}

fn value_of(connection: &Connection, name: &str, id: &str) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM secret_versions WHERE name = ?1 AND id = ?2", [name, id], |row| row.get(0)).optional()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions() -> (tempfile::TempDir, Versions) {
        let folder = tempfile::tempdir().unwrap();
        let versions = Versions::open(Control::open(&folder.path().join("control.db")).unwrap()).unwrap();
        versions.begin("secret", "first").unwrap();
        (folder, versions)
    }

    /// Values and stages, the oldest first.
    fn all(versions: &Versions) -> Vec<(String, String)> {
        versions.of("secret").unwrap().into_iter().map(|version| (version.value, version.stages.join(" "))).collect()
    }

    fn is(versions: &Versions, expected: &[(&str, &str)]) {
        let found = all(versions);
        assert_eq!(found.iter().map(|(value, stages)| (value.as_str(), stages.as_str())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_rotation_makes_the_pending_version_the_current_one_and_that_the_previous_one() {
        let (_folder, versions) = versions();
        assert_eq!(versions.put("secret", "two", "second", &["AWSPENDING".to_owned()]).unwrap(), Put::Done);
        is(&versions, &[("first", "AWSCURRENT"), ("second", "AWSPENDING")]);
        let first = versions.of("secret").unwrap()[0].id.clone();
        assert!(versions.move_stage("secret", CURRENT, Some(&first), Some("two")).unwrap());
        is(&versions, &[("first", "AWSPREVIOUS"), ("second", "AWSCURRENT AWSPENDING")]);
        assert!(versions.move_stage("secret", "AWSPENDING", Some("two"), None).unwrap());
        is(&versions, &[("first", "AWSPREVIOUS"), ("second", "AWSCURRENT")]);
        // The next one: what no stage is with is gone.
        versions.put("secret", "three", "third", &[CURRENT.to_owned()]).unwrap();
        is(&versions, &[("second", "AWSPREVIOUS"), ("third", "AWSCURRENT")]);
    }

    #[test]
    fn a_stage_is_moved_only_from_where_it_is() {
        let (_folder, versions) = versions();
        versions.put("secret", "two", "second", &["AWSPENDING".to_owned()]).unwrap();
        for (stage, from, to) in [
            (CURRENT, Some("two"), Some("nowhere")),
            (CURRENT, Some("nowhere"), Some("two")),
            (CURRENT, None, Some("two")),
            (CURRENT, Some("two"), None),
            ("AWSPENDING", None, None),
        ] {
            assert!(!versions.move_stage("secret", stage, from, to).unwrap(), "{stage} {from:?} {to:?}");
        }
        is(&versions, &[("first", "AWSCURRENT"), ("second", "AWSPENDING")]);
    }

    #[test]
    fn a_version_that_is_put_again_stays_as_it_is() {
        let (_folder, versions) = versions();
        let pending = ["AWSPENDING".to_owned()];
        for (value, expected) in [("second", Put::Done), ("second", Put::Done), ("other", Put::AnotherValue)] {
            assert_eq!(versions.put("secret", "two", value, &pending).unwrap(), expected);
        }
        is(&versions, &[("first", "AWSCURRENT"), ("second", "AWSPENDING")]);
    }

    #[test]
    fn a_state_from_before_there_were_versions_keeps_its_secret() {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::open(&folder.path().join("control.db")).unwrap();
        let old = "CREATE TABLE secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL, version TEXT NOT NULL, created_s REAL NOT NULL) WITHOUT ROWID;
                   INSERT INTO secrets VALUES ('secret', 'old', 'one', 1.5);";
        control.with(|connection| connection.execute_batch(old)).unwrap();
        let versions = Versions::open(control).unwrap();
        versions.begin("secret", "generated").unwrap();
        is(&versions, &[("old", "AWSCURRENT")]);
    }
}
