//! Lists of keys: by prefix, by page, rolled up at a delimiter.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::{
    S3Result,
    dto::{CommonPrefix, ETag, EncodingType, Object, ObjectStorageClass},
};

use super::{
    index::{self, Entry},
    service::timestamp,
    store::Store,
};

/// Most keys and prefixes of a page, which is also how many there are unless told.
const MAX_KEYS: i32 = 1000;

/// What to list.
pub(super) struct Listing<'a> {
    pub bucket: &'a str,
    pub prefix: &'a str,
    pub delimiter: Option<&'a str>,
    /// Only what comes after this key or rolled-up prefix.
    pub after: &'a str,
    pub max_keys: Option<i32>,
}

/// A page of a list.
#[derive(Default)]
pub(super) struct Page {
    pub entries: Vec<Entry>,
    pub prefixes: Vec<String>,
    pub max_keys: i32,
    /// The last key or prefix, if more follow.
    pub next: Option<String>,
}

impl Listing<'_> {
    pub(super) fn page(&self, store: &Store) -> S3Result<Page> {
        store.notifications(self.bucket)?;
        let max_keys = self.max_keys.unwrap_or(MAX_KEYS).clamp(0, MAX_KEYS);
        let max = usize::try_from(max_keys).unwrap_or_default();
        let mut page = Page { max_keys, ..Page::default() };
        let mut last = None;
        store.transaction(|tx| {
            index::walk(tx, self.bucket, self.prefix, self.after, |entry| {
                let prefix = self.rolled_up(&entry.key);
                if prefix.is_some_and(|prefix| prefix == self.after || page.prefixes.last().is_some_and(|known| known == prefix)) {
                    return true;
                }
                if page.entries.len() + page.prefixes.len() == max {
                    page.next = last.take();
                    return false;
                }
                if let Some(prefix) = prefix {
                    last = Some(prefix.to_owned());
                    page.prefixes.push(prefix.to_owned());
                } else {
                    last = Some(entry.key.clone());
                    page.entries.push(entry);
                }
                true
            })?;
            Ok(Ok(()))
        })?;
        Ok(page)
    }

    /// The part of the key through the first delimiter after the prefix.
    fn rolled_up<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter.filter(|delimiter| !delimiter.is_empty())?;
        let at = key[self.prefix.len()..].find(delimiter)?;
        Some(&key[..self.prefix.len() + at + delimiter.len()])
    }
}

impl Page {
    pub(super) fn objects(&self, encoding: Option<&EncodingType>) -> Vec<Object> {
        let objects = self.entries.iter().map(|entry| Object {
            key: Some(encoded(&entry.key, encoding)),
            size: i64::try_from(entry.content.size).ok(),
            e_tag: Some(ETag::Strong(entry.content.etag.clone())),
            last_modified: Some(timestamp(entry.modified)),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            ..Object::default()
        });
        objects.collect()
    }

    pub(super) fn common_prefixes(&self, encoding: Option<&EncodingType>) -> Vec<CommonPrefix> {
        self.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(encoded(prefix, encoding)) }).collect()
    }

    pub(super) fn key_count(&self) -> i32 {
        i32::try_from(self.entries.len() + self.prefixes.len()).unwrap_or(self.max_keys)
    }
}

/// Keys in answers, encoded where the client asks for it (XML cannot carry every key).
pub(super) fn encoded(key: &str, encoding: Option<&EncodingType>) -> String {
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
    if encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL) {
        utf8_percent_encode(key, ENCODED).to_string()
    } else {
        key.to_owned()
    }
}
