//! `PATCH /posts/{post_id}`: what an author says of a post can be changed; its photographs can't.

use axum::{Json, extract::State};
use serde::Deserialize;
use tintype_core::{
    PostId, Time,
    patch::Patch,
    post::{Edit, Location},
    post_view::PostView,
};
use tintype_edge::{Body, Checks, PathId, Problem, ProblemBody, Viewer, responses};
use tintype_tables::posts;
use utoipa::ToSchema;

use crate::{
    Stores,
    fields::{self, MOST_PHOTOS},
    read,
};

/// What changes of a post: what is not there stays, `null` clears.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostUpdate {
    /// Up to 2200 characters; `#hashtags` and `@mentions` in it are found.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 2200, example = "Low tide #sea")]
    caption: Patch,
    /// Where it was taken.
    #[serde(default)]
    #[schema(value_type = Option<Location>)]
    location: Patch<Location>,
    /// Whether others may comment; not `null`.
    #[serde(default)]
    #[schema(value_type = bool)]
    comments_enabled: Patch<bool>,
    /// Photos by their index, each once; those that are not named stay as they are.
    #[serde(default)]
    #[schema(max_items = 10)]
    photos: Vec<PhotoUpdate>,
}

/// What changes of a photo.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PhotoUpdate {
    /// Its place in the post, from 0.
    #[schema(minimum = 0, maximum = 9)]
    index: usize,
    /// For those who can't see it; up to 1000 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 1000)]
    alt_text: Patch,
}

/// Changes one's own post; it keeps its place in every timeline.
///
/// `edited_at` tells when what a published post says was last changed; that others may comment, or may not, is nothing that it says.
#[utoipa::path(
    patch,
    path = "/posts/{post_id}",
    tag = "posts",
    security(("access_token" = [])),
    params(("post_id" = PostId, Path, description = "The post")),
    request_body = PostUpdate,
    responses(
        (status = 200, description = "The post as it is now", body = PostView),
        (status = 403, description = "`not-the-author`: it is another person's post", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Lookup,
        responses::WithBody,
    )
)]
pub(crate) async fn edit_post(
    State(stores): State<Stores>,
    Viewer(viewer): Viewer,
    PathId(post_id): PathId<PostId>,
    Body(update): Body<PostUpdate>,
) -> Result<Json<PostView>, Problem> {
    let indexes = update.indexes();
    let (edit, checks) = update.into_edit();
    // What is wrong with it is said to whoever may not edit the post, too: the request alone shows it.
    checks.finish()?;
    let (post, author) = read::visible(&stores, post_id, Some(viewer.user_id)).await?;
    if post.author_id != viewer.user_id {
        return Err(Problem::forbidden("not-the-author", "Only the post's author may change it."));
    }
    demand_photos(&indexes, post.photos.len())?;
    let record = posts::edit(&stores.posts, post_id, &edit, Time::now()).await?;
    // Another request may have deleted it since it was read.
    let post = record.filter(|record| record.deleted_at.is_none()).ok_or_else(Problem::not_found)?.post;
    read::view(&stores, &post, &author, Some(viewer.user_id)).await.map(Json)
}

/// Whether there are such photos is known once the post is.
fn demand_photos(indexes: &[usize], photos: usize) -> Result<(), Problem> {
    let mut checks = Checks::default();
    for (place, index) in indexes.iter().enumerate() {
        checks.require(*index < photos, format!("/photos/{place}/index"), format_args!("must be from 0 to {}", photos.saturating_sub(1)));
    }
    checks.finish()
}

impl PostUpdate {
    /// Which photos it names, in its order.
    fn indexes(&self) -> Vec<usize> {
        self.photos.iter().map(|photo| photo.index).collect()
    }

    /// What is to change, and all that is wrong with it.
    fn into_edit(self) -> (Edit, Checks) {
        let mut checks = Checks::default();
        let indexes = self.indexes();
        let caption = match self.caption {
            Patch::Set(caption) => Patch::Set(fields::caption(&caption, &mut checks)),
            unchecked => unchecked,
        };
        let location = match self.location {
            Patch::Set(location) => Patch::Set(fields::location(location, &mut checks)),
            unchecked => unchecked,
        };
        let comments_enabled = match self.comments_enabled {
            Patch::Keep => None,
            Patch::Set(enabled) => Some(enabled),
            Patch::Clear => {
                checks.reject("/comments_enabled", "must be true or false");
                None
            }
        };
        if indexes.len() > MOST_PHOTOS {
            checks.reject("/photos", format_args!("must be {MOST_PHOTOS} photos at most"));
            return (Edit::default(), checks);
        }
        for (place, index) in indexes.iter().enumerate() {
            checks.require(
                !indexes[..place].contains(index),
                format!("/photos/{place}/index"),
                "must not name a photo that is named before",
            );
        }
        let alt_texts = self.photos.into_iter().enumerate().filter_map(|(place, photo)| match photo.alt_text {
            Patch::Keep => None,
            Patch::Clear => Some((photo.index, None)),
            Patch::Set(text) => Some((photo.index, fields::alt_text(&text, &format!("/photos/{place}/alt_text"), &mut checks))),
        });
        let alt_texts = alt_texts.collect();
        (Edit { caption, location, comments_enabled, alt_texts }, checks)
    }
}
