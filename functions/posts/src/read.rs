//! `GET /posts/{post_id}`: a post, to those who may see it.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use tintype_core::{
    PostId, UserId,
    post::{Post, Status},
    post_view::PostView,
    profile::ProfileCard,
};
use tintype_edge::{Checks, MaybeViewer, Parameters, PathId, Problem, ProblemBody, post_open_to, responses};
use tintype_tables::{Error, Table, posts, reception};
use tokio::time::{Instant, sleep};
use utoipa::IntoParams;

use crate::Stores;

/// The gateway gives up after 29 s, and the function after 15.
const MOST_WAIT_SECONDS: u64 = 10;
/// How often a waiting author's post is read: each read costs half a read unit for each 4 KB, twice because it is consistent.
const POLL: Duration = Duration::from_millis(150);

/// How to read a post.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadParameters {
    /// For its author: hold the answer until the post's status changes, for this many seconds at most.
    #[param(minimum = 0, maximum = 10)]
    wait: Option<u64>,
}

impl ReadParameters {
    fn patience(&self) -> Result<Option<Duration>, Problem> {
        let mut checks = Checks::default();
        let is_short = self.wait.is_none_or(|seconds| seconds <= MOST_WAIT_SECONDS);
        checks.require(is_short, "?wait", format_args!("must be from 0 to {MOST_WAIT_SECONDS}"));
        checks.finish()?;
        Ok(self.wait.map(Duration::from_secs))
    }
}

/// A post.
///
/// Everybody sees a published one, of a private account its followers, and its author alone what is not published (yet). Nobody sees
/// anything across a block. Only the author may `wait`.
#[utoipa::path(
    get,
    path = "/posts/{post_id}",
    tag = "posts",
    security((), ("access_token" = [])),
    params(("post_id" = PostId, Path, description = "The post"), ReadParameters),
    responses(
        (status = 200, description = "The post", body = PostView),
        (status = 403, description = "`not-the-author`: only the author may wait", body = ProblemBody, content_type = "application/problem+json"),
        responses::Authenticated,
        responses::Lookup,
        responses::Query,
    )
)]
pub(crate) async fn get_post(
    State(stores): State<Stores>,
    MaybeViewer(viewer): MaybeViewer,
    PathId(post_id): PathId<PostId>,
    Parameters(parameters): Parameters<ReadParameters>,
) -> Result<Json<PostView>, Problem> {
    let patience = parameters.patience()?;
    let viewer = viewer.map(|viewer| viewer.user_id);
    let (mut post, author) = visible(&stores, post_id, viewer).await?;
    if let Some(patience) = patience {
        if viewer != Some(post.author_id) {
            return Err(Problem::forbidden("not-the-author", "Only the post's author may wait for it."));
        }
        post = changed(&stores.posts, post, patience).await?.ok_or_else(Problem::not_found)?;
    }
    view(&stores, &post, &author, viewer).await.map(Json)
}

/// What `viewer` is answered of a post. Its counts and their marks are as of now: whoever has just liked it sees that.
pub(crate) async fn view(stores: &Stores, post: &Post, author: &ProfileCard, viewer: Option<UserId>) -> Result<PostView, Problem> {
    let private = stores.media.keyring().await.map_err(Problem::unavailable)?;
    let reception = reception::now(&stores.posts, &stores.comments, post.id, viewer).await?;
    Ok(PostView::new(post, author, reception, &private))
}

/// The post, if `viewer` may see it and everybody could: nobody likes or saves what is not there yet.
pub(crate) async fn published(stores: &Stores, post_id: PostId, viewer: UserId) -> Result<Post, Problem> {
    let (post, _) = visible(stores, post_id, Some(viewer)).await?;
    if post.status == Status::Published {
        return Ok(post);
    }
    Err(Problem::new(StatusCode::CONFLICT, "not-published", "The post is not published."))
}

/// The post as it stands now, and its author's card; 404 if `viewer` may not know of it.
pub(crate) async fn visible(stores: &Stores, post_id: PostId, viewer: Option<UserId>) -> Result<(Post, ProfileCard), Problem> {
    post_open_to(&stores.users, &stores.posts, viewer, post_id).await
}

/// The post once its status is another one, or as it stands when `patience` ends; `None` if it is deleted meanwhile.
/// What is settled never changes: no need to wait.
async fn changed(posts: &Table, post: Post, patience: Duration) -> Result<Option<Post>, Error> {
    let deadline = Instant::now() + patience;
    let status_when_asked = post.status;
    let mut post = post;
    while post.status == status_when_asked && !post.is_settled() && Instant::now() < deadline {
        sleep(POLL).await;
        match posts::read(posts, post.id).await? {
            Some(now) => post = now,
            None => return Ok(None),
        }
    }
    Ok(Some(post))
}
