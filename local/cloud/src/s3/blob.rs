//! The bytes of objects: immutable files, each with a name of its own.
//!
//! A file is written whole before the index names it, so that an object is all there or not there;
//! what a crash leaves unnamed is swept at the next start.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use http::HeaderMap;
use s3s::{
    S3Error, S3Result, TrailingHeaders,
    checksum::ChecksumHasher,
    crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256},
    dto::StreamingBlob,
    s3_error,
};
use serde::{Deserialize, Serialize};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _},
};
use uuid::Uuid;

use crate::state::is_blob;

/// Read and written at a time.
const CHUNK: usize = 128 * 1024;

/// What an object consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Content {
    /// The file's name.
    pub blob: String,
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    /// The checksums that came with it, by header name: `x-amz-checksum-crc32` and so on.
    pub checksums: BTreeMap<String, String>,
}

/// What a request says of its body, and the body must then be.
#[derive(Debug, Default)]
pub(super) struct Expected {
    pub length: Option<u64>,
    /// `Content-MD5`
    pub md5: Option<String>,
    /// The request's headers, among which are checksums, or the names of those that trail the body.
    pub headers: HeaderMap,
    pub trailers: Option<TrailingHeaders>,
}

/// A file that goes again unless it is kept.
#[derive(Debug)]
pub(super) struct Unkept {
    path: PathBuf,
    kept: bool,
}

impl Unkept {
    /// The index names the file now.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Unkept {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now is swept at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The folder of all blobs.
#[derive(Debug, Clone)]
pub(super) struct Blobs {
    root: PathBuf,
}

impl Blobs {
    /// Opens the folder and removes the blobs that nothing names. Other files in it are somebody else's.
    pub(super) async fn open(root: &Path, named: &HashSet<String>) -> io::Result<Self> {
        tokio::fs::create_dir_all(root).await?;
        let mut entries = tokio::fs::read_dir(root).await?;
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name();
            if is_blob(&name) && !name.to_str().is_some_and(|name| named.contains(name)) {
                tokio::fs::remove_file(entry.path()).await?;
            }
        }
        Ok(Self { root: root.to_owned() })
    }

    /// Writes a request's body, and refuses one that is not what the request says.
    pub(super) async fn receive(&self, body: StreamingBlob, expected: &Expected) -> S3Result<(Content, Unkept)> {
        let mut checksums = ChecksumHasher::default();
        expected_algorithms(&expected.headers, &mut checksums)?;
        let (mut content, unkept) = self.write(body.map_err(|error| s3_error!(IncompleteBody, "{error}")), &mut checksums).await?;

        if expected.length.is_some_and(|length| length != content.size) {
            return Err(s3_error!(IncompleteBody));
        }
        if let Some(md5) = &expected.md5
            && BASE64_STANDARD.decode(md5).map_err(|_| s3_error!(InvalidDigest))? != hex_to_bytes(&content.etag)
        {
            return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
        }
        content.checksums = by_header(checksums);
        let trailers = expected.trailers.as_ref().and_then(TrailingHeaders::take).unwrap_or_default();
        for (name, computed) in &content.checksums {
            let claimed = expected.headers.get(name).or_else(|| trailers.get(name));
            if claimed.is_some_and(|claimed| claimed.as_bytes() != computed.as_bytes()) {
                return Err(s3_error!(BadDigest, "The {name} you specified did not match the calculated checksum."));
            }
        }
        Ok((content, unkept))
    }

    /// Writes several blobs into one, in order.
    pub(super) async fn join(&self, blobs: Vec<String>) -> S3Result<(Content, Unkept)> {
        let root = self.root.clone();
        let parts = futures::stream::iter(blobs).then(move |blob| {
            let path = root.join(blob);
            async move { Ok::<_, S3Error>(chunks(File::open(path).await.map_err(S3Error::internal_error)?, u64::MAX)) }
        });
        let bytes = parts.map_ok(|part| part.map_err(S3Error::internal_error)).try_flatten();
        self.write(bytes, &mut ChecksumHasher::default()).await
    }

    async fn write(&self, bytes: impl Stream<Item = S3Result<Bytes>>, checksums: &mut ChecksumHasher) -> S3Result<(Content, Unkept)> {
        let blob = Uuid::now_v7().to_string();
        let path = self.root.join(&blob);
        let mut file = File::create_new(&path).await.map_err(S3Error::internal_error)?;
        let unkept = Unkept { path, kept: false };

        let mut md5 = Md5::new();
        let mut size = 0;
        let mut bytes = std::pin::pin!(bytes);
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk?;
            md5.update(&chunk);
            checksums.update(&chunk);
            size += chunk.len() as u64;
            file.write_all(&chunk).await.map_err(S3Error::internal_error)?;
        }
        // Tokio's files report the last write's failure only here.
        file.flush().await.map_err(S3Error::internal_error)?;
        let etag = format!("{:032x}", u128::from_be_bytes(md5.finalize()));
        Ok((Content { blob, size, etag, checksums: BTreeMap::new() }, unkept))
    }

    pub(super) async fn open_blob(&self, blob: &str) -> io::Result<File> {
        File::open(self.root.join(blob)).await
    }

    pub(super) fn remove(&self, blobs: &[String]) {
        for blob in blobs {
            // What cannot be removed now is swept at the next start.
            let _ = std::fs::remove_file(self.root.join(blob));
        }
    }
}

/// The bytes of a file from `start`, at most `length` of them.
pub(super) async fn range(mut file: File, start: u64, length: u64) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + Sync> {
    file.seek(io::SeekFrom::Start(start)).await?;
    Ok(chunks(file, length))
}

fn chunks(file: File, length: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
    futures::stream::try_unfold(file.take(length), |mut file| async move {
        let mut chunk = bytes::BytesMut::with_capacity(CHUNK);
        let read = file.read_buf(&mut chunk).await?;
        Ok((read > 0).then(|| (chunk.freeze(), file)))
    })
}

/// The algorithms of the checksums that the request carries, announces as trailers, or asks for.
fn expected_algorithms(headers: &HeaderMap, checksums: &mut ChecksumHasher) -> S3Result<()> {
    let carried = headers.keys().filter_map(|name| name.as_str().strip_prefix("x-amz-checksum-"));
    let named = |header: &str| headers.get(header).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let (announced, asked) = (named("x-amz-trailer"), named("x-amz-sdk-checksum-algorithm"));
    let announced = announced.split(',').filter_map(|name| name.trim().strip_prefix("x-amz-checksum-"));
    for algorithm in carried.chain(announced).chain(Some(&*asked)) {
        match algorithm {
            "crc32" => checksums.crc32 = Some(Crc32::new()),
            "crc32c" => checksums.crc32c = Some(Crc32c::new()),
            "crc64nvme" => checksums.crc64nvme = Some(Crc64Nvme::new()),
            "sha1" => checksums.sha1 = Some(Sha1::new()),
            "sha256" => checksums.sha256 = Some(Sha256::new()),
            // Not algorithms: `x-amz-checksum-mode` and the like.
            "" | "mode" | "type" | "algorithm" => {}
            unknown => return Err(s3_error!(InvalidRequest, "The checksum algorithm {unknown} is not known.")),
        }
    }
    Ok(())
}

fn by_header(checksums: ChecksumHasher) -> BTreeMap<String, String> {
    let sums = checksums.finalize();
    let named = [
        ("x-amz-checksum-crc32", sums.checksum_crc32),
        ("x-amz-checksum-crc32c", sums.checksum_crc32c),
        ("x-amz-checksum-crc64nvme", sums.checksum_crc64nvme),
        ("x-amz-checksum-sha1", sums.checksum_sha1),
        ("x-amz-checksum-sha256", sums.checksum_sha256),
    ];
    named.into_iter().filter_map(|(name, sum)| Some((name.to_owned(), sum?))).collect()
}

/// The bytes of an MD5 in hex.
pub(super) fn hex_to_bytes(hex: &str) -> Vec<u8> {
    u128::from_str_radix(hex, 16).map(|digest| digest.to_be_bytes().to_vec()).unwrap_or_default()
}
