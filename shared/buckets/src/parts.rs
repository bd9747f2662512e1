//! Objects that are written in parts, over more than one invocation: nobody need hold more than one part in memory.

use aws_sdk_s3::{
    error::ProvideErrorMetadata,
    operation::head_object::HeadObjectError,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::Bytes;

use crate::{Bucket, Error, count_request, failed, size};

/// The smallest that a part may be, but for the last.
pub const LEAST_PART: usize = 5 * 1024 * 1024;

const NO_SUCH_UPLOAD: &str = "NoSuchUpload";

impl Bucket {
    /// Begins an object in parts; answers the id of the upload.
    pub async fn begin_parts(&self, key: &str, content_type: &str) -> Result<String, Error> {
        count_request();
        let request = self.client.create_multipart_upload().bucket(&self.name).key(key).content_type(content_type);
        let upload = request.send().await.map_err(failed)?;
        upload.upload_id.ok_or_else(|| Error("an upload without id".to_owned()))
    }

    /// Writes part `number`, from 1, in the place of what was there; answers its `ETag`. `None`: there is no such upload (any more).
    pub async fn put_part(&self, key: &str, upload_id: &str, number: usize, bytes: Bytes) -> Result<Option<String>, Error> {
        count_request();
        let number = i32::try_from(number).map_err(|_| Error("too many parts".to_owned()))?;
        let request = self.client.upload_part().bucket(&self.name).key(key).upload_id(upload_id).part_number(number).body(bytes.into());
        match request.send().await {
            Ok(part) => part.e_tag.map(Some).ok_or_else(|| Error("a part without ETag".to_owned())),
            Err(error) if error.code() == Some(NO_SUCH_UPLOAD) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Makes the object of its parts, if they are these. `false`: there is no such upload (any more).
    pub async fn join_parts(&self, key: &str, upload_id: &str, etags: &[String]) -> Result<bool, Error> {
        let part = |(number, etag): (i32, &String)| CompletedPart::builder().part_number(number).e_tag(etag).build();
        let parts = CompletedMultipartUpload::builder().set_parts(Some((1..).zip(etags).map(part).collect())).build();
        count_request();
        let request = self.client.complete_multipart_upload().bucket(&self.name).key(key).upload_id(upload_id).multipart_upload(parts);
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(NO_SUCH_UPLOAD) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// Gives up an object that was begun; it need not have been.
    pub async fn drop_parts(&self, key: &str, upload_id: &str) -> Result<(), Error> {
        count_request();
        match self.client.abort_multipart_upload().bucket(&self.name).key(key).upload_id(upload_id).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(NO_SUCH_UPLOAD) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Gives up all objects that were begun below `prefix`, also those that nobody knows of.
    pub async fn drop_all_parts(&self, prefix: &str) -> Result<(), Error> {
        let mut after = (None, None);
        loop {
            count_request();
            let request = self.client.list_multipart_uploads().bucket(&self.name).prefix(prefix);
            let page = request.set_key_marker(after.0).set_upload_id_marker(after.1).send().await.map_err(failed)?;
            for upload in page.uploads() {
                if let (Some(key), Some(id)) = (upload.key(), upload.upload_id()) {
                    self.drop_parts(key, id).await?;
                }
            }
            if page.is_truncated != Some(true) {
                return Ok(());
            }
            after = (page.next_key_marker, page.next_upload_id_marker);
        }
    }

    /// How many bytes the object at `key` has, if there is one.
    pub async fn size_of(&self, key: &str) -> Result<Option<u64>, Error> {
        count_request();
        match self.client.head_object().bucket(&self.name).key(key).send().await {
            Ok(object) => Ok(Some(size(object.content_length()))),
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}
