//! A tar file in memory, cut where entries end: its headers are the crate's, so that a part is made without the parts before it.

use bytes::Bytes;
use tar::{EntryType, Header};
use tintype_core::Time;

/// What headers and contents are rounded up to.
const BLOCK: usize = 512;

/// Some entries of an archive, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    bytes: Vec<u8>,
}

impl Builder {
    /// Goes on after what was made before.
    pub(crate) fn after(before: &[u8]) -> Self {
        Self { bytes: before.to_vec() }
    }

    /// How long it is by now.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a file.
    pub(crate) fn add(&mut self, path: &str, contents: &[u8], modified: Time) -> std::io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_path(path)?;
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(u64::try_from(modified.as_seconds()).unwrap_or(0));
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(contents);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        Ok(())
    }

    /// Nothing comes after this.
    pub(crate) fn end(&mut self) {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        self.bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn parts_that_were_made_apart_are_one_archive() {
        let (mut first, mut second) = (Builder::default(), Builder::default());
        first.add("account.json", b"{}", Time::now()).unwrap();
        first.add("empty", b"", Time::now()).unwrap();
        second.add("posts/0193a1f0-0000-7000-8000-000000000001/0.jpg", &[7; 513], Time::now()).unwrap();
        second.end();
        let whole = [first.into_bytes(), second.into_bytes()].concat();
        let mut archive = tar::Archive::new(&whole[..]);
        let files: Vec<(String, Vec<u8>)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut contents = Vec::new();
                entry.read_to_end(&mut contents).unwrap();
                (entry.path().unwrap().to_str().unwrap().to_owned(), contents)
            })
            .collect();
        let expected = [("account.json", &b"{}"[..]), ("empty", b""), ("posts/0193a1f0-0000-7000-8000-000000000001/0.jpg", &[7; 513])];
        assert_eq!(files, expected.map(|(path, contents)| (path.to_owned(), contents.to_vec())));
        assert_eq!(whole.len() % BLOCK, 0);
    }
}
