//! `POST /posts/{post_id}/comments`.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use tintype_core::{CommentId, PostId, Time, UserId, comment::Comment, post::Status};
use tintype_edge::{Checks, Creation, IdempotencyKey, Made, PathId, Problem, ProblemBody, REPLAYED, Viewer, responses};
use tintype_tables::comments;
use tintype_telemetry as telemetry;
use utoipa::ToSchema;

use crate::{
    Stores,
    sight::{self, Stage},
    view::{CommentView, view_of},
    writing,
};

/// A comment to be written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewComment {
    /// 1 to 2200 characters, counted in graphemes; `@mentions` and links in it are found.
    #[schema(min_length = 1, max_length = 2200, example = "What a light, @bob!")]
    text: String,
    /// The comment that it replies to. Replies are one level deep: a reply to a reply names the comment that both are under.
    parent_id: Option<CommentId>,
}

/// Comments on a post, or replies to a comment on it.
///
/// With an `Idempotency-Key` a request can be sent again without commenting twice.
#[utoipa::path(
    post,
    path = "/posts/{post_id}/comments",
    tag = "comments",
    security(("access_token" = [])),
    params(("post_id" = PostId, Path, description = "The post"), IdempotencyKey),
    request_body = NewComment,
    responses(
        (status = 201, description = "The comment", body = CommentView, headers(
            ("Location" = String, description = "The comment"),
            ("Idempotent-Replayed" = Option<bool>, description = "`true`: it was written before, by the same request"),
        )),
        (status = 403, description = "`comments-disabled`: the post takes no comments", body = ProblemBody, content_type = "application/problem+json"),
        (
            status = 404, description = "`not-found`: the post, or the comment that this request has written and that is deleted",
            body = ProblemBody, content_type = "application/problem+json",
        ),
        (
            status = 409, description = "`not-published`: the post is there for its author alone; `idempotency-in-progress`: the same \
            request is being worked on just now; `Retry-After` says when to ask again", body = ProblemBody,
            content_type = "application/problem+json",
        ),
        responses::Authenticated,
        responses::Creation,
    )
)]
pub(crate) async fn create_comment(
    State(stores): State<Stores>,
    Viewer(viewer): Viewer,
    PathId(post_id): PathId<PostId>,
    Creation(request, once): Creation<NewComment>,
) -> Result<Response, Problem> {
    let comment = request.into_comment(post_id, viewer.user_id, Time::now())?;
    let made = once.make(viewer.user_id, comment.id, StatusCode::CREATED, |id| make(&stores, under(id, comment))).await?;
    let (comment, replayed) = match made {
        Made::Now(Making::Created(comment)) => (comment, None),
        Made::Now(Making::Found(id)) | Made::Before { id, .. } => {
            (sight::comment(&stores, id, Some(viewer.user_id)).await?.0, Some([REPLAYED]))
        }
    };
    telemetry::field("comment.id", comment.id.to_string());
    let location = format!("/v1/comments/{}", comment.id);
    let view = view_of(&stores, Some(viewer.user_id), comment).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], replayed, Json(view)).into_response())
}

/// The comment under the id that it must have: after a run that was cut off it stands where that run would have put it, and says so.
fn under(id: CommentId, comment: Comment) -> Comment {
    Comment { id, created_at: id.made_at().unwrap_or(comment.created_at), ..comment }
}

/// What has become of a comment that was to be written.
enum Making {
    Created(Comment),
    /// A run that was cut off has written it. What it is by now, deleted perhaps, is asked once the claim says that it is made.
    Found(CommentId),
}

async fn make(stores: &Stores, comment: Comment) -> Result<Making, Problem> {
    let id = comment.id;
    let problem = match try_to_make(stores, comment).await {
        Err(problem) if problem.status.is_client_error() => problem,
        result => return result,
    };
    // What a run that was cut off has written might not be allowed any more. It is written all the same, and its key is not free.
    if comments::is_known(&stores.comments, id).await? { Ok(Making::Found(id)) } else { Err(problem) }
}

async fn try_to_make(stores: &Stores, comment: Comment) -> Result<Making, Problem> {
    permit(stores, &comment).await?;
    match comments::create(&stores.comments, &comment, Time::now()).await? {
        comments::Creation::Created => Ok(Making::Created(comment)),
        comments::Creation::Known => Ok(Making::Found(comment.id)),
        comments::Creation::NoParent => Err(no_such_parent()),
    }
}

/// Whether the comment's author may write it. That the post goes at the same moment can't be excluded, and need not be: its comments
/// are removed when nobody can be at it any more (`CommentsQueue` in the template).
async fn permit(stores: &Stores, comment: &Comment) -> Result<(), Problem> {
    let stage = Stage::of(stores, comment.post_id, Some(comment.author_id)).await?;
    if stage.post.status != Status::Published {
        return Err(Problem::conflict("not-published", "The post is not published: only its author sees it."));
    }
    if !stage.post.comments_enabled {
        return Err(Problem::forbidden("comments-disabled", "The post takes no comments."));
    }
    let Some(parent) = comment.parent_id else { return Ok(()) };
    let parent = comments::find(&stores.comments, parent).await?.filter(|parent| stage.shows(parent));
    let is_good = parent.is_some_and(|parent| parent.parent.is_none() && parent.comment.post_id == comment.post_id);
    if is_good { Ok(()) } else { Err(no_such_parent()) }
}

/// One answer for all: it tells nobody of a comment that they may not see.
fn no_such_parent() -> Problem {
    let mut checks = Checks::default();
    checks.reject("/parent_id", "must be a comment on this post, and not a reply");
    checks.into_problem()
}

impl NewComment {
    /// The comment, or what is wrong with it.
    fn into_comment(self, post_id: PostId, author_id: UserId, now: Time) -> Result<Comment, Problem> {
        let mut checks = Checks::default();
        let text = writing::check(&self.text, &mut checks);
        checks.finish()?;
        let mentions = writing::find(&text).mentions;
        let (id, parent_id) = (CommentId::new(), self.parent_id);
        Ok(Comment { id, post_id, parent_id, author_id, text, mentions, created_at: now, likes: 0, reply_count: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_under_the_id_of_an_earlier_run_was_written_when_its_place_in_the_list_says() {
        let now = Time::now();
        let new = NewComment { text: "again".to_owned(), parent_id: None };
        let comment = new.into_comment(PostId::new(), UserId::new(), now).unwrap();
        let id: CommentId = "019aa119-de00-7000-8000-0000000000c1".parse().unwrap();
        let made = under(id, comment.clone());
        let earlier = id.made_at().unwrap();
        assert!(earlier != now);
        assert_eq!(made, Comment { id, created_at: earlier, ..comment });
    }
}
