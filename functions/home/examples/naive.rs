//! Home as one writes it first, to measure ours against: one thing after the other, each item by itself, nothing remembered.
//!
//!     naive PORT
//!
//! A server of its own, which `tests/bench/home.sh` starts with the environment of a running host. No gateway stands before it, no worker
//! waits for its events, and it fills the feed without asking another function: whatever that saves counts in its favour.

#[allow(dead_code, reason = "only what the measured design shares with home")]
#[path = "../src/lambda.rs"]
mod lambda;
#[allow(dead_code, reason = "only what the measured design shares with home")]
#[path = "../src/section.rs"]
mod section;

use std::{env, time::Duration};

use aws_sdk_dynamodb::Client;
use axum::{
    Json, Router,
    extract::{Request, State},
    http::HeaderMap,
    routing::get,
};
use lambda_http::{Error, tower::ServiceExt};
use serde_json::{Value, json};
use tintype_auth::Verifier;
use tintype_buckets::{Keyring, PrivateMedia};
use tintype_core::{
    Time, UserId,
    post::Status,
    post_view::{PostCounts, PostView, Reception},
};
use tintype_edge::{Problem, Viewer};
use tintype_tables::{
    Page, Table, comments, config,
    feeds::{self, Entry},
    posts::{self, Record, marks},
    table::Query,
    users, visibility,
};
use tintype_telemetry::{self as telemetry, Outcome, Work};
use tokio::net::TcpListener;

use crate::{
    lambda::Lambda,
    section::{Asker, Section},
};

const PAGE: usize = 20;
/// Nobody gives up.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone)]
struct Naive {
    lambda: Lambda,
    notifications: Section,
    suggestions: Section,
    users: Table,
    posts: Table,
    comments: Table,
    feeds: Table,
    media: PrivateMedia,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let port: u16 = env::args().nth(1).ok_or("which port?")?.parse()?;
    let aws = config::aws().await;
    let client = Client::new(&aws);
    let section = |name, variable, path| Ok::<_, Error>(Section::new(name, config::variable(variable)?, variable, path, PATIENCE));
    let naive = Naive {
        lambda: Lambda::from_env(&aws)?,
        notifications: section("notifications", "NOTIFICATIONS_FUNCTION", "/notifications/summary")?,
        suggestions: section("suggestions", "USERS_FUNCTION", "/users/suggested")?,
        users: Table::from_env(&client, "USERS_TABLE")?,
        posts: Table::from_env(&client, "POSTS_TABLE")?,
        comments: Table::from_env(&client, "COMMENTS_TABLE")?,
        feeds: Table::from_env(&client, "FEEDS_TABLE")?,
        media: PrivateMedia::from_env(&aws, "MEDIA_BUCKET")?,
    };
    let verifier = Verifier::new(naive.users.clone());
    let router = tintype_edge::service(Router::new().route("/home", get(home)).with_state(naive), Some(verifier));
    let observed = Router::new().fallback(move |request: Request| {
        let work = Work { service: "naive", operation: "GET /home".to_owned(), request_id: "naive".to_owned(), trace_id: String::new() };
        let answer = router.clone().oneshot(request);
        telemetry::observe(work, async move { answer.await.unwrap_or_else(|never| match never {}) }, |answer| {
            if answer.status().is_success() { Outcome::Ok } else { Outcome::Failed }
        })
    });
    Ok(axum::serve(TcpListener::bind(("127.0.0.1", port)).await?, observed).await?)
}

async fn home(State(naive): State<Naive>, Viewer(identity): Viewer, headers: HeaderMap) -> Result<Json<Value>, Problem> {
    let private = naive.media.keyring().await.map_err(Problem::unavailable)?;
    let items = feed(&naive, identity.user_id, &private).await?;
    let asker = Asker { identity: &identity, headers: &headers, source_ip: None };
    let notifications = naive.notifications.ask(&naive.lambda, &asker, 5).await.body;
    let suggestions = naive.suggestions.ask(&naive.lambda, &asker, 5).await.body;
    Ok(Json(json!({"feed": {"items": items}, "notifications": notifications, "suggestions": suggestions, "degraded": []})))
}

async fn feed(naive: &Naive, viewer: UserId, private: &Keyring<'_>) -> Result<Vec<PostView>, tintype_tables::Error> {
    let Naive { users, posts, comments, feeds, .. } = naive;
    let query = Query { pk: feeds::timeline(viewer), prefix: None, after: None, descending: true, consistent: false, limit: PAGE };
    let entries: Page<Entry> = feeds.query(query).await?;
    let fences = visibility::fences_of(users, viewer).await?;
    let mut views = Vec::new();
    for entry in entries.items.iter().filter(|entry| !fences.contains(&entry.author_id)) {
        let Some(id) = entry.post_id() else { continue };
        let Some(Record { post, deleted_at: None, .. }) = posts.get::<Record>(&posts::key(id), false).await? else { continue };
        let Some(author) = users::card(users, entry.author_id).await?.filter(|_| post.status == Status::Published) else { continue };
        let likes = marks::likes(posts, &[id], false).await?.get(&id).copied().unwrap_or_default();
        let comments = comments::numbers(comments, &[id], false).await?.get(&id).copied().unwrap_or_default();
        let viewer = marks::on_page(posts, viewer, &[id], Time::now()).await?.marks.get(&id).copied().unwrap_or_default();
        let reception = Reception { counts: PostCounts::of_sums(likes, comments), viewer: Some(viewer) };
        views.push(PostView::new(&post, &author, reception, private));
    }
    Ok(views)
}
