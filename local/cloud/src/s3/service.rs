//! The S3 API, as far as it is emulated; `s3s` answers the rest with `NotImplemented`, and has verified
//! signatures before any of this runs.

use std::io;

use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::{
    S3, S3Error, S3Request, S3Response, S3Result,
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, Bucket, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
        CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, CreateMultipartUploadInput, CreateMultipartUploadOutput,
        DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, ETagCondition,
        GetBucketLocationInput, GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput,
        HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput,
        ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput, MetadataDirective,
        MultipartUpload, Part, PutObjectInput, PutObjectOutput, StreamingBlob, Timestamp, UploadPartInput, UploadPartOutput,
    },
    s3_error,
};
use tokio::fs::File;

use super::{
    blob::{self, Content, Expected},
    index::{self, Attributes, Entry, Millis, Upload},
    journal::Happening,
    listing::{Listing, encoded},
    store::{Store, Write, Written, matches},
};
use crate::{REGION, unix_millis};

/// The attributes that a request gives to an object; three requests have the same fields for them.
macro_rules! attributes {
    ($input:ident) => {
        Attributes {
            content_type: $input.content_type,
            cache_control: $input.cache_control,
            content_encoding: $input.content_encoding,
            content_disposition: $input.content_disposition,
            content_language: $input.content_language,
            metadata: $input.metadata.unwrap_or_default().into_iter().collect(),
        }
    };
}

#[async_trait::async_trait]
impl S3 for Store {
    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let region = region(&req);
        let expected = Expected {
            length: req.input.content_length.and_then(|length| u64::try_from(length).ok()),
            md5: req.input.content_md5.clone(),
            headers: req.headers,
            trailers: req.trailing_headers,
        };
        let input = req.input;
        self.notifications(&input.bucket)?;
        let body = input.body.unwrap_or_else(|| s3s::Body::empty().into());
        let (content, new) = self.blobs.receive(body, &expected).await?;

        let write = Write {
            bucket: &input.bucket,
            happening: Happening::Put,
            region: &region,
            if_match: input.if_match,
            if_none_match: input.if_none_match,
        };
        let attributes = attributes!(input);
        let entry = Entry { key: input.key, content, attributes, modified: unix_millis() };
        let entry = self.write(&write, Some(new), |_| Ok(Ok(Written { entry, released: Vec::new() })))?;
        let checksums = checksum_headers(&entry.content);
        Ok(S3Response::with_headers(PutObjectOutput { e_tag: Some(etag(&entry)), ..Default::default() }, checksums))
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let region = region(&req);
        let input = req.input;
        let CopySource::Bucket { bucket: source_bucket, key: source_key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented, "Access points are not emulated"));
        };
        self.notifications(source_bucket)?;
        let replace = input.metadata_directive.as_ref().is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
        if !replace && **source_bucket == input.bucket && **source_key == input.key {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, \
                 storage class, website redirect location or encryption attributes."
            ));
        }
        let replaced = attributes!(input);
        let write = Write { bucket: &input.bucket, happening: Happening::Copy, region: &region, if_match: None, if_none_match: None };
        // A copy names the same blob, so nothing is read or written, not even onto itself.
        let entry = self.write(&write, None, |tx| {
            let Some(source) = index::find(tx, source_bucket, source_key)? else { return Ok(Err(s3_error!(NoSuchKey))) };
            let holds = input.copy_source_if_match.as_ref().is_none_or(|condition| matches(condition, &source.content.etag))
                && !input.copy_source_if_none_match.as_ref().is_some_and(|condition| matches(condition, &source.content.etag));
            if !holds {
                return Ok(Err(s3_error!(PreconditionFailed)));
            }
            let attributes = if replace { replaced } else { source.attributes };
            let entry = Entry { key: input.key, content: source.content, attributes, modified: unix_millis() };
            Ok(Ok(Written { entry, released: Vec::new() }))
        })?;
        let result = CopyObjectResult { e_tag: Some(etag(&entry)), last_modified: Some(timestamp(entry.modified)), ..Default::default() };
        Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() }))
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = req.input;
        let (entry, file) = self.read(&input.bucket, &input.key).await?;
        check_conditions(&entry, input.if_match.as_ref(), input.if_none_match.as_ref(), input.if_modified_since.as_ref())?;
        let size = entry.content.size;
        let wanted = input.range.map_or(Ok(0..size), |range| range.check(size))?;
        let length = wanted.end - wanted.start;
        let bytes = blob::range(file, wanted.start, length).await.map_err(S3Error::internal_error)?;
        // Checksums are of the whole.
        let headers = if input.range.is_none() { checksum_headers(&entry.content) } else { HeaderMap::new() };
        let output = GetObjectOutput {
            body: Some(StreamingBlob::wrap(bytes)),
            content_length: i64::try_from(length).ok(),
            content_range: input.range.map(|_| format!("bytes {}-{}/{size}", wanted.start, wanted.end - 1)),
            accept_ranges: Some("bytes".to_owned()),
            e_tag: Some(etag(&entry)),
            last_modified: Some(timestamp(entry.modified)),
            content_type: Some(content_type(&entry)),
            cache_control: entry.attributes.cache_control,
            content_encoding: entry.attributes.content_encoding,
            content_disposition: entry.attributes.content_disposition,
            content_language: entry.attributes.content_language,
            metadata: Some(entry.attributes.metadata.into_iter().collect()),
            ..Default::default()
        };
        Ok(S3Response::with_headers(output, headers))
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = req.input;
        let entry = self.find(&input.bucket, &input.key)?;
        check_conditions(&entry, input.if_match.as_ref(), input.if_none_match.as_ref(), input.if_modified_since.as_ref())?;
        let headers = checksum_headers(&entry.content);
        let output = HeadObjectOutput {
            content_length: i64::try_from(entry.content.size).ok(),
            accept_ranges: Some("bytes".to_owned()),
            e_tag: Some(etag(&entry)),
            last_modified: Some(timestamp(entry.modified)),
            content_type: Some(content_type(&entry)),
            cache_control: entry.attributes.cache_control,
            content_encoding: entry.attributes.content_encoding,
            content_disposition: entry.attributes.content_disposition,
            content_language: entry.attributes.content_language,
            metadata: Some(entry.attributes.metadata.into_iter().collect()),
            ..Default::default()
        };
        Ok(S3Response::with_headers(output, headers))
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.delete(&req.input.bucket, &[req.input.key])?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let quiet = req.input.delete.quiet.unwrap_or(false);
        let keys: Vec<String> = req.input.delete.objects.into_iter().map(|object| object.key).collect();
        self.delete(&req.input.bucket, &keys)?;
        let deleted = keys.into_iter().map(|key| DeletedObject { key: Some(key), ..Default::default() });
        Ok(S3Response::new(DeleteObjectsOutput { deleted: (!quiet).then(|| deleted.collect()), ..Default::default() }))
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        // The token is the last key of the page before; clients must not care what it is.
        let after = input.continuation_token.as_ref().or(input.start_after.as_ref());
        let page = Listing {
            bucket: &input.bucket,
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref(),
            after: after.map(String::as_str).unwrap_or_default(),
            max_keys: input.max_keys,
        }
        .page(self)?;
        let encoding = input.encoding_type.as_ref();
        Ok(S3Response::new(ListObjectsV2Output {
            contents: Some(page.objects(encoding)),
            common_prefixes: Some(page.common_prefixes(encoding)),
            key_count: Some(page.key_count()),
            max_keys: Some(page.max_keys),
            is_truncated: Some(page.next.is_some()),
            prefix: input.prefix.map(|prefix| encoded(&prefix, encoding)),
            delimiter: input.delimiter.map(|delimiter| encoded(&delimiter, encoding)),
            start_after: input.start_after.map(|key| encoded(&key, encoding)),
            continuation_token: input.continuation_token,
            next_continuation_token: page.next,
            encoding_type: input.encoding_type,
            name: Some(input.bucket),
            ..Default::default()
        }))
    }

    async fn list_objects(&self, req: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = req.input;
        let page = Listing {
            bucket: &input.bucket,
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref(),
            after: input.marker.as_deref().unwrap_or_default(),
            max_keys: input.max_keys,
        }
        .page(self)?;
        let encoding = input.encoding_type.as_ref();
        Ok(S3Response::new(ListObjectsOutput {
            contents: Some(page.objects(encoding)),
            common_prefixes: Some(page.common_prefixes(encoding)),
            max_keys: Some(page.max_keys),
            is_truncated: Some(page.next.is_some()),
            prefix: input.prefix.map(|prefix| encoded(&prefix, encoding)),
            delimiter: input.delimiter.map(|delimiter| encoded(&delimiter, encoding)),
            marker: input.marker.map(|key| encoded(&key, encoding)),
            next_marker: page.next.map(|key| encoded(&key, encoding)),
            encoding_type: input.encoding_type,
            name: Some(input.bucket),
            ..Default::default()
        }))
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let buckets = self.buckets.keys().map(|name| Bucket { name: Some(name.clone()), ..Default::default() });
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(buckets.collect()), ..Default::default() }))
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.notifications(&req.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn get_bucket_location(&self, req: S3Request<GetBucketLocationInput>) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.notifications(&req.input.bucket)?;
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = req.input;
        let attributes = attributes!(input);
        let Upload { id, bucket, key, .. } = self.start_upload(input.bucket, input.key, attributes)?;
        let output = CreateMultipartUploadOutput { upload_id: Some(id), bucket: Some(bucket), key: Some(key), ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let input = req.input;
        let expected = Expected {
            length: input.content_length.and_then(|length| u64::try_from(length).ok()),
            md5: input.content_md5,
            headers: req.headers,
            trailers: req.trailing_headers,
        };
        let body = input.body.unwrap_or_else(|| s3s::Body::empty().into());
        let part = self.put_part((&input.bucket, &input.key, &input.upload_id), input.part_number, body, &expected).await?;
        let headers = checksum_headers(&part.content);
        Ok(S3Response::with_headers(UploadPartOutput { e_tag: Some(ETag::Strong(part.content.etag)), ..Default::default() }, headers))
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        let input = req.input;
        let parts = self.parts((&input.bucket, &input.key, &input.upload_id))?.into_iter().map(|part| Part {
            part_number: Some(part.number),
            size: i64::try_from(part.content.size).ok(),
            e_tag: Some(ETag::Strong(part.content.etag)),
            last_modified: Some(timestamp(part.modified)),
            ..Default::default()
        });
        Ok(S3Response::new(ListPartsOutput {
            parts: Some(parts.collect()),
            is_truncated: Some(false),
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            ..Default::default()
        }))
    }

    async fn list_multipart_uploads(&self, req: S3Request<ListMultipartUploadsInput>) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let (uploads, is_truncated) = self.uploads(&req.input)?;
        let next = uploads.last().filter(|_| is_truncated).cloned();
        let (next_key_marker, next_upload_id_marker) = next.unzip();
        let uploads = uploads.into_iter().map(|(key, id)| MultipartUpload { key: Some(key), upload_id: Some(id), ..Default::default() });
        Ok(S3Response::new(ListMultipartUploadsOutput {
            uploads: Some(uploads.collect()),
            is_truncated: Some(is_truncated),
            next_key_marker,
            next_upload_id_marker,
            bucket: Some(req.input.bucket),
            prefix: req.input.prefix,
            ..Default::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let region = region(&req);
        let input = req.input;
        let wanted = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let write = Write {
            bucket: &input.bucket,
            happening: Happening::CompleteMultipartUpload,
            region: &region,
            if_match: input.if_match,
            if_none_match: input.if_none_match,
        };
        let entry = self.complete_upload((&input.bucket, &input.key, &input.upload_id), &wanted, &write).await?;
        let output = CompleteMultipartUploadOutput {
            e_tag: Some(etag(&entry)),
            bucket: Some(input.bucket.clone()),
            key: Some(entry.key),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn abort_multipart_upload(&self, req: S3Request<AbortMultipartUploadInput>) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.abort_upload((&req.input.bucket, &req.input.key, &req.input.upload_id))?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}

impl Store {
    /// An object and its bytes. A write between the look at the index and the opening of the file may
    /// take the file away: then the index names another.
    pub(super) async fn read(&self, bucket: &str, key: &str) -> S3Result<(Entry, File)> {
        let mut before: Option<String> = None;
        loop {
            let entry = self.find(bucket, key)?;
            match self.blobs.open_blob(&entry.content.blob).await {
                Ok(file) => return Ok((entry, file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound && before.as_ref() != Some(&entry.content.blob) => {
                    before = Some(entry.content.blob);
                }
                Err(error) => return Err(S3Error::internal_error(error)),
            }
        }
    }
}

/// `If-None-Match` stands above `If-Modified-Since`, as HTTP says.
fn check_conditions(
    entry: &Entry,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
    if_modified_since: Option<&Timestamp>,
) -> S3Result<()> {
    if if_match.is_some_and(|condition| !matches(condition, &entry.content.etag)) {
        return Err(s3_error!(PreconditionFailed));
    }
    let unchanged = match (if_none_match, if_modified_since) {
        (Some(condition), _) => matches(condition, &entry.content.etag),
        // HTTP's dates are whole seconds.
        (None, Some(since)) => timestamp(entry.modified / 1000 * 1000) <= *since,
        (None, None) => false,
    };
    if unchanged { Err(s3_error!(NotModified)) } else { Ok(()) }
}

fn checksum_headers(content: &Content) -> HeaderMap {
    let headers = content
        .checksums
        .iter()
        .filter_map(|(name, value)| Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?)));
    headers.collect()
}

fn etag(entry: &Entry) -> ETag {
    ETag::Strong(entry.content.etag.clone())
}

/// S3's own, for an object that came without.
fn content_type(entry: &Entry) -> String {
    entry.attributes.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned())
}

pub(super) fn timestamp(millis: Millis) -> Timestamp {
    Timestamp::from(std::time::UNIX_EPOCH + std::time::Duration::from_millis(millis.unsigned_abs()))
}

/// Where the request says it is; unsigned ones say nothing.
fn region<T>(req: &S3Request<T>) -> String {
    req.region.as_ref().map_or(REGION, |region| region.as_str()).to_owned()
}
