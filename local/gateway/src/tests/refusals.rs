//! Whatever the gateway refuses, it refuses in the template's words and before any function is asked.

use std::time::Duration;

use http::Request;
use serde_json::json;
use tintype_template::deployment::{Api, MethodThrottle, Throttle};

use super::{Fixture, api};

#[tokio::test]
async fn what_is_not_there_is_404() {
    let fixture = Fixture::of_empty_answers();
    for path in ["/", "/v1", "/v1/", "/v1/nothing", "/v2/open/x", "/v10/open/x", "/open/x", "/V1/open/x", "/media/x.jpg"] {
        let refused = fixture.get(path).await;
        assert_eq!(refused.refusal(), (404, "MISSING_AUTHENTICATION_TOKEN".to_owned()), "{path}");
    }
    for method in ["HEAD", "OPTIONS", "DELETE", "POST", "TRACE"] {
        let refused = fixture.send(Request::builder().method(method).uri("/v1/open/x"), "").await;
        assert_eq!(refused.refusal(), (404, "MISSING_AUTHENTICATION_TOKEN".to_owned()), "{method}");
    }
    assert_eq!(fixture.seen().len(), 0);
}

/// With no route to say that the header is a token, API Gateway takes it for an AWS signature.
#[tokio::test]
async fn what_is_not_there_is_an_invalid_signature_to_who_has_a_token() {
    let fixture = Fixture::of_empty_answers();
    for path in ["/v1/nothing", "/v2/open/x", "/v1/closed/a/b"] {
        let refused = fixture.send(Request::get(path).header("authorization", "Bearer t"), "").await;
        assert_eq!(refused.refusal(), (403, "INVALID_SIGNATURE".to_owned()), "{path}");
        assert!(!refused.body.contains("Bearer"));
    }
}

#[tokio::test]
async fn what_is_malformed_is_400() {
    let fixture = Fixture::of_empty_answers();
    for path in ["/v1/open/%", "/v1/open/%zz", "/v1/open/%ff", "/v1/open/.."] {
        assert_eq!(fixture.get(path).await.refusal(), (400, "DEFAULT_4XX".to_owned()), "{path}");
    }
    let two_hosts = Request::get("/v1/open/x").header("host", "a").header("host", "b");
    assert_eq!(fixture.send(two_hosts, "").await.refusal(), (400, "DEFAULT_4XX".to_owned()));
    assert_eq!(fixture.seen().len(), 0);
}

#[tokio::test]
async fn what_is_too_large_is_413() {
    let fixture = Fixture::of_empty_answers();
    let megabytes = |count: usize| vec![b'x'; count * 1024 * 1024];
    let post = || Request::post("/v1/open");
    assert_eq!(fixture.send(post(), megabytes(5)).await.status, 200);
    // Over what an invocation may carry, and over what the gateway takes.
    assert_eq!(fixture.send(post(), megabytes(7)).await.refusal(), (413, "REQUEST_TOO_LARGE".to_owned()));
    assert_eq!(fixture.send(post(), megabytes(11)).await.refusal(), (413, "REQUEST_TOO_LARGE".to_owned()));
    let declared = post().header("content-length", "99999999999");
    assert_eq!(fixture.send(declared, "").await.refusal(), (413, "REQUEST_TOO_LARGE".to_owned()));
    assert_eq!(fixture.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_stage_is_throttled_before_anyone_is_asked() {
    let api = tintype_template::deployment::Api { throttle: Some(Throttle { rate: 1.0, burst: 2 }), ..api() };
    let fixture = Fixture::new(api, |_, _| Ok(json!({})));
    assert_eq!(fixture.get("/v1/open/x").await.status, 200);
    assert_eq!(fixture.get("/v1/nothing").await.status, 404, "no token is spent on what is not there");
    assert_eq!(fixture.get("/v1/open/x").await.status, 200);
    assert_eq!(fixture.get("/v1/closed").await.refusal(), (429, "THROTTLED".to_owned()));
    assert_eq!(fixture.seen().len(), 2);

    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(fixture.get("/v1/open/x").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_methods_own_throttle_stands_in_the_place_of_the_stages() {
    let throttle = |burst| Throttle { rate: 0.0, burst };
    let own = |burst| MethodThrottle { method: "POST".to_owned(), path: "/open".to_owned(), throttle: throttle(burst) };
    for (stage, own_burst) in [(1, 3), (3, 1)] {
        let fixture =
            Fixture::new(Api { throttle: Some(throttle(stage)), method_throttles: vec![own(own_burst)], ..api() }, |_, _| Ok(json!({})));
        let (mut posts, mut gets) = (0, 0);
        for _ in 0..5 {
            posts += u32::from(fixture.send(Request::post("/v1/open"), "{}").await.status == 200);
            gets += u32::from(fixture.get("/v1/open/x").await.status == 200);
        }
        assert_eq!((posts, gets), (own_burst, stage));
    }
}
