//! Where photographs lie: uploads in one bucket, variants in another, each under keys that say whose they are.
//!
//! | what | bucket | key | URL in answers |
//! |---|---|---|---|
//! | Upload | uploads | `uploads/{post_id}/{index}` | presigned, in the ticket |
//! | Variant | media | `public/{post_id}/{media_id}/{variant}.jpg` | `/media/{post_id}/{media_id}/{variant}.jpg` |
//! | Variant of a private account's post | media | `private/{post_id}/{media_id}/{variant}.jpg` | presigned |
//! | Avatar's upload | uploads | `uploads/avatars/{user_id}/{media_id}` | presigned, in the ticket |
//! | Avatar | media | `public/avatars/{user_id}/{media_id}/{size}.jpg` | `/media/avatars/{user_id}/{media_id}/{size}.jpg` |
//!
//! `media_id` is random, so that who knows a post's id can't guess its files. No file is shared between posts, and no `media_id` is ever
//! used again: files that are moved between `public/` and `private/` get another, so that taking away the old ones, however late, never
//! takes the new.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::{PostId, UserId};

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

/// A new `media_id`: 128 random bits in hex.
pub fn new_id() -> String {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).expect("the system has randomness");
    format!("{:032x}", u128::from_be_bytes(bits))
}

/// Where variants lie: with the CDN for everybody, or where only a signature opens them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Whoever has the URL may fetch it.
    Public,
    /// Only who has been given a signature.
    Private,
}

impl Place {
    /// Both there are.
    pub const ALL: [Self; 2] = [Self::Public, Self::Private];

    /// Where the photographs of an account belong.
    pub fn of(is_private: bool) -> Self {
        if is_private { Self::Private } else { Self::Public }
    }

    /// How long what lies there may be kept. A browser may keep a public file for ever, since its name is never used again; the CDN asks
    /// after an hour, since posts are deleted. A private one may be kept by who fetched it for as long as its URL is good.
    pub fn cache_control(self) -> &'static str {
        match self {
            Self::Public => "public, max-age=31536000, s-maxage=3600, immutable",
            Self::Private => "private, max-age=300",
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

/// Where the upload of a picture of a person goes; `Display` is the object's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AvatarUploadKey {
    /// Whose.
    pub user_id: UserId,
    /// The ticket's.
    pub media_id: String,
}

impl fmt::Display for AvatarUploadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", AVATAR_UPLOADS, self.user_id, self.media_id)
    }
}

impl FromStr for AvatarUploadKey {
    type Err = NotAnUpload;

    fn from_str(key: &str) -> Result<Self, NotAnUpload> {
        let (user_id, media_id) = key.strip_prefix(AVATAR_UPLOADS).and_then(|rest| rest.split_once('/')).ok_or(NotAnUpload)?;
        let is_id = media_id.len() == 32 && media_id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let upload = Self { user_id: user_id.parse().map_err(|_| NotAnUpload)?, media_id: media_id.to_owned() };
        if is_id && upload.to_string() == key { Ok(upload) } else { Err(NotAnUpload) }
    }
}

const AVATAR_UPLOADS: &str = "uploads/avatars/";

/// What the keys of the uploads of a person's pictures start with.
pub fn avatar_uploads_of(user_id: UserId) -> String {
    format!("{AVATAR_UPLOADS}{user_id}/")
}

/// What the keys of a post's variants start with, wherever they lie.
pub fn variants_of(post_id: PostId) -> [String; 2] {
    Place::ALL.map(|place| format!("{}/{post_id}/", place.as_str()))
}

/// What the keys of a photo's variants start with.
pub fn variants_at(place: Place, post_id: PostId, media_id: &str) -> String {
    format!("{}/{post_id}/{media_id}/", place.as_str())
}

/// The key of a variant.
pub fn variant_key(place: Place, post_id: PostId, media_id: &str, variant: &str) -> String {
    format!("{}/{post_id}/{media_id}/{variant}.jpg", place.as_str())
}

/// The root-relative URL of a variant that lies with the CDN.
pub fn variant_url(post_id: PostId, media_id: &str, variant: &str) -> String {
    format!("/media/{post_id}/{media_id}/{variant}.jpg")
}

/// What the keys of a person's avatars start with.
pub fn avatars_of(user_id: UserId) -> String {
    format!("public/avatars/{user_id}/")
}

/// The key of one size (`a150`, `a400`) of an avatar.
pub fn avatar_key(user_id: UserId, media_id: &str, size: &str) -> String {
    format!("public/avatars/{user_id}/{media_id}/{size}.jpg")
}

/// The root-relative URL of one size of an avatar.
pub fn avatar_url(user_id: UserId, media_id: &str, size: &str) -> String {
    format!("/media/avatars/{user_id}/{media_id}/{size}.jpg")
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
        let (key, url) = (variant_key(Place::Public, id, "00", "w320"), variant_url(id, "00", "w320"));
        assert_eq!(key.strip_prefix("public"), url.strip_prefix("/media"));
        for place in Place::ALL {
            let key = variant_key(place, id, "00", "w320");
            assert!(key.starts_with(&variants_at(place, id, "00")));
            assert!(variants_of(id).iter().any(|prefix| key.starts_with(prefix)));
        }
        let (user, size) = (UserId::new(), "a150");
        let (key, url) = (avatar_key(user, "00", size), avatar_url(user, "00", size));
        assert!(key.starts_with(&avatars_of(user)));
        assert_eq!(key.strip_prefix("public"), url.strip_prefix("/media"));
    }

    #[test]
    fn the_key_of_a_pictures_upload_is_read_as_it_was_written_and_is_never_taken_for_a_posts() {
        let upload = AvatarUploadKey { user_id: UserId::new(), media_id: new_id() };
        let key = upload.to_string();
        assert!(key.starts_with(&avatar_uploads_of(upload.user_id)));
        assert_eq!(key.parse::<UploadKey>(), Err(NotAnUpload));
        assert_eq!(key.parse(), Ok(upload));
        let photo = UploadKey { post_id: PostId::new(), index: 0 }.to_string();
        for other in [&photo, &key[..key.len() - 1], &key.to_uppercase(), &format!("{key}/"), &format!("{key}0"), "uploads/avatars/x/y"] {
            assert_eq!(other.parse::<AvatarUploadKey>(), Err(NotAnUpload), "{other}");
        }
    }
}
