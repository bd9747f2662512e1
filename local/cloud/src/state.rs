//! The state folder: one process at a time, and a small durable database for what the parts remember.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::Connection;

/// Why state cannot be opened, read or written. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the folder's lock.
    #[error("the state folder {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The folder, or a file in it, cannot be made or written.
    #[error("the state folder {} is not usable: {source}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// SQLite refuses.
    #[error("{}: {source}", path.display())]
    Database {
        /// The database's file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// What is kept does not fit what the template declares, or the other way round.
    #[error("{0}")]
    Mismatch(String),
    /// What is kept cannot be read back.
    #[error("{0}")]
    Unreadable(String),
}

/// The folder that holds all state, locked for as long as this value lives.
#[derive(Debug)]
pub struct StateDir {
    root: PathBuf,
    control: Control,
    /// The operating system releases the lock when the process ends, however it ends.
    _lock: File,
}

impl StateDir {
    /// Opens the folder, making it if it is missing; `reset` empties it first.
    pub fn open(path: &Path, reset: bool) -> Result<Self, Error> {
        let refused = |source| Error::Folder { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(refused)?;
        // Absolute, because it outlives any change of the working directory.
        let root = path.canonicalize().map_err(refused)?;
        let lock = lock(&root)?;
        if reset {
            empty(&root).map_err(refused)?;
        }
        let control = Control::open(&root.join("control.db"))?;
        Ok(Self { root, control, _lock: lock })
    }

    /// The path of a file or folder of state.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The database for small durable facts.
    pub fn control(&self) -> Control {
        self.control.clone()
    }
}

const LOCK_FILE: &str = "lock";

/// Takes the exclusive lock. Opening the lock file for writing also proves that the folder is writable.
fn lock(root: &Path) -> Result<File, Error> {
    let path = root.join(LOCK_FILE);
    let refused = |source| Error::Folder { path: root.to_owned(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(refused)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(root.to_owned())),
        Err(TryLockError::Error(source)) => Err(refused(source)),
    }
}

/// Removes everything but the lock, which is held.
fn empty(root: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_name() == LOCK_FILE {
            continue;
        }
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A SQLite database that several parts share, each with tables of its own
/// (`CREATE TABLE IF NOT EXISTS`). What a call has committed survives `kill -9`.
#[derive(Debug, Clone)]
pub struct Control {
    path: Arc<Path>,
    connection: Arc<Mutex<Connection>>,
}

impl Control {
    /// Opens the database at `path`, making it if it is missing.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let connection = connect(path).map_err(|source| Error::Database { path: path.to_owned(), source })?;
        Ok(Self { path: path.into(), connection: Arc::new(Mutex::new(connection)) })
    }

    /// Runs `f` on the database, alone, on the caller's thread: a few rows, well under a millisecond.
    /// `f` must not call this again.
    pub fn with<T>(&self, f: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        // A panic inside `f` leaves no half-done transaction: rusqlite rolls it back on drop.
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        f(&mut connection).map_err(|source| Error::Database { path: self.path.to_path_buf(), source })
    }
}

/// A connection with a write-ahead log. `synchronous = NORMAL` keeps commits through the death of
/// the process; a power cut may lose the last ones, which a development host can afford.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_refused_until_the_first_ends() {
        let folder = tempfile::tempdir().unwrap();
        let first = StateDir::open(folder.path(), false).unwrap();
        let second = StateDir::open(folder.path(), true).err().unwrap();
        assert!(matches!(second, Error::InUse(_)) && !second.to_string().contains('\n'), "{second}");
        drop(first);
        StateDir::open(folder.path(), false).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_one_clear_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = StateDir::open(&file.join("state"), false).err().unwrap().to_string();
        assert!(error.contains("file/state") && !error.contains('\n'), "{error}");
    }

    #[test]
    fn what_is_committed_stays_until_a_reset() {
        let folder = tempfile::tempdir().unwrap();
        let count = |reset| {
            let state = StateDir::open(folder.path(), reset).unwrap();
            std::fs::create_dir_all(state.path("buckets")).unwrap();
            let inserted = state.control().with(|connection| {
                connection.execute_batch("CREATE TABLE IF NOT EXISTS facts (fact); INSERT INTO facts VALUES (1);")?;
                connection.query_row("SELECT count(*) FROM facts", [], |row| row.get::<_, i64>(0))
            });
            inserted.unwrap()
        };
        assert_eq!([count(false), count(false), count(true)], [1, 2, 1]);
    }
}
