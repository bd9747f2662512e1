//! A comment as it is answered.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde::Serialize;
use tintype_core::{
    CommentId, PostId, Time, UserId,
    comment::Comment,
    name::Username,
    profile::{Author, ProfileCard},
};
use tintype_edge::Problem;
use tintype_tables::{Error, comments};
use tokio::try_join;
use utoipa::ToSchema;

use crate::{
    Stores,
    writing::{self, Findings, Span},
};

/// A comment, or a reply to one.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct CommentView {
    /// Its id.
    id: CommentId,
    /// The post that it is about, also of a reply.
    post_id: PostId,
    /// The comment that it replies to; `null` if it is no reply.
    #[schema(required)]
    parent_id: Option<CommentId>,
    /// Who wrote it.
    author: Author,
    /// What it says.
    text: String,
    /// Usernames found in the text, without `@`, 20 at most; whether such people exist is not said.
    mentions: Vec<Username>,
    /// URLs found in the text.
    links: Vec<String>,
    /// Where in the text mentions and links stand, in order.
    spans: Vec<Span>,
    /// How many like it.
    counts: Counts,
    /// How many replies it has.
    reply_count: u64,
    /// What the caller has done to it; absent if nobody in particular calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    viewer: Option<ViewerMarks>,
    /// When it was written.
    created_at: Time,
}

/// What a comment has of others.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CommentCounts)]
struct Counts {
    /// People who like it.
    likes: u64,
}

/// What the caller has done to a comment.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CommentViewer)]
struct ViewerMarks {
    /// Whether they like it.
    liked: bool,
}

/// The views of `found`, in their order, for `viewer`. The comments of people who are gone are left out: they go, too, in a moment.
pub(crate) async fn views(stores: &Stores, viewer: Option<UserId>, found: Vec<Comment>) -> Result<Vec<CommentView>, Error> {
    let ids: Vec<CommentId> = found.iter().map(|comment| comment.id).collect();
    let liked = async {
        match viewer {
            Some(viewer) => comments::liked_of(&stores.comments, viewer, &ids).await.map(Some),
            None => Ok(None),
        }
    };
    let authors = stores.cards.people(&stores.users, found.iter().map(|comment| comment.author_id), viewer);
    let (authors, liked) = try_join!(authors, liked)?;
    Ok(found.into_iter().filter_map(|comment| view(comment, &authors, liked.as_ref())).collect())
}

/// The view of one comment; 404 if who wrote it is gone.
pub(crate) async fn view_of(stores: &Stores, viewer: Option<UserId>, comment: Comment) -> Result<CommentView, Problem> {
    views(stores, viewer, vec![comment]).await?.pop().ok_or_else(Problem::not_found)
}

fn view(comment: Comment, authors: &HashMap<UserId, Arc<ProfileCard>>, liked: Option<&HashSet<CommentId>>) -> Option<CommentView> {
    let author = (&**authors.get(&comment.author_id)?).into();
    let Comment { id, post_id, parent_id, text, created_at, likes, reply_count, .. } = comment;
    let Findings { mentions, links, spans } = writing::find(&text);
    let counts = Counts { likes };
    let viewer = liked.map(|liked| ViewerMarks { liked: liked.contains(&id) });
    Some(CommentView { id, post_id, parent_id, author, text, mentions, links, spans, counts, reply_count, viewer, created_at })
}
