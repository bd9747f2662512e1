//! The picture of a person: it is made elsewhere, and becomes theirs here.
//!
//! A profile holds the newest ticket until its picture is there. A picture of any other ticket is nobody's: superseded, or of somebody who
//! has gone. Whatever the profile does not name goes, so that messages may come twice, late and in any order.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use serde::Deserialize;
use tintype_core::{
    UserId, media,
    profile::Avatar,
    upload::{AvatarFailure, AvatarUpload},
};
use tintype_queues::Failure;
use tintype_tables::{
    Error, Table,
    table::{Item, failure, text, write_units},
    users,
};
use tintype_telemetry as telemetry;

use crate::Stores;

/// A picture has been made: if it is of the newest ticket, it is the person's from now on.
pub(crate) async fn ready(stores: &Stores, user: UserId, media_id: &str) -> Result<(), Failure> {
    let avatar: Item = serde_dynamo::to_item(Avatar { media_id: media_id.to_owned() })?;
    let is_newest = update(&stores.users, user, media_id, "SET avatar = :value REMOVE avatar_upload", avatar).await?;
    telemetry::field("avatar.is_newest", is_newest);
    tidy_up(stores, user).await
}

/// No picture can be made: if it is of the newest ticket, the person is told.
pub(crate) async fn failed(stores: &Stores, user: UserId, media_id: &str, code: String, detail: String) -> Result<(), Failure> {
    let failure: Item = serde_dynamo::to_item(AvatarFailure { code, detail })?;
    let is_newest = update(&stores.users, user, media_id, "SET avatar_upload.failure = :value", failure).await?;
    telemetry::field("avatar.is_newest", is_newest);
    Ok(())
}

/// Changes a profile whose newest ticket is this one; `false` if it has another, or none.
async fn update(users: &Table, user: UserId, media_id: &str, expression: &str, value: Item) -> Result<bool, Error> {
    let request = users
        .client
        .update_item()
        .table_name(&users.name)
        .set_key(Some(users::profile(user).item()))
        .update_expression(expression)
        .condition_expression("avatar_upload.media_id = :media_id")
        .expression_attribute_values(":media_id", text(media_id))
        .expression_attribute_values(":value", AttributeValue::M(value))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    match Box::pin(request.send()).await.map_err(failure) {
        Ok(answer) => {
            write_units(answer.consumed_capacity.as_slice());
            Ok(true)
        }
        Err(Error::Condition(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What a profile names.
#[derive(Debug, Default, Deserialize)]
struct Pictures {
    avatar: Option<Avatar>,
    avatar_upload: Option<AvatarUpload>,
}

impl Pictures {
    /// Whether an object is the person's picture, or may become it.
    fn name(&self, user: UserId, key: &str) -> bool {
        let ids = [self.avatar.as_ref().map(|avatar| &avatar.media_id), self.avatar_upload.as_ref().map(|upload| &upload.media_id)];
        let ids = ids.into_iter().flatten();
        let prefix = media::avatars_of(user);
        let rest = key.strip_prefix(&prefix).unwrap_or_default();
        ids.into_iter().any(|id| rest.split('/').next() == Some(id.as_str()))
    }
}

/// Removes the pictures that the person does not have, or not any more.
async fn tidy_up(stores: &Stores, user: UserId) -> Result<(), Failure> {
    let mut keys = stores.media.keys(&media::avatars_of(user)).await?;
    // Read after they were listed: a ticket is in the profile before anything is made of it, so what is not named now is nobody's.
    let pictures: Pictures = stores.users.get(&users::profile(user), true).await?.unwrap_or_default();
    keys.retain(|key| !pictures.name(user, key));
    stores.media.delete(&keys).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_core::Time;

    #[test]
    fn the_persons_picture_and_the_one_that_is_awaited_are_kept_and_no_others() {
        let (user, other) = (UserId::new(), UserId::new());
        let upload = AvatarUpload { media_id: "b".repeat(32), expires_at: Time::now(), failure: None };
        let pictures = Pictures { avatar: Some(Avatar { media_id: "a".repeat(32) }), avatar_upload: Some(upload) };
        let key = |user, id: &str| media::avatar_key(user, &id.repeat(32), "a150");
        assert!(pictures.name(user, &key(user, "a")) && pictures.name(user, &key(user, "b")));
        assert!(!pictures.name(user, &key(user, "c")) && !pictures.name(user, &key(other, "a")));
        assert!(!Pictures::default().name(user, &key(user, "a")));
    }
}
