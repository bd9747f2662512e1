//! The picture of a person: `PUT /me/avatar` answers a ticket, `functions/photo-processor` makes the picture of what is uploaded with it, and
//! `functions/users-worker` makes it theirs. A picture is public, also of a private account.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use tintype_core::{
    Time, UserId,
    media::{self, AvatarUploadKey},
    post::ContentType,
    upload::{AvatarUpload, MOST_BYTES, Upload},
};
use tintype_edge::{Body, Checks, Problem, Viewer, responses};
use tintype_tables::{
    Error, Table,
    posts::TICKET_LIFETIME,
    table::{Item, failure, text, write_units},
    users,
};
use utoipa::ToSchema;

use crate::{App, profiles};

/// A picture to be uploaded.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAvatar {
    /// What kind of file it is.
    content_type: ContentType,
    /// How large the file is: the upload must have exactly this size.
    #[schema(minimum = 1, maximum = 20_000_000)]
    bytes: u64,
}

/// A ticket for a picture.
#[derive(Serialize, ToSchema)]
pub(crate) struct AvatarTicket {
    /// The request that uploads it.
    upload: Upload,
}

/// Answers a ticket for a picture of the viewer, instead of any before.
///
/// Send its request with the picture as its body: another size or type than announced is refused. What is square from the middle of it
/// replaces the viewer's picture once it has been processed; until then `GET /me` has `avatar_upload`, which says also why none could be
/// made. Everybody sees a person's picture, also if the account is private.
#[utoipa::path(
    put,
    path = "/me/avatar",
    tag = "users",
    request_body = NewAvatar,
    security(("access_token" = [])),
    responses((status = 202, description = "The picture is awaited", body = AvatarTicket), responses::Authenticated, responses::WithBody)
)]
pub(crate) async fn change(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    Body(request): Body<NewAvatar>,
) -> Result<(StatusCode, Json<AvatarTicket>), Problem> {
    let mut checks = Checks::default();
    checks.require((1..=MOST_BYTES).contains(&request.bytes), "/bytes", format_args!("must be from 1 to {MOST_BYTES}"));
    checks.finish()?;
    let expires_at = Time::now().plus(TICKET_LIFETIME);
    let key = AvatarUploadKey { user_id: viewer.user_id, media_id: media::new_id() };
    let put = app.uploads.presign_put(&key.to_string(), request.content_type.as_str(), request.bytes, TICKET_LIFETIME).await;
    let put = put.map_err(Problem::unavailable)?;
    let upload = AvatarUpload { media_id: key.media_id, expires_at, failure: None };
    if !note(&app.users, viewer.user_id, &upload).await? {
        return Err(Problem::unauthorized());
    }
    let upload = Upload { method: "PUT", url: put.url, headers: put.headers, expires_at };
    Ok((StatusCode::ACCEPTED, Json(AvatarTicket { upload })))
}

/// Removes the viewer's picture, and forgets a ticket for one; without any, nothing happens.
///
/// Its file is gone with the answer; the CDN may show what it has kept for up to an hour.
#[utoipa::path(
    delete,
    path = "/me/avatar",
    tag = "users",
    security(("access_token" = [])),
    responses((status = 204, description = "The viewer has no picture"), responses::Authenticated)
)]
pub(crate) async fn remove(State(app): State<App>, Viewer(viewer): Viewer) -> Result<StatusCode, Problem> {
    let user = viewer.user_id;
    // What is there now, and nothing that comes later.
    let doomed = pictures(&app.users, user).await?;
    let mut left = doomed.clone();
    for _ in 0..MOST_RIVALS {
        // The files go first: who is interrupted in between has a picture that can't be seen, and removes it once more.
        if let Some(media_id) = &left.avatar {
            let keys = ["a150", "a400"].map(|size| media::avatar_key(user, media_id, size));
            app.media.delete(&keys).await.map_err(Problem::unavailable)?;
        }
        if forget(&app.users, user, left).await? {
            return Ok(StatusCode::NO_CONTENT);
        }
        left = pictures(&app.users, user).await?.of(&doomed);
    }
    Err(Error::Conflict.into())
}

/// The media ids that a profile names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pictures {
    avatar: Option<String>,
    ticket: Option<String>,
}

impl Pictures {
    /// Those of them that are also `others`: as the one or as the other, for a ticket's picture may have been made meanwhile.
    fn of(self, others: &Self) -> Self {
        let is_other = |id: &String| [&others.avatar, &others.ticket].into_iter().any(|other| other.as_ref() == Some(id));
        Self { avatar: self.avatar.filter(is_other), ticket: self.ticket.filter(is_other) }
    }
}

async fn pictures(users: &Table, user: UserId) -> Result<Pictures, Problem> {
    let profile = profiles::store::read(users, user).await?.ok_or_else(Problem::unauthorized)?;
    let ticket = profile.avatar_upload.map(|upload| upload.media_id);
    Ok(Pictures { avatar: profile.card.avatar.map(|avatar| avatar.media_id), ticket })
}

/// A picture that has just been made may take the place of the one that is being removed, now and then.
const MOST_RIVALS: usize = 5;

/// Notes the newest ticket; `false`: there is no such person.
async fn note(users: &Table, user: UserId, upload: &AvatarUpload) -> Result<bool, Error> {
    let values = Item::from([(":upload".to_owned(), AttributeValue::M(serde_dynamo::to_item(upload)?))]);
    update(users, user, "SET avatar_upload = :upload", "attribute_exists(pk)", values).await
}

/// Removes these from a profile; `false` if it does not name them any more.
async fn forget(users: &Table, user: UserId, these: Pictures) -> Result<bool, Error> {
    let named = [("avatar", these.avatar), ("avatar_upload", these.ticket)];
    let named: Vec<(&str, String)> = named.into_iter().filter_map(|(attribute, id)| Some((attribute, id?))).collect();
    if named.is_empty() {
        return Ok(true);
    }
    let attributes: Vec<&str> = named.iter().map(|(attribute, _)| *attribute).collect();
    let conditions: Vec<String> = attributes.iter().map(|attribute| format!("{attribute}.media_id = :{attribute}")).collect();
    let values = named.iter().map(|(attribute, id)| (format!(":{attribute}"), text(id))).collect();
    update(users, user, &format!("REMOVE {}", attributes.join(", ")), &conditions.join(" AND "), values).await
}

async fn update(users: &Table, user: UserId, expression: &str, condition: &str, values: Item) -> Result<bool, Error> {
    let request = users
        .client
        .update_item()
        .table_name(&users.name)
        .set_key(Some(users::profile(user).item()))
        .update_expression(expression)
        .condition_expression(condition)
        .set_expression_attribute_values(Some(values))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph_tests::{empty_table, person};

    fn ticket(media_id: &str) -> AvatarUpload {
        AvatarUpload { media_id: media_id.to_owned(), expires_at: Time::now(), failure: None }
    }

    async fn stored(table: &Table, user: UserId) -> Pictures {
        pictures(table, user).await.unwrap_or_else(|_| panic!("there is a profile"))
    }

    fn named(avatar: Option<&str>, ticket: Option<&str>) -> Pictures {
        Pictures { avatar: avatar.map(str::to_owned), ticket: ticket.map(str::to_owned) }
    }

    #[tokio::test]
    async fn a_ticket_that_comes_beside_a_removal_stays() {
        let table = empty_table().await;
        let ada = person(&table, "ada").await;
        assert!(note(&table, ada, &ticket("first")).await.unwrap());
        let doomed = stored(&table, ada).await;
        assert!(note(&table, ada, &ticket("second")).await.unwrap());
        assert!(!forget(&table, ada, doomed.clone()).await.unwrap());
        // And at the next attempt.
        let left = stored(&table, ada).await.of(&doomed);
        assert!(forget(&table, ada, left).await.unwrap());
        assert_eq!(stored(&table, ada).await, named(None, Some("second")));
        assert!(forget(&table, ada, named(None, Some("second"))).await.unwrap());
        assert_eq!(stored(&table, ada).await, named(None, None));
    }

    #[test]
    fn a_picture_made_of_the_ticket_that_is_removed_goes_too() {
        let doomed = named(Some("old"), Some("new"));
        assert_eq!(named(Some("new"), None).of(&doomed), named(Some("new"), None));
        assert_eq!(named(Some("newer"), Some("newest")).of(&doomed), named(None, None));
    }
}
