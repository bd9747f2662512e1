//! `POST /posts`: what is asked, whether it is valid, and the post that waits for its photos.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tintype_core::{
    PostId, Time, UserId, media,
    post::{ContentType, Draft, Location, Photo, Post, Status},
    upload::MOST_BYTES,
};
use tintype_edge::{Checks, Creation, IdempotencyKey, Made, Problem, ProblemBody, REPLAYED, Viewer, responses};
use tintype_tables::{Error, posts};
use tintype_telemetry as telemetry;
use utoipa::ToSchema;

use crate::{
    Stores,
    fields::{self, MOST_PHOTOS},
    ticket::{self, Ticket},
};

/// A post to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPost {
    /// Up to 2200 characters; `#hashtags` and `@mentions` in it are found.
    #[schema(max_length = 2200, example = "Low tide #sea")]
    caption: Option<String>,
    /// In the order in which they are shown.
    #[schema(min_items = 1, max_items = 10)]
    photos: Vec<NewPhoto>,
    /// Where it was taken.
    location: Option<Location>,
    /// Whether others may comment; yes, unless said otherwise.
    #[schema(default = true)]
    comments_enabled: Option<bool>,
}

/// A photo to be uploaded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPhoto {
    /// What kind of file it is.
    content_type: ContentType,
    /// How large the file is: the upload must have exactly this size.
    #[schema(minimum = 1, maximum = 20_000_000)]
    bytes: u64,
    /// For those who can't see it; up to 1000 characters.
    #[schema(max_length = 1000)]
    alt_text: Option<String>,
}

/// A post that waits for its photos.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedPost {
    /// Its id.
    id: PostId,
    /// `awaiting_upload`; to a request that is repeated, what it is by now.
    status: Status,
    /// One ticket a photo; to a request that is repeated, for those that are still awaited.
    photos: Vec<Ticket>,
}

/// Makes a post and answers upload tickets for its photos.
///
/// Send each ticket's request with the photo as its body: another size or type than announced is refused. The post is published by
/// itself once the last photo has been processed; `GET /posts/{post_id}?wait=10` tells when. With an `Idempotency-Key` the request can be
/// repeated: it is answered with the same post and new tickets.
#[utoipa::path(
    post,
    path = "/posts",
    tag = "posts",
    security(("access_token" = [])),
    params(IdempotencyKey),
    request_body = NewPost,
    responses(
        (status = 202, description = "The post waits for its photos", body = CreatedPost, headers(
            ("Location" = String, description = "The post"),
            ("Idempotent-Replayed" = Option<bool>, description = "`true`: it was made before, by the same request"),
        )),
        (status = 404, description = "`not-found`: the post that this request has made is deleted", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Creation,
    )
)]
pub(crate) async fn create_post(
    State(stores): State<Stores>,
    Viewer(viewer): Viewer,
    Creation(request, once): Creation<NewPost>,
) -> Result<Response, Problem> {
    let post = request.into_post(viewer.user_id, Time::now())?;
    let id = post.id;
    telemetry::field("post.photos", post.photos.len());
    let made = once.make(viewer.user_id, id, StatusCode::ACCEPTED, |id| make(&stores, Post { id, ..post })).await?;
    let (created, replayed) = match made {
        Made::Now(Making::Created(created)) => (created, None),
        Made::Now(Making::Found(id)) | Made::Before { id, .. } => (renew(&stores, id).await?, Some([REPLAYED])),
    };
    telemetry::field("post.id", created.id.to_string());
    let location = format!("/v1/posts/{}", created.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], replayed, Json(created)).into_response())
}

/// What has become of a post that was to be made.
enum Making {
    Created(CreatedPost),
    /// A run that was cut off has made it. What it is by now, deleted perhaps, is asked once the claim says that it is made: a problem
    /// then must not free the key, for the next repetition would make it anew.
    Found(PostId),
}

/// Makes the post. Its tickets are signed first: a post without any would wait for nothing.
async fn make(stores: &Stores, post: Post) -> Result<Making, Problem> {
    let created = CreatedPost { id: post.id, status: post.status, photos: tickets(stores, &post).await? };
    match posts::create(&stores.posts, post).await {
        Ok(()) => Ok(Making::Created(created)),
        Err(Error::Condition(_)) => Ok(Making::Found(created.id)),
        Err(error) => Err(error.into()),
    }
}

/// What to answer for a post that is there already: tickets for what it still waits for, and the time to use them.
async fn renew(stores: &Stores, post_id: PostId) -> Result<CreatedPost, Problem> {
    let record = posts::prolong(&stores.posts, post_id, Time::now()).await?.filter(|record| record.deleted_at.is_none());
    let post = record.ok_or_else(Problem::not_found)?.post;
    Ok(CreatedPost { id: post.id, status: post.status, photos: tickets(stores, &post).await? })
}

async fn tickets(stores: &Stores, post: &Post) -> Result<Vec<Ticket>, Problem> {
    ticket::tickets(&stores.uploads, post).await.map_err(Problem::unavailable)
}

impl NewPost {
    /// The post, or all that is wrong with it.
    fn into_post(self, author_id: UserId, now: Time) -> Result<Post, Problem> {
        let mut checks = Checks::default();
        let caption = fields::caption(self.caption.as_deref().unwrap_or_default(), &mut checks);
        let count = self.photos.len();
        checks.require((1..=MOST_PHOTOS).contains(&count), "/photos", format_args!("must be 1 to {MOST_PHOTOS} photos"));
        let photos = self.photos.into_iter().enumerate().map(|(index, photo)| photo.into_photo(index, &mut checks)).collect();
        let location = self.location.map(|location| fields::location(location, &mut checks));
        checks.finish()?;
        let comments_enabled = self.comments_enabled.unwrap_or(true);
        Ok(Post::new(Draft { author_id, caption, location, comments_enabled, photos }, now))
    }
}

impl NewPhoto {
    fn into_photo(self, index: usize, checks: &mut Checks) -> Photo {
        let size_fits = (1..=MOST_BYTES).contains(&self.bytes);
        checks.require(size_fits, format!("/photos/{index}/bytes"), format_args!("must be from 1 to {MOST_BYTES}"));
        let alt_text = self.alt_text.and_then(|alt_text| fields::alt_text(&alt_text, &format!("/photos/{index}/alt_text"), checks));
        Photo::announced(self.content_type, self.bytes, alt_text, media::new_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_place_is_kept_as_a_table_can_hold_it_and_a_caption_with_plain_line_breaks() {
        let photo = json!({"content_type": "image/jpeg", "bytes": 1});
        let location = json!({"name": "Null Island", "lat": 1e-200, "lng": -0.000_000_06});
        let request = json!({"caption": "one\r\ntwo", "photos": [photo], "location": location});
        let request: NewPost = serde_json::from_value(request).unwrap();
        let post = request.into_post(UserId::new(), Time::now()).ok().unwrap();
        assert_eq!(post.caption, "one\ntwo");
        assert_eq!(post.location, Some(Location { name: "Null Island".to_owned(), lat: 0.0, lng: -0.000_000_1 }));
    }
}
