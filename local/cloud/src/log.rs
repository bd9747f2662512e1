//! A log file that does not fill the disk.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// How large a log may grow; with the one that is kept beside it, twice as much.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// A log. When it is full it begins anew, and what it held before is kept beside it, with `.1` behind its name.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    most: u64,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
}

impl Log {
    /// An empty log at this path. One that is there is kept as a full one would be.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::with_limit(path, MOST_BYTES)
    }

    fn with_limit(path: &Path, most: u64) -> io::Result<Self> {
        let open = Mutex::new(Open { file: renewed(path)?, bytes: 0 });
        Ok(Self { path: path.to_owned(), most, open })
    }

    /// Writes a line, which has its end. Lines of several writers do not mix. A full disk is no reason to stop the
    /// system: then they are lost.
    pub fn write(&self, line: &[u8]) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = line.len() as u64;
        if open.bytes > 0 && open.bytes + bytes > self.most {
            if let Ok(file) = renewed(&self.path) {
                open.file = file;
            }
            // Also where that was refused: it is tried again only after as many bytes.
            open.bytes = 0;
        }
        open.bytes += bytes;
        let _ = open.file.write_all(line);
    }
}

fn renewed(path: &Path) -> io::Result<File> {
    let mut kept = path.as_os_str().to_owned();
    kept.push(".1");
    match std::fs::rename(path, kept) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::create(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_full_begins_anew_and_the_one_before_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("functions.log");
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        std::fs::write(&path, "of the last run").unwrap();
        let log = Log::with_limit(&path, 10).unwrap();
        assert_eq!((read("functions.log"), read("functions.log.1")), (String::new(), "of the last run".to_owned()));
        for line in ["one\n", "two\n", "three\n", "longer than it may be\n"] {
            log.write(line.as_bytes());
        }
        assert_eq!((&*read("functions.log"), &*read("functions.log.1")), ("longer than it may be\n", "three\n"));
        assert_eq!(folder.path().read_dir().unwrap().count(), 2);
    }
}
