//! Multipart uploads: parts come in any order, and become one object when the upload is completed.

use s3s::{
    S3Result,
    crypto::{Checksum as _, Md5},
    dto::{CompletedPart, ListMultipartUploadsInput, StreamingBlob},
    s3_error,
};
use uuid::Uuid;

use super::{
    blob::{Expected, hex_to_bytes},
    index::{self, Attributes, Entry, Part, Upload},
    store::{Store, Write, Written},
};
use crate::unix_millis;

const MAX_PARTS: i32 = 10_000;
/// Of uploads on one page.
const MOST_LISTED: usize = 1000;
/// All parts but the last are at least this large.
const MIN_PART: u64 = 5 * 1024 * 1024;

impl Store {
    pub(super) fn start_upload(&self, bucket: String, key: String, attributes: Attributes) -> S3Result<Upload> {
        self.notifications(&bucket)?;
        let upload = Upload { id: Uuid::new_v4().simple().to_string(), bucket, key, attributes };
        self.transaction(|tx| index::start_upload(tx, &upload).map(Ok))?;
        Ok(upload)
    }

    pub(super) async fn put_part(&self, of: (&str, &str, &str), number: i32, body: StreamingBlob, expected: &Expected) -> S3Result<Part> {
        if !(1..=MAX_PARTS).contains(&number) {
            return Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"));
        }
        self.upload(of)?;
        let (content, new) = self.blobs.receive(body, expected).await?;
        let part = Part { number, content, modified: unix_millis() };
        let released = self.transaction(|tx| match index::find_upload(tx, of.2)? {
            Some(upload) => index::put_part(tx, &upload.id, &part).map(Ok),
            // Completed or aborted while the part was on its way.
            None => Ok(Err(no_such_upload())),
        })?;
        new.keep();
        self.blobs.remove(released.as_slice());
        Ok(part)
    }

    pub(super) fn parts(&self, of: (&str, &str, &str)) -> S3Result<Vec<Part>> {
        let upload = self.upload(of)?;
        self.transaction(|tx| index::parts(tx, &upload.id).map(Ok))
    }

    pub(super) async fn complete_upload(&self, of: (&str, &str, &str), wanted: &[CompletedPart], write: &Write<'_>) -> S3Result<Entry> {
        let upload = self.upload(of)?;
        let parts = chosen(self.parts(of)?, wanted)?;
        let (mut content, new) = self.blobs.join(parts.iter().map(|part| part.content.blob.clone()).collect()).await?;
        content.etag = etag(&parts);
        let entry = Entry { key: upload.key, content, attributes: upload.attributes, modified: unix_millis() };
        self.write(write, Some(new), |tx| {
            if index::find_upload(tx, &upload.id)?.is_none() {
                return Ok(Err(no_such_upload()));
            }
            Ok(Ok(Written { entry, released: index::end_upload(tx, &upload.id)? }))
        })
    }

    /// Key and id of a page of a bucket's uploads, and whether there are more.
    pub(super) fn uploads(&self, of: &ListMultipartUploadsInput) -> S3Result<(Vec<(String, String)>, bool)> {
        self.notifications(&of.bucket)?;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (prefix, key) = (text(&of.prefix), text(&of.key_marker));
        // A key alone stands for all of its uploads.
        let id = of.upload_id_marker.clone().unwrap_or_else(|| char::MAX.to_string());
        let mut uploads = self.transaction(|tx| index::uploads(tx, &of.bucket, &prefix, (&key, &id)).map(Ok))?;
        let most = of.max_uploads.and_then(|most| usize::try_from(most).ok()).map_or(MOST_LISTED, |most| most.min(MOST_LISTED));
        let is_truncated = uploads.len() > most;
        uploads.truncate(most);
        Ok((uploads, is_truncated))
    }

    pub(super) fn abort_upload(&self, of: (&str, &str, &str)) -> S3Result<()> {
        let upload = self.upload(of)?;
        let released = self.transaction(|tx| index::end_upload(tx, &upload.id).map(Ok))?;
        self.blobs.remove(&released);
        Ok(())
    }

    /// The upload with this bucket, key and id.
    fn upload(&self, (bucket, key, id): (&str, &str, &str)) -> S3Result<Upload> {
        self.notifications(bucket)?;
        let upload = self.transaction(|tx| index::find_upload(tx, id).map(Ok))?;
        upload.filter(|upload| upload.bucket == bucket && upload.key == key).ok_or_else(no_such_upload)
    }
}

fn no_such_upload() -> s3s::S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}

/// The uploaded parts that the client lists, which must be in order and as they were uploaded.
fn chosen(uploaded: Vec<Part>, wanted: &[CompletedPart]) -> S3Result<Vec<Part>> {
    let Some(last) = wanted.last() else { return Err(s3_error!(MalformedXML)) };
    if !wanted.is_sorted_by_key(|part| part.part_number) {
        return Err(s3_error!(InvalidPartOrder));
    }
    let mut uploaded = uploaded.into_iter();
    let choose = |wanted: &CompletedPart| {
        let part = uploaded.by_ref().find(|part| Some(part.number) == wanted.part_number).ok_or_else(|| s3_error!(InvalidPart))?;
        if wanted.e_tag.as_ref().is_some_and(|etag| etag.value() != part.content.etag) {
            return Err(s3_error!(InvalidPart));
        }
        if wanted.part_number != last.part_number && part.content.size < MIN_PART {
            return Err(s3_error!(EntityTooSmall));
        }
        Ok(part)
    };
    wanted.iter().map(choose).collect()
}

/// The MD5 of the parts' MD5s, and how many they are.
fn etag(parts: &[Part]) -> String {
    let digests: Vec<u8> = parts.iter().flat_map(|part| hex_to_bytes(&part.content.etag)).collect();
    format!("{:032x}-{}", u128::from_be_bytes(Md5::checksum(&digests)), parts.len())
}
