//! Reads a timeline and fills it with posts.

mod timeline;

use aws_sdk_dynamodb::Client;
use axum::{Json, Router, extract::State, http::HeaderMap};
use lambda_http::Error;
use tintype_auth::Verifier;
use tintype_buckets::PrivateMedia;
use tintype_core::{PostId, Time, post_view::PostView};
use tintype_edge::{List, PageRequest, Parameters, Problem, Viewer, responses};
use tintype_tables::{Table, cards::Cards, config};
use tintype_telemetry as telemetry;
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the function reads.
#[derive(Clone)]
pub struct Tables {
    users: Table,
    posts: Table,
    /// Read for how many comments there are.
    comments: Table,
    feeds: Table,
    /// What is remembered of posts, of their counts, and of people.
    cards: Cards,
    /// Where the photographs of private accounts are.
    media: PrivateMedia,
}

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let aws = config::aws().await;
    let client = Client::new(&aws);
    let tables = Tables {
        users: Table::from_env(&client, "USERS_TABLE")?,
        posts: Table::from_env(&client, "POSTS_TABLE")?,
        comments: Table::from_env(&client, "COMMENTS_TABLE")?,
        feeds: Table::from_env(&client, "FEEDS_TABLE")?,
        cards: Cards::from_env()?,
        media: PrivateMedia::from_env(&aws, "MEDIA_BUCKET")?,
    };
    // The connection is the same for all tables; this is the one that the function may get items of.
    tables.users.warm().await;
    let verifier = Verifier::new(tables.users.clone());
    tintype_edge::serve("feed", router(tables), Some(verifier)).await
}

/// The function's routes.
pub fn router(tables: Tables) -> Router {
    api().split_for_parts().0.with_state(tables)
}

/// What the function's routes say of themselves.
pub fn openapi() -> OpenApi {
    api().into_openapi()
}

fn api() -> OpenApiRouter<Tables> {
    OpenApiRouter::default().routes(routes!(home_timeline))
}

/// The home timeline: posts of the people whom the viewer follows, and the viewer's own, newest first.
///
/// While a table fails it is made of what is remembered, a minute old at most, and `Tintype-Degraded` says what of it is old or missing.
#[utoipa::path(
    get,
    path = "/feed",
    tag = "feed",
    params(PageRequest),
    security(("access_token" = [])),
    responses((status = 200, description = "A page of the timeline", body = List<PostView>), responses::Authenticated, responses::Query)
)]
async fn home_timeline(
    State(tables): State<Tables>,
    Viewer(viewer): Viewer,
    Parameters(page): Parameters<PageRequest>,
) -> Result<(HeaderMap, Json<List<PostView>>), Problem> {
    let page = page.of(format!("feed {}", viewer.user_id), is_entry_key)?;
    let private = tables.media.keyring().await.map_err(Problem::unavailable)?;
    let (posts, next) = timeline::read(&tables, viewer.user_id, page.after.clone(), page.limit, &private).await?;
    telemetry::field("feed.items", posts.len());
    Ok(page.answer("/feed", posts, next))
}

/// `{published_at}#{post}`
fn is_entry_key(key: &str) -> bool {
    key.split_once('#').is_some_and(|(published_at, post)| published_at.parse::<Time>().is_ok() && post.parse::<PostId>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_config::SdkConfig;
    use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
    use axum::{body::Body, http::Request, response::Response};
    use tintype_core::UserId;
    use tintype_tables::{feeds, memory::Life};
    use tower::ServiceExt;

    /// Tables that nobody answers for: what is refused at the edge never asks them.
    fn unreachable_tables() -> Tables {
        let config = aws_sdk_dynamodb::Config::builder().behavior_version_latest().build();
        let table = Table { client: Client::from_conf(config), name: "none".to_owned() };
        let credentials = Credentials::new("an-access-key", "a-secret-key", None, None, "test");
        let aws = SdkConfig::builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build();
        Tables {
            users: table.clone(),
            posts: table.clone(),
            comments: table.clone(),
            feeds: table,
            cards: Cards::lasting(Life::default()),
            media: PrivateMedia::new(&aws, "none"),
        }
    }

    async fn answer(event: &str) -> Response {
        let path = format!("{}/../../events/feed/{event}.json", env!("CARGO_MANIFEST_DIR"));
        let request = lambda_http::request::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let (mut parts, _) = request.into_parts();
        parts.uri = parts.uri.to_string().replace("/v1/", "/").parse().unwrap();
        let request = Request::from_parts(parts, Body::empty());
        tintype_edge::service(router(unreachable_tables()), None).oneshot(request).await.unwrap()
    }

    #[test]
    fn a_cursor_holds_the_key_of_an_entry_and_nothing_else() {
        let key = feeds::key(UserId::new(), PostId::new(), Time::now()).sk;
        assert!(is_entry_key(&key));
        for made_up in ["", "#", "x", "x#x", &key[1..], &format!("{key}x"), &"x".repeat(2000)] {
            assert!(!is_entry_key(made_up), "{made_up}");
        }
    }

    #[tokio::test]
    async fn a_limit_that_makes_no_sense_is_refused() {
        assert_eq!(answer("bad-limit").await.status(), 422);
    }

    #[tokio::test]
    async fn without_a_region_and_tables_the_feed_says_that_it_is_unavailable() {
        assert_eq!(answer("get-feed").await.status(), 503);
    }
}
