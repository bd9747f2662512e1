//! The state folder: one process at a time, and a small durable database for what the parts remember.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::Connection;
use uuid::Uuid;

/// Why state cannot be opened, read or written. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the folder's lock.
    #[error("the state folder {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// There is something in the folder, and no host has put it there.
    #[error("the folder {} is not empty and holds no state of this host: it is left alone", .0.display())]
    Foreign(PathBuf),
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
    /// Opens the folder, making it if it is missing; `reset` removes all state first. A folder that
    /// holds something and no state is refused.
    pub fn open(path: &Path, reset: bool) -> Result<Self, Error> {
        let refused = |source| Error::Folder { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(refused)?;
        // Absolute, because it outlives any change of the working directory.
        let root = path.canonicalize().map_err(refused)?;
        if !root.join(LOCK_FILE).exists() && root.read_dir().map_err(refused)?.next().is_some() {
            return Err(Error::Foreign(path.to_owned()));
        }
        let lock = lock(&root)?;
        if reset {
            remove_state(&root).map_err(refused)?;
        }
        let control = Control::open(&root.join("control.db"))?;
        Ok(Self { root, control, _lock: lock })
    }

    /// The path of a file or folder of state, one of those that a reset removes.
    pub fn path(&self, name: &str) -> PathBuf {
        debug_assert!(FILES.contains(&name) || DATABASES.contains(&name) || name == BLOBS, "a reset would leave {name}");
        self.root.join(name)
    }

    /// The database for small durable facts.
    pub fn control(&self) -> Control {
        self.control.clone()
    }
}

/// Also what tells a folder of state from any other: it is the first file that is made.
const LOCK_FILE: &str = "tintype.lock";

/// Everything else that a host makes in its folder: databases (with the files that SQLite puts beside
/// them), plain files, and a folder of blobs with UUIDs as names.
const DATABASES: [&str; 3] = ["control.db", "dynamodb.db", "queues.db"];
const FILES: [&str; 4] = ["access.log", "access.log.1", "functions.log", "functions.log.1"];
const BLOBS: &str = "buckets";

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

/// Removes what a host makes, and nothing that somebody else has put there. The lock, which is held, stays.
fn remove_state(root: &Path) -> io::Result<()> {
    let databases = DATABASES.iter().flat_map(|name| ["", "-journal", "-shm", "-wal"].map(|suffix| format!("{name}{suffix}")));
    for name in databases.chain(FILES.map(str::to_owned)) {
        unless_missing(std::fs::remove_file(root.join(name)))?;
    }
    let blobs = root.join(BLOBS);
    if !blobs.is_dir() {
        return Ok(());
    }
    for entry in blobs.read_dir()? {
        let entry = entry?;
        if is_blob(&entry.file_name()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    // It stays if there is something else in it.
    let _ = std::fs::remove_dir(blobs);
    Ok(())
}

fn unless_missing(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Whether a file of this name among the blobs is one.
pub(crate) fn is_blob(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| Uuid::try_parse(name).is_ok())
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
    fn a_folder_that_holds_something_else_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let diary = folder.path().join("diary.txt");
        std::fs::write(&diary, "dear diary").unwrap();
        for reset in [false, true] {
            let error = StateDir::open(folder.path(), reset).err().unwrap();
            assert!(matches!(error, Error::Foreign(_)) && !error.to_string().contains('\n'), "{error}");
        }
        let left: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["diary.txt"]);
    }

    #[test]
    fn a_reset_removes_what_hosts_make_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path(), false).unwrap();
        std::fs::create_dir(state.path("buckets")).unwrap();
        let blob = format!("buckets/{}", Uuid::now_v7());
        for name in ["functions.log", "control.db-journal", &blob, "buckets/photo.jpg", "diary.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        drop(state);
        drop(StateDir::open(folder.path(), true).unwrap());
        let exists = |name: &str| folder.path().join(name).exists();
        assert!(!exists("functions.log") && !exists("control.db-journal") && !exists(&blob));
        assert!(exists("buckets/photo.jpg") && exists("diary.txt"));
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
