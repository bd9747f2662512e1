//! `template.yaml` at the root of the repository.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::json;

use super::{ENDPOINT, machine};
use crate::{
    deployment::{Deployment, Function, Schedule, Trigger},
    intrinsics::{Call, call},
    read,
    yaml::{self, Node, Value},
};

const TEMPLATE: &str = include_str!("../../../../template.yaml");

fn deployment() -> Deployment {
    let parameters = BTreeMap::from([("AwsEndpointUrl".to_owned(), ENDPOINT.to_owned())]);
    read(TEMPLATE, &parameters, &machine()).unwrap_or_else(|error| panic!("{error}"))
}

fn function(deployment: &Deployment, binary: &str) -> Function {
    deployment.functions.iter().find(|function| function.binary == binary).unwrap().clone()
}

fn get<'t>(node: &'t Node, key: &str) -> Option<&'t Node> {
    match &node.value {
        Value::Map(entries) => entries.iter().find(|(known, _)| known == key).map(|(_, node)| node),
        _ => None,
    }
}

/// The resources of a type as they are written: logical id and node.
fn written<'t>(template: &'t Node, resource_type: &str) -> Vec<(&'t str, &'t Node)> {
    let resources = get(template, "Resources").unwrap().entries().unwrap();
    let of_type = resources.iter().filter(|(_, node)| get(node, "Type").unwrap().name().unwrap() == resource_type);
    of_type.map(|(logical_id, node)| (logical_id.as_str(), node)).collect()
}

/// Calls `visit` on `node` and all that is in it.
fn walk<'t>(node: &'t Node, visit: &mut impl FnMut(&'t Node)) {
    visit(node);
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| walk(item, visit)),
        Value::Map(entries) => entries.iter().for_each(|(_, value)| walk(value, visit)),
        Value::Tagged(_, argument) => walk(argument, visit),
        _ => {}
    }
}

#[test]
fn every_function_is_there_with_its_environment() {
    let deployment = deployment();
    let users = ("USERS_TABLE", "tintype-UsersTable");
    let posts = ("POSTS_TABLE", "tintype-PostsTable");
    let comments = ("COMMENTS_TABLE", "tintype-CommentsTable");
    let feeds = ("FEEDS_TABLE", "tintype-FeedsTable");
    let notifications = ("NOTIFICATIONS_TABLE", "tintype-NotificationsTable");
    let uploads = ("UPLOADS_BUCKET", "tintype-uploads-000000000000-us-east-1");
    let media = ("MEDIA_BUCKET", "tintype-media-000000000000-us-east-1");
    let secret = ("TOKEN_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:000000000000:secret:tintype-TokenSecret-000000");
    let queue = ("FEED_FANOUT_QUEUE_URL", "http://127.0.0.1:4566/000000000000/tintype-FeedFanoutQueue");
    let queue_dlq = ("FEED_FANOUT_DLQ_URL", "http://127.0.0.1:4566/000000000000/tintype-FeedFanoutDlq");
    let router_dlq = ("EVENT_ROUTER_DLQ_URL", "http://127.0.0.1:4566/000000000000/tintype-EventRouterDlq");
    let users_queue = ("USERS_QUEUE_URL", "http://127.0.0.1:4566/000000000000/tintype-UsersQueue");
    let comments_queue = ("COMMENTS_QUEUE_URL", "http://127.0.0.1:4566/000000000000/tintype-CommentsQueue");
    let comments_dlq = ("COMMENTS_DLQ_URL", "http://127.0.0.1:4566/000000000000/tintype-CommentsDlq");
    let notification_queue = ("NOTIFICATION_QUEUE_URL", "http://127.0.0.1:4566/000000000000/tintype-NotificationQueue");
    let notification_dlq = ("NOTIFICATION_DLQ_URL", "http://127.0.0.1:4566/000000000000/tintype-NotificationDlq");
    let users_dlq = ("USERS_DLQ_URL", "http://127.0.0.1:4566/000000000000/tintype-UsersDlq");
    let posts_queue = ("POSTS_QUEUE_URL", "http://127.0.0.1:4566/000000000000/tintype-PostsQueue");
    let posts_dlq = ("POSTS_DLQ_URL", "http://127.0.0.1:4566/000000000000/tintype-PostsDlq");
    let exports = ("EXPORTS_BUCKET", "tintype-exports-000000000000-us-east-1");
    let feed_function = ("FEED_FUNCTION", "tintype-feed");
    let notifications_function = ("NOTIFICATIONS_FUNCTION", "tintype-notifications");
    let users_function = ("USERS_FUNCTION", "tintype-users");
    let edge = ("EDGE_TABLE", "tintype-EdgeTable");
    let origin = "{{resolve:secretsmanager:arn:aws:secretsmanager:us-east-1:000000000000:secret:tintype-OriginSecret-000000}}";
    let origin = ("ORIGIN_SECRET", origin);
    // What is counted of whoever calls.
    let limited = |others: Vec<_>| {
        let limits = [("USER_READS_PER_MINUTE", "600"), ("USER_WRITES_PER_MINUTE", "120"), ("UPLOADS_PER_HOUR", "60")];
        [others, limits.to_vec(), vec![("SIGN_INS_PER_MINUTE", "20"), edge, origin]].concat()
    };
    let expected = [
        ("authorizer", 10, vec![users, edge, origin]),
        ("users", 10, limited(vec![users, posts, uploads, media, exports, secret])),
        ("posts", 15, limited(vec![users, posts, comments, uploads, media])),
        (
            "users-worker",
            60,
            vec![users, posts, comments, edge, uploads, media, exports, queue, comments_queue, notification_queue, posts_queue, users_dlq],
        ),
        ("posts-worker", 120, vec![users, posts, uploads, media, users_queue, posts_dlq]),
        ("photo-processor", 60, vec![users, posts, uploads, media, users_queue]),
        ("janitor", 50, vec![users, posts, uploads, media, users_queue]),
        ("event-router", 30, vec![comments_queue, queue, notification_queue, posts_queue, users_queue, router_dlq]),
        ("feed-fanout", 60, vec![users, posts, feeds, users_queue, queue_dlq]),
        ("notifications", 10, limited(vec![users, posts, comments, notifications, media])),
        ("notifier", 30, vec![users, posts, comments, notifications, users_queue, notification_dlq]),
        ("feed", 10, limited(vec![users, posts, comments, feeds, media])),
        ("comments", 10, limited(vec![users, posts, comments])),
        ("comments-worker", 60, vec![posts, comments, users_queue, comments_dlq]),
        ("home", 10, limited(vec![feed_function, notifications_function, users_function])),
    ];
    assert_eq!(deployment.functions.len(), expected.len());
    for (binary, timeout, environment) in expected {
        let function = function(&deployment, binary);
        assert_eq!(function.name, format!("tintype-{binary}"));
        assert_eq!(function.arn, format!("arn:aws:lambda:us-east-1:000000000000:function:tintype-{binary}"));
        assert_eq!(function.timeout, Duration::from_secs(timeout), "{binary}");
        let environment: BTreeMap<_, _> =
            environment.into_iter().chain([("AWS_ENDPOINT_URL", ENDPOINT), ("CARD_SECONDS", "10"), ("LOOPBACK_LEEWAY", "100")]).collect();
        let given: BTreeMap<_, _> = function.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(given, environment, "{binary}");
    }
}

#[test]
fn functions_on_aws_are_told_no_endpoint_and_give_no_address_leeway() {
    // This machine has no distribution that could be named.
    let template = TEMPLATE.replace("!Ref Distribution]", "none]");
    let deployment = read(&template, &BTreeMap::new(), &machine()).unwrap();
    for name in ["AWS_ENDPOINT_URL", "LOOPBACK_LEEWAY"] {
        assert!(deployment.functions.iter().all(|function| !function.environment.contains_key(name)), "{name}");
    }
}

#[test]
fn every_route_is_there_and_asks_the_authorizer_where_it_must() {
    let deployment = deployment();
    let expected = [
        ("users", "POST /accounts", false),
        ("users", "POST /sessions", false),
        ("users", "POST /sessions/refresh", false),
        ("users", "GET /sessions", true),
        ("users", "DELETE /sessions/{session_id}", true),
        ("users", "GET /me", true),
        ("users", "PATCH /me", true),
        ("users", "DELETE /me", true),
        ("users", "GET /deletions/{deletion_id}", false),
        ("users", "PUT /me/password", true),
        ("users", "PUT /me/avatar", true),
        ("users", "DELETE /me/avatar", true),
        ("users", "POST /me/totp", true),
        ("users", "PUT /me/totp", true),
        ("users", "DELETE /me/totp", true),
        ("users", "POST /me/export", true),
        ("users", "GET /me/export/{export_id}", true),
        ("users", "GET /me/follow-requests", true),
        ("users", "PUT /me/follow-requests/{username}", true),
        ("users", "DELETE /me/follow-requests/{username}", true),
        ("users", "GET /me/blocks", true),
        ("users", "GET /me/mutes", true),
        ("users", "GET /users/suggested", true),
        ("users", "PUT /users/{username}/block", true),
        ("users", "DELETE /users/{username}/block", true),
        ("users", "PUT /users/{username}/mute", true),
        ("users", "DELETE /users/{username}/mute", true),
        ("users", "GET /users/{username}", false),
        ("users", "PUT /users/{username}/follow", true),
        ("users", "DELETE /users/{username}/follow", true),
        ("users", "GET /users/{username}/followers", false),
        ("users", "GET /users/{username}/following", false),
        ("users", "GET /.well-known/jwks.json", false),
        ("posts", "POST /posts", true),
        ("posts", "GET /posts/{post_id}", false),
        ("posts", "PATCH /posts/{post_id}", true),
        ("posts", "DELETE /posts/{post_id}", true),
        ("posts", "PUT /posts/{post_id}/like", true),
        ("posts", "DELETE /posts/{post_id}/like", true),
        ("posts", "GET /posts/{post_id}/likes", true),
        ("posts", "PUT /posts/{post_id}/save", true),
        ("posts", "DELETE /posts/{post_id}/save", true),
        ("posts", "GET /me/saved", true),
        ("posts", "GET /me/posts", true),
        ("posts", "GET /users/{username}/posts", false),
        ("comments", "POST /posts/{post_id}/comments", true),
        ("comments", "GET /posts/{post_id}/comments", false),
        ("comments", "GET /comments/{comment_id}", false),
        ("comments", "DELETE /comments/{comment_id}", true),
        ("comments", "GET /comments/{comment_id}/replies", false),
        ("comments", "PUT /comments/{comment_id}/like", true),
        ("comments", "DELETE /comments/{comment_id}/like", true),
        ("feed", "GET /feed", true),
        ("notifications", "GET /notifications", true),
        ("notifications", "GET /notifications/unread-count", true),
        ("notifications", "PUT /notifications/read", true),
        ("home", "GET /home", true),
        ("home", "GET /health", false),
        ("home", "GET /openapi.json", false),
        ("home", "ANY /{proxy+}", false),
    ];
    let expected: BTreeSet<_> =
        expected.iter().map(|(function, route, authorized)| (format!("tintype-{function}"), (*route).to_owned(), *authorized)).collect();
    let routes = deployment.api.routes.iter();
    let routes: BTreeSet<_> =
        routes.map(|route| (route.function.clone(), format!("{} {}", route.method, route.path), route.authorized)).collect();
    assert_eq!(routes, expected);
}

#[test]
fn the_api_is_as_the_gateway_needs_it() {
    let api = deployment().api;
    assert_eq!((api.id.as_str(), api.stage.as_str()), ("tintypeapi", "v1"));
    let authorizer = api.authorizer.unwrap();
    assert_eq!(authorizer.name, "SessionAuthorizer");
    assert_eq!(authorizer.function, "tintype-authorizer");
    assert_eq!(authorizer.identity_headers, ["Authorization"]);
    assert_eq!(authorizer.ttl, Duration::from_secs(30));
    assert!(api.throttle.is_some());
    let throttled: Vec<_> = api.method_throttles.iter().map(|it| (it.method.as_str(), it.path.as_str())).collect();
    assert_eq!(throttled, [("POST", "/accounts"), ("POST", "/sessions")]);
}

/// A page of any origin may call the API with the headers that it needs; no browser adds anything by itself that gives access.
#[test]
fn preflights_are_answered_without_the_authorizer() {
    let cors = deployment().api.cors.unwrap();
    assert_eq!((cors.allow_origin.as_str(), cors.authorized), ("*", false));
    let headers: BTreeSet<_> = cors.allow_headers.as_deref().unwrap().split(',').collect();
    assert!(headers.is_superset(&BTreeSet::from(["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match"])), "{headers:?}");
}

#[test]
fn every_answer_of_the_gateway_is_a_problem_that_says_its_status() {
    let responses = deployment().api.responses;
    let expected = [
        ("UNAUTHORIZED", 401, "unauthorized"),
        ("EXPIRED_TOKEN", 401, "unauthorized"),
        ("ACCESS_DENIED", 403, "forbidden"),
        ("WAF_FILTERED", 403, "forbidden"),
        ("MISSING_AUTHENTICATION_TOKEN", 404, "not-found"),
        ("INVALID_SIGNATURE", 404, "not-found"),
        ("RESOURCE_NOT_FOUND", 404, "not-found"),
        ("REQUEST_TOO_LARGE", 413, "payload-too-large"),
        ("UNSUPPORTED_MEDIA_TYPE", 415, "unsupported-media-type"),
        ("THROTTLED", 429, "quota-exceeded"),
        ("QUOTA_EXCEEDED", 429, "quota-exceeded"),
        ("AUTHORIZER_FAILURE", 503, "unavailable"),
        ("INTEGRATION_FAILURE", 503, "unavailable"),
        ("INTEGRATION_TIMEOUT", 504, "timeout"),
        ("DEFAULT_4XX", 400, "malformed-request"),
        ("DEFAULT_5XX", 500, "internal"),
    ];
    assert_eq!(responses.len(), expected.len());
    for (kind, status, code) in expected {
        let response = &responses[kind];
        assert_eq!(response.status, Some(status), "{kind}");
        assert_eq!(response.headers["Content-Type"], "application/problem+json", "{kind}");
        assert_eq!(response.headers.contains_key("WWW-Authenticate"), status == 401, "{kind}");
        assert_eq!(response.headers["Access-Control-Allow-Origin"], "*", "{kind}");
        assert_eq!(response.headers["Cache-Control"], "no-store", "{kind}");
        assert_eq!(response.headers["X-Content-Type-Options"], "nosniff", "{kind}");
        for name in ["Strict-Transport-Security", "Referrer-Policy", "Cross-Origin-Resource-Policy", "Content-Security-Policy"] {
            assert!(response.headers.contains_key(name), "{name} of {kind}");
        }
        let exposed = response.headers.get("Access-Control-Expose-Headers").map(String::as_str);
        assert_eq!(exposed, response.headers.get("Retry-After").map(|_| "Retry-After"), "{kind}");
        let body: serde_json::Value = serde_json::from_str(&response.templates["application/json"]).unwrap();
        let mut fields: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["code", "detail", "request_id", "status", "title", "type"], "{kind}");
        assert_eq!((&body["status"], &body["code"]), (&json!(status), &json!(code)), "{kind}");
        assert_eq!(body["request_id"], "$context.requestId", "{kind}");
    }
}

#[test]
fn the_access_log_is_json() {
    let format = deployment().api.access_log.unwrap();
    let format: serde_json::Value = serde_json::from_str(&format).unwrap();
    assert_eq!(format["request_id"], "$context.requestId");
}

#[test]
fn tables_are_made_as_the_template_says() {
    let deployment = deployment();
    let table = |name: &str| deployment.tables.iter().find(|table| table.name == name).unwrap();
    let stream = json!({"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"});
    let key = json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]);
    for (name, stream) in [
        ("tintype-UsersTable", Some(&stream)),
        ("tintype-PostsTable", Some(&stream)),
        ("tintype-CommentsTable", Some(&stream)),
        ("tintype-FeedsTable", None),
        ("tintype-NotificationsTable", None),
        ("tintype-EdgeTable", None),
    ] {
        let table = table(name);
        assert_eq!(table.create["TableName"], name);
        assert_eq!(table.create["BillingMode"], "PAY_PER_REQUEST");
        assert_eq!(table.create["KeySchema"], key);
        assert_eq!(table.create.get("StreamSpecification"), stream, "{name}");
        assert_eq!(table.ttl_attribute.as_deref(), Some("expires_at"));
    }
    let indexes = [
        ("tintype-UsersTable", vec![("ByDeadline", "unfinished", "deadline")]),
        ("tintype-PostsTable", vec![("ByMark", "marked", "marked_at"), ("ByDeadline", "unfinished", "deadline")]),
        ("tintype-CommentsTable", vec![("ByAuthor", "author_id", "sk"), ("ByMark", "marked", "marked_at")]),
        ("tintype-NotificationsTable", vec![("ByActor", "actor_id", "pk"), ("ByPost", "post_id", "about")]),
    ];
    for (name, indexes) in indexes {
        let index = |(name, hash, range): &(&str, &str, &str)| {
            json!({
                "IndexName": name,
                "KeySchema": [{"AttributeName": hash, "KeyType": "HASH"}, {"AttributeName": range, "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            })
        };
        assert_eq!(table(name).create["GlobalSecondaryIndexes"], indexes.iter().map(index).collect::<serde_json::Value>(), "{name}");
    }
    assert_eq!(deployment.tables.len(), 6);
}

#[test]
fn every_queue_that_is_read_by_a_function_outlasts_its_attempts_and_has_a_dead_letter_queue() {
    let deployment = deployment();
    let queue = |arn: &str| deployment.queues.iter().find(|queue| queue.arn == arn).unwrap();
    let mut read = 0;
    for function in &deployment.functions {
        for trigger in &function.triggers {
            let Trigger::Queue(trigger) = trigger else { continue };
            let queue = queue(&trigger.queue_arn);
            assert_eq!(queue.visibility_timeout, function.timeout * 6);
            assert!(trigger.partial_failures);
            let redrive = queue.redrive.as_ref().unwrap();
            // What the notifier takes back goes in shares, of which one attempt may only do the first.
            let attempts = if function.name == "tintype-notifier" { 20 } else { 5 };
            assert_eq!(redrive.max_receive_count, attempts);
            assert!(deployment.queues.iter().any(|dead| dead.arn == redrive.dead_letter_arn && dead.redrive.is_none()));
            read += 1;
        }
    }
    assert_eq!(read, 5);
    assert!(deployment.queues.iter().all(|queue| queue.retention == Duration::from_hours(14 * 24)));
    let names: Vec<_> = deployment.queues.iter().filter_map(|queue| queue.name.strip_prefix("tintype-")).collect();
    let queues = [
        "FeedFanoutQueue",
        "FeedFanoutDlq",
        "UsersQueue",
        "UsersDlq",
        "PostsQueue",
        "PostsDlq",
        "CommentsQueue",
        "CommentsDlq",
        "NotificationQueue",
        "NotificationDlq",
        "PhotoProcessorDlq",
        "EventRouterDlq",
    ];
    assert_eq!(names, queues);
}

/// When the worker is told that a post is deleted, whoever had seen it, and was about to comment on it, has ended.
#[test]
fn the_queue_of_comments_waits_longer_than_a_request_to_comment_may_take() {
    let deployment = deployment();
    let queue = deployment.queues.iter().find(|queue| queue.name == "tintype-CommentsQueue").unwrap();
    assert!(queue.delay >= 2 * function(&deployment, "comments").timeout, "{:?}", queue.delay);
}

#[test]
fn the_router_reads_all_streams_and_loses_nothing_silently() {
    let deployment = deployment();
    let router = function(&deployment, "event-router");
    let tables: Vec<_> = router
        .triggers
        .iter()
        .map(|trigger| {
            let Trigger::Stream(stream) = trigger else { panic!("{trigger:?}") };
            assert_eq!(stream.filters, [json!({"dynamodb": {"NewImage": {"event_id": {"S": [{"exists": true}]}}}})]);
            assert_eq!(stream.on_failure.as_deref(), Some("arn:aws:sqs:us-east-1:000000000000:tintype-EventRouterDlq"));
            assert_eq!(stream.batch_size, 100);
            assert!(stream.bisect && stream.partial_failures);
            // A batch is tried for as long as its records last.
            assert_eq!(stream.max_retries, None);
            (stream.id.as_str(), stream.table.as_str())
        })
        .collect();
    assert_eq!(
        tables,
        [
            ("EventRouterFunctionUsersStream", "tintype-UsersTable"),
            ("EventRouterFunctionPostsStream", "tintype-PostsTable"),
            ("EventRouterFunctionCommentsStream", "tintype-CommentsTable"),
        ]
    );
}

#[test]
fn an_upload_wakes_the_photo_processor() {
    let deployment = deployment();
    let bucket = |part: &str| deployment.buckets.iter().find(|bucket| bucket.name.contains(part)).unwrap();
    let [notification] = bucket("uploads").notifications.as_slice() else { panic!() };
    assert_eq!(notification.function, "tintype-photo-processor");
    assert_eq!(notification.events, ["s3:ObjectCreated:*"]);
    assert_eq!((notification.prefix.as_str(), notification.suffix.as_str()), ("uploads/", ""));
    assert!(bucket("media").notifications.is_empty());
    let processor = function(&deployment, "photo-processor").asynchronous;
    assert_eq!(processor.on_failure.as_deref(), Some("arn:aws:sqs:us-east-1:000000000000:tintype-PhotoProcessorDlq"));
    assert_eq!(processor.max_retries, 2);
}

#[test]
fn pages_of_any_origin_send_uploads_and_read_signed_media_and_nothing_else() {
    let rules = deployment().buckets.into_iter().flat_map(|bucket| bucket.cors.into_iter().map(move |rule| (bucket.name.clone(), rule)));
    let rules: Vec<_> = rules.map(|(name, rule)| (name, rule.allowed_methods, rule.allowed_headers, rule.exposed_headers)).collect();
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let rule = |bucket: &str, methods: &[&str], headers: &[&str]| {
        (format!("tintype-{bucket}-000000000000-us-east-1"), texts(methods), texts(headers), texts(&["ETag"]))
    };
    assert_eq!(rules, [rule("uploads", &["PUT"], &["Content-Type"]), rule("media", &["GET", "HEAD"], &[])]);
}

#[test]
fn the_janitor_runs_every_minute_and_ends_before_the_next_run() {
    let janitor = function(&deployment(), "janitor");
    let [Trigger::Schedule(schedule)] = janitor.triggers.as_slice() else { panic!() };
    let every = Duration::from_mins(1);
    assert_eq!(schedule.schedule, Schedule::Every(every));
    assert!(janitor.timeout < every);
    assert_eq!(janitor.asynchronous.max_retries, 0);
}

#[test]
fn media_come_from_the_public_part_of_their_bucket() {
    let media = deployment().media.unwrap();
    assert_eq!(media.bucket, "tintype-media-000000000000-us-east-1");
    assert_eq!((media.origin_path.as_str(), media.is_for_any_origin), ("/public", true));
}

#[test]
fn the_secrets_are_generated() {
    let deployment = deployment();
    let secrets: Vec<_> = deployment.secrets.iter().map(|secret| (secret.name.as_str(), secret.length)).collect();
    assert_eq!(secrets, [("tintype-TokenSecret", 64), ("tintype-OriginSecret", 64)]);
}

#[test]
fn every_function_has_a_log_group_of_its_own() {
    let template = yaml::parse(TEMPLATE).unwrap();
    let mut log_groups: BTreeSet<_> = written(&template, "AWS::Logs::LogGroup").into_iter().map(|(logical_id, _)| logical_id).collect();
    for (logical_id, node) in written(&template, "AWS::Serverless::Function") {
        let logging = get(get(node, "Properties").unwrap(), "LoggingConfig").unwrap();
        let group = call(get(logging, "LogGroup").unwrap()).unwrap().unwrap().argument.name().unwrap();
        assert!(log_groups.remove(group), "{logical_id}");
    }
    assert_eq!(log_groups.into_iter().collect::<Vec<_>>(), ["ApiLogGroup"]);
}

#[test]
fn somebody_is_told_of_dead_letters_of_events_that_wait_of_a_janitor_that_fails_and_of_breakers() {
    let template = yaml::parse(TEMPLATE).unwrap();
    let alarms = written(&template, "AWS::CloudWatch::Alarm");
    let watched: BTreeSet<_> = alarms
        .iter()
        .map(|(_, node)| {
            let alarm = get(node, "Properties").unwrap();
            let metric = get(alarm, "MetricName").unwrap().name().unwrap();
            assert!(get(alarm, "AlarmActions").is_some(), "{metric}");
            // Without dimensions it is that of all functions together.
            let Some(dimensions) = get(alarm, "Dimensions") else { return metric.to_owned() };
            let of = call(get(&dimensions.items().unwrap()[0], "Value").unwrap()).unwrap().unwrap().argument.name().unwrap();
            format!("{metric} of {of}")
        })
        .collect();
    let queues = written(&template, "AWS::SQS::Queue");
    let dead_letter_queues = queues.iter().filter(|(name, _)| name.ends_with("Dlq"));
    let mut expected: BTreeSet<_> =
        dead_letter_queues.map(|(name, _)| format!("ApproximateNumberOfMessagesVisible of {name}.QueueName")).collect();
    expected.insert("IteratorAge of EventRouterFunction".to_owned());
    expected.insert("Errors of JanitorFunction".to_owned());
    // That functions' lines have it is shown in `shared/telemetry`.
    expected.insert("breaker.opened".to_owned());
    assert_eq!(watched, expected);
}

#[test]
fn what_cannot_be_made_again_outlives_the_stack() {
    let template = yaml::parse(TEMPLATE).unwrap();
    let mut kept = [written(&template, "AWS::DynamoDB::Table"), written(&template, "AWS::SecretsManager::Secret")].concat();
    // A new stack makes new ones, and nobody misses the old.
    kept.retain(|(logical_id, _)| !["EdgeTable", "OriginSecret"].contains(logical_id));
    assert_eq!(kept.len(), 6);
    for (logical_id, node) in kept {
        for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
            assert_eq!(get(node, policy).unwrap().name().unwrap(), "Retain", "{logical_id}");
        }
    }
}

#[test]
fn every_statement_of_a_policy_is_one_action_on_one_resource() {
    let template = yaml::parse(TEMPLATE).unwrap();
    let mut statements = 0;
    walk(&template, &mut |node| {
        let (Some(action), Some(_effect)) = (get(node, "Action"), get(node, "Effect")) else { return };
        assert!(!action.name().unwrap().contains('*'), "{}", action.place.path);
        // A role's trust policy is about itself.
        if let Some(resource) = get(node, "Resource") {
            let resource = call(resource).unwrap().unwrap().argument.name().unwrap();
            // `*` alone is everything; behind a slash it is what lies in one folder of one bucket.
            let folder = resource.strip_suffix("/*").unwrap_or(resource);
            assert!(
                !folder.contains('*') && (folder == resource || folder.contains("s3:::") || folder.contains("Bucket.Arn}/")),
                "{}",
                node.place.path
            );
        }
        statements += 1;
    });
    assert!(statements > 40, "{statements}");
}

/// The uploads bucket invokes a function, so a function that refers back to a bucket would be a circle.
#[test]
fn functions_name_buckets_and_refer_to_none() {
    let template = yaml::parse(TEMPLATE).unwrap();
    let buckets: Vec<_> = written(&template, "AWS::S3::Bucket").into_iter().map(|(logical_id, _)| logical_id).collect();
    for (logical_id, node) in written(&template, "AWS::Serverless::Function") {
        let properties = get(node, "Properties").unwrap();
        for part in ["Environment", "Policies"].into_iter().filter_map(|part| get(properties, part)) {
            walk(part, &mut |node| {
                let Some(Call { argument, .. }) = call(node).unwrap() else { return };
                walk(argument, &mut |node| {
                    if let Value::Text(text) = &node.value {
                        assert!(!buckets.iter().any(|bucket| text.contains(bucket)), "{logical_id} refers to a bucket: {text}");
                    }
                });
            });
        }
    }
}
