//! `GET /notifications`

use axum::{Json, extract::State, http::HeaderMap};
use serde::Serialize;
use tintype_buckets::Keyring;
use tintype_core::{
    CommentId, NotificationId, PostId, Time, UserId,
    notification::{Inbox, Kind, Note, Subject},
    post_view,
    profile::Author,
};
use tintype_edge::{List, PageRequest, Parameters, Problem, Viewer, responses};
use tintype_tables::{Error, notifications, users};
use tintype_telemetry as telemetry;
use tokio::try_join;
use utoipa::ToSchema;

use crate::{
    Stores,
    sight::{Shown, Sight},
};

/// Most actors that are named.
const NAMED: usize = 3;
/// Someone of whose notifications hundreds are gone at once gets a short page, not a slow one.
const MOST_ROUNDS: usize = 5;
/// How many that are about what is gone one request removes, one after the other; the rest are not shown, and wait for the next.
const MOST_REMOVED: usize = 25;

/// Something that somebody is told.
#[derive(Serialize, ToSchema)]
pub(crate) struct NotificationView {
    /// Its id, which it keeps when it grows.
    id: NotificationId,
    /// What happened.
    kind: Kind,
    /// Who did it, the latest first, three at most; nobody where it happened by itself.
    #[schema(max_items = 3)]
    actors: Vec<Author>,
    /// How many did it.
    actor_count: u64,
    /// The post that it is about, or under which the comment stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    post: Option<PostReference>,
    /// The comment that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<CommentReference>,
    /// The person has read it since it last grew.
    read: bool,
    /// When it last grew: its place in the list.
    updated_at: Time,
}

/// A post, as far as a notification shows it.
#[derive(Serialize, ToSchema)]
pub(crate) struct PostReference {
    id: PostId,
    /// Its first photo as a square of 150 pixels; absent if it has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    thumb: Option<String>,
}

/// A comment, as far as a notification shows it.
#[derive(Serialize, ToSchema)]
pub(crate) struct CommentReference {
    id: CommentId,
    /// How it begins: a hundred characters on one line.
    excerpt: String,
}

/// What the viewer was told in the last 90 days, newest first.
///
/// Likes of one post, likes of one comment and follows are one notification a day (UTC), which moves up when it grows.
#[utoipa::path(
    get,
    path = "/notifications",
    tag = "notifications",
    params(PageRequest),
    security(("access_token" = [])),
    responses(
        (status = 200, description = "A page of the notifications", body = List<NotificationView>),
        responses::Authenticated,
        responses::Query,
    )
)]
pub(crate) async fn list(
    State(stores): State<Stores>,
    Viewer(viewer): Viewer,
    Parameters(page): Parameters<PageRequest>,
) -> Result<(HeaderMap, Json<List<NotificationView>>), Problem> {
    let viewer = viewer.user_id;
    let page = page.of(format!("notifications {viewer}"), notifications::is_place)?;
    let private = stores.media.keyring().await.map_err(Problem::unavailable)?;
    let Read { views, next, .. } = read(&stores, viewer, page.after.clone(), page.limit, &private).await?;
    telemetry::field("notifications.items", views.len());
    Ok(page.answer("/notifications", views, next))
}

/// A page that was read.
pub(crate) struct Read {
    pub(crate) views: Vec<NotificationView>,
    pub(crate) next: Option<String>,
    /// Once what is gone is removed, as far as this page has met it.
    pub(crate) inbox: Inbox,
}

pub(crate) async fn read(
    stores: &Stores,
    viewer: UserId,
    after: Option<String>,
    limit: usize,
    private: &Keyring<'_>,
) -> Result<Read, Error> {
    let table = &stores.notifications;
    let (mut inbox, mut page) = try_join!(notifications::state(table, viewer), notifications::page(table, viewer, after, limit))?;
    let mut views = Vec::with_capacity(limit);
    let mut removed = 0;
    for round in 1.. {
        let now = Time::now().as_seconds();
        // DynamoDB removes what has expired some days late.
        page.items.retain(|note| note.expires_at > now);
        let sight = Sight::of(stores, viewer, &page.items).await?;
        for note in &page.items {
            match sight.of_note(note) {
                Shown::As(actors, uncounted) => views.push(view(note, &actors, uncounted, &sight, &inbox, private)),
                Shown::NoMore if removed < MOST_REMOVED => {
                    remove(stores, viewer, note).await;
                    removed += 1;
                }
                Shown::NotNow | Shown::NoMore => {}
            }
        }
        if views.len() >= limit || page.next.is_none() || round >= MOST_ROUNDS {
            break;
        }
        page = notifications::page(table, viewer, page.next, limit - views.len()).await?;
    }
    if removed > 0 {
        inbox = notifications::state(table, viewer).await?;
    }
    Ok(Read { views, next: page.next, inbox })
}

fn view(note: &Note, actors: &[Author], uncounted: usize, sight: &Sight, inbox: &Inbox, private: &Keyring<'_>) -> NotificationView {
    let post = note.post_id.and_then(|post_id| sight.posts.get(&post_id));
    let comment = note.comment_id.zip(note.excerpt.clone());
    NotificationView {
        id: note.id,
        kind: note.kind,
        actors: actors.iter().take(NAMED).cloned().collect(),
        actor_count: note.actor_count.saturating_sub(uncounted as u64),
        post: post.map(|post| PostReference { id: post.id, thumb: post_view::thumb_url(post, private) }),
        comment: comment.map(|(id, excerpt)| CommentReference { id, excerpt }),
        read: !inbox.is_unread(note.updated_at),
        updated_at: note.updated_at,
    }
}

/// Removes what is about something that is gone, and that the notifier has not come to yet, or has missed because its index was late:
/// nobody should be told that there is something new and find nothing. Whether it works matters to nobody now: the next read meets it again.
pub(crate) async fn remove(stores: &Stores, viewer: UserId, note: &Note) {
    let removed = match (note.kind, note.actors.first()) {
        (Kind::FollowRequest, Some(actor)) => remove_request(stores, viewer, *actor).await,
        _ => notifications::drop_note(&stores.notifications, viewer, note).await,
    };
    telemetry::count("notifications.removed", 1);
    if let Err(error) = removed {
        telemetry::field("error", error.to_string());
    }
}

/// Whoever asks again is a new request: its cause goes as well. They may have asked since the page was looked at, and have found that cause.
async fn remove_request(stores: &Stores, viewer: UserId, actor: UserId) -> Result<(), Error> {
    if users::is_requested(&stores.users, actor, viewer).await? {
        return Ok(());
    }
    let cause = notifications::cause(Kind::FollowRequest, Some(actor), &Subject::Person);
    notifications::take_back(&stores.notifications, viewer, &[cause]).await
}
