//! What is done about the upload of a person's picture, however often it is announced.
//!
//! The files are written, the users service is told, the upload goes: in this order, so that whatever was interrupted is done again, and
//! writes the same files. Whether the person still wants this picture, is there at all, or has another by now, is for the users service
//! to say, which then takes the files away.

use lambda_runtime::Error;
use tintype_core::{
    event::What,
    media::{self, AvatarUploadKey, Place},
    post::ContentType,
    upload::MOST_BYTES,
};
use tintype_telemetry as telemetry;
use tokio::try_join;

use crate::{
    Stores,
    pipeline::{self, Portrait, Rejection},
    upload::{Ending, decode_apart},
};

/// Does what is to be done about `upload`. Errors pass: it is to be tried again.
pub(crate) async fn process(stores: &Stores, upload: AvatarUploadKey) -> Result<Ending, Error> {
    let key = upload.to_string();
    // Gone: another delivery of the same event has finished.
    let Some(object) = stores.uploads.get(&key).await? else { return Ok(Ending::Repeated) };
    telemetry::field("photo.bytes", object.size);
    // Type and size are in the ticket's signature: the store has taken no others.
    let declared = object.content_type.as_deref().and_then(declared);
    let result = match declared {
        Some(declared) if object.size <= MOST_BYTES => {
            let bytes: Vec<u8> = object.bytes().await?.into();
            decode_apart(move || pipeline::portrait(&bytes, declared)).await?
        }
        _ => Err(Rejection::NotAnImage),
    };
    let AvatarUploadKey { user_id, media_id } = upload;
    let (ending, what) = match result {
        Ok(Portrait { small, large }) => {
            try_join!(
                store(stores, media::avatar_key(user_id, &media_id, "a150"), small),
                store(stores, media::avatar_key(user_id, &media_id, "a400"), large)
            )?;
            (Ending::Processed, What::AvatarReady { user_id, media_id })
        }
        Err(rejection) => {
            rejection.log();
            let (code, detail) = (rejection.code().to_owned(), rejection.to_string());
            (Ending::Rejected, What::AvatarFailed { user_id, media_id, code, detail })
        }
    };
    stores.users_queue.send(what).await?;
    stores.uploads.delete(&[key]).await?;
    Ok(ending)
}

async fn store(stores: &Stores, key: String, bytes: Vec<u8>) -> Result<(), Error> {
    Ok(stores.media.put(&key, bytes.into(), "image/jpeg", Place::Public.cache_control()).await?)
}

fn declared(content_type: &str) -> Option<ContentType> {
    [ContentType::Jpeg, ContentType::Png, ContentType::WebP].into_iter().find(|known| known.as_str() == content_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_of_tickets_are_known_and_no_others() {
        for known in [ContentType::Jpeg, ContentType::Png, ContentType::WebP] {
            assert_eq!(declared(known.as_str()), Some(known));
        }
        for other in ["image/gif", "image/jpeg; charset=utf-8", "binary/octet-stream", ""] {
            assert_eq!(declared(other), None, "{other}");
        }
    }
}
