//! `GET /home`: what a person sees first, of three functions at once.
//!
//! What one of them does not know in time is missing, and named: the rest is answered all the same.

use std::time::Duration;

use aws_config::SdkConfig;
use axum::{Extension, Json, extract::State, http::HeaderMap};
use lambda_http::{Error, request::RequestContext};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tintype_edge::{Checks, Parameters, Problem, Viewer, responses, source_ip};
use tintype_tables::config;
use tintype_telemetry as telemetry;
use utoipa::{
    IntoParams, ToSchema,
    openapi::{
        ObjectBuilder, Ref, RefOr, Schema,
        schema::{OneOfBuilder, Type},
    },
};

use crate::{
    lambda::Lambda,
    section::{Asker, Part, Section, milliseconds},
};

/// How many notifications and suggestions home shows: what is seen without scrolling. Each has a list of its own.
const FEW: usize = 5;
/// For when nothing could be had: a moment may be enough.
const RETRY_AFTER_SECONDS: u64 = 1;

/// Whom home asks.
#[derive(Debug, Clone)]
pub struct Home {
    lambda: Lambda,
    feed: Section,
    notifications: Section,
    suggestions: Section,
}

impl Home {
    /// The functions that the environment names, with connections to them.
    pub(crate) async fn from_env(aws: &SdkConfig) -> Result<Self, Error> {
        let [feed, notifications, users] = ["FEED_FUNCTION", "NOTIFICATIONS_FUNCTION", "USERS_FUNCTION"].map(config::variable);
        let home = Self::new(Lambda::from_env(aws)?, feed?, notifications?, users?);
        home.lambda.warm().await;
        Ok(home)
    }

    /// The feed is what people come for: it is waited for longest.
    fn new(lambda: Lambda, feed: String, notifications: String, users: String) -> Self {
        let section =
            |name, function, dependency, path, deadline| Section::new(name, function, dependency, path, Duration::from_millis(deadline));
        Self {
            lambda,
            feed: section("feed", feed, "feed_function", "/feed", 800),
            notifications: section("notifications", notifications, "notifications_function", "/notifications/summary", 700),
            suggestions: section("suggestions", users, "users_function", "/users/suggested", 700),
        }
    }
}

/// How much of the feed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct HowMany {
    /// How many posts of the feed at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<usize>,
}

/// What a person sees first.
#[derive(Serialize, ToSchema)]
pub(crate) struct HomeView {
    #[schema(schema_with = feed, required = true)]
    feed: Option<Box<RawValue>>,
    #[schema(schema_with = notifications, required = true)]
    notifications: Option<Box<RawValue>>,
    #[schema(schema_with = suggestions, required = true)]
    suggestions: Option<Box<RawValue>>,
    /// The sections that are missing, or may be up to a minute old, because something that they need can't be reached just now.
    #[schema(example = json!(["suggestions"]))]
    degraded: Vec<&'static str>,
}

/// The first page of the feed, what is new, and whom to follow, in one.
///
/// Each section is what its own route answers. Within a second: what is not known by then is `null`, and named in `degraded`.
#[utoipa::path(
    get,
    path = "/home",
    tag = "feed",
    params(HowMany),
    security(("access_token" = [])),
    responses(
        (status = 200, description = "Whatever of it is known", body = HomeView),
        responses::Authenticated,
        responses::Query,
        (status = 503, description = "`unavailable`: no section is known; `Retry-After` says when to ask again.",
            body = tintype_edge::ProblemBody, content_type = "application/problem+json")
    )
)]
pub(crate) async fn home(
    State(home): State<Home>,
    Viewer(identity): Viewer,
    Parameters(HowMany { limit }): Parameters<HowMany>,
    context: Option<Extension<RequestContext>>,
    headers: HeaderMap,
) -> Result<Json<HomeView>, Problem> {
    let limit = limit.unwrap_or(20);
    let mut checks = Checks::default();
    checks.require((1..=100).contains(&limit), "?limit", "must be from 1 to 100");
    checks.finish()?;
    let context = context.map(|Extension(context)| context);
    let asker = Asker { identity: &identity, headers: &headers, source_ip: source_ip(context.as_ref()) };
    let began = telemetry::elapsed();
    let (feed, notifications, suggestions) = tokio::join!(
        home.feed.ask(&home.lambda, &asker, limit),
        home.notifications.ask(&home.lambda, &asker, FEW),
        home.suggestions.ask(&home.lambda, &asker, FEW),
    );
    let parts = [(&home.feed, &feed), (&home.notifications, &notifications), (&home.suggestions, &suggestions)];
    let degraded: Vec<&str> = parts.iter().filter(|(_, part)| part.is_degraded).map(|(section, _)| section.name).collect();
    let waited = parts.iter().map(|(_, part)| part.waited).max().unwrap_or_default();
    telemetry::field("home.own_ms", milliseconds(telemetry::elapsed().saturating_sub(began + waited)));
    if !degraded.is_empty() {
        telemetry::field("home.degraded", degraded.join(","));
    }
    if parts.iter().all(|(_, part)| part.body.is_none()) {
        return Err(Problem::unavailable("no section answers").retry_after(RETRY_AFTER_SECONDS));
    }
    let body = |part: Part| part.body;
    Ok(Json(HomeView { feed: body(feed), notifications: body(notifications), suggestions: body(suggestions), degraded }))
}

/// What another function's code says of its answer, or nothing.
fn or_null(name: &str, description: &str) -> RefOr<Schema> {
    let null = ObjectBuilder::new().schema_type(Type::Null).build();
    Schema::from(OneOfBuilder::new().item(null).item(Ref::from_schema_name(name)).description(Some(description)).build()).into()
}

fn feed() -> RefOr<Schema> {
    or_null("List_PostView", "The first page of `GET /feed`, whose `next_cursor` goes on there; `null`: missing.")
}

fn notifications() -> RefOr<Schema> {
    or_null("NotificationSummary", "How many notifications are new, and the latest five; `null`: missing.")
}

fn suggestions() -> RefOr<Schema> {
    or_null("List_Suggestion", "The first five of `GET /users/suggested`; `null`: missing.")
}

#[cfg(test)]
pub(crate) mod tests;
