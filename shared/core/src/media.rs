//! Where photographs lie: uploads in one bucket, variants in another, each under keys that say whose they are.
//!
//! | what | bucket | key | URL in answers |
//! |---|---|---|---|
//! | Upload | uploads | `uploads/{post_id}/{index}` | presigned, in the ticket |
//! | Variant | media | `public/{post_id}/{media_id}/{variant}.jpg` | `/media/{post_id}/{media_id}/{variant}.jpg` |
//!
//! `media_id` is random, so that who knows a post's id can't guess its files. No file is shared between posts.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::PostId;

/// Where the upload of one photo of a post goes; `Display` is the object's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UploadKey {
    /// The post.
    pub post_id: PostId,
    /// Which of its photos, from 0.
    pub index: usize,
}

/// No ticket was ever made for this key.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("is no upload's key")]
pub struct NotAnUpload;

impl fmt::Display for UploadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uploads/{}/{}", self.post_id, self.index)
    }
}

impl FromStr for UploadKey {
    type Err = NotAnUpload;

    fn from_str(key: &str) -> Result<Self, NotAnUpload> {
        let (post_id, index) = key.strip_prefix("uploads/").and_then(|rest| rest.split_once('/')).ok_or(NotAnUpload)?;
        let upload = Self { post_id: post_id.parse().map_err(|_| NotAnUpload)?, index: index.parse().map_err(|_| NotAnUpload)? };
        // Ids and numbers can be written in several ways (`+01`), keys in one.
        if upload.to_string() == key { Ok(upload) } else { Err(NotAnUpload) }
    }
}

/// What the keys of a post's uploads start with.
pub fn uploads_of(post_id: PostId) -> String {
    format!("uploads/{post_id}/")
}

/// What the keys of a post's variants start with.
pub fn variants_of(post_id: PostId) -> String {
    format!("public/{post_id}/")
}

/// The key of a variant.
pub fn variant_key(post_id: PostId, media_id: &str, variant: &str) -> String {
    format!("public/{post_id}/{media_id}/{variant}.jpg")
}

/// The root-relative URL of a variant.
pub fn variant_url(post_id: PostId, media_id: &str, variant: &str) -> String {
    format!("/media/{post_id}/{media_id}/{variant}.jpg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_key_is_read_as_it_was_written_and_in_no_other_way() {
        let upload = UploadKey { post_id: PostId::new(), index: 9 };
        let key = upload.to_string();
        assert_eq!(key.parse(), Ok(upload));
        assert!(key.starts_with(&uploads_of(upload.post_id)));
        let id = upload.post_id;
        for other in [
            String::new(),
            format!("uploads/{id}"),
            format!("uploads/{id}/"),
            format!("uploads/{id}/-1"),
            format!("uploads/{id}/+9"),
            format!("uploads/{id}/09"),
            format!("uploads/{id}/9/"),
            format!("uploads/{{{id}}}/9"),
            format!("uploads/{}/9", id.to_string().to_uppercase()),
            format!("public/{id}/9"),
        ] {
            assert_eq!(other.parse::<UploadKey>(), Err(NotAnUpload), "{other}");
        }
    }

    // The CDN's function takes `/media` off and its origin adds `public`: see `template.yaml`.
    #[test]
    fn a_variants_url_is_its_key_below_another_root() {
        let id = PostId::new();
        let (key, url) = (variant_key(id, "00", "w320"), variant_url(id, "00", "w320"));
        assert!(key.starts_with(&variants_of(id)));
        assert_eq!(key.strip_prefix("public"), url.strip_prefix("/media"));
    }
}
