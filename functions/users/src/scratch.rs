#![allow(warnings, clippy::all, clippy::pedantic)]
use super::*;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;

struct T { router: Router }
impl T {
    async fn call(&self, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> (u16, Value, axum::http::HeaderMap) {
        let mut r = Request::builder().method(method).uri(path).header("user-agent", "scratch/1");
        if let Some(t) = token { r = r.header("authorization", format!("Bearer {t}")); }
        let b = match body { Some(b) => { r = r.header("content-type", "application/json"); Body::from(b.to_string()) } None => Body::empty() };
        let res = self.router.clone().oneshot(r.body(b).unwrap()).await.unwrap();
        let (s, h) = (res.status().as_u16(), res.headers().clone());
        let bytes = to_bytes(res.into_body(), usize::MAX).await.unwrap();
        (s, serde_json::from_slice(&bytes).unwrap_or(Value::Null), h)
    }
}

#[tokio::test(flavor = "current_thread")]
async fn flows() {
    let db = dynoxide::Database::memory().unwrap();
    let l = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = l.local_addr().unwrap();
    let server = tokio::spawn(async move { dynoxide::server::serve_with_shutdown(l, db, std::future::pending()).await });
    let creds = aws_sdk_dynamodb::config::Credentials::new("a", "b", None, None, "x");
    let conf = aws_sdk_dynamodb::Config::builder().behavior_version_latest().region(aws_sdk_dynamodb::config::Region::new("us-east-1")).endpoint_url(format!("http://{addr}")).credentials_provider(creds).build();
    let client = Client::from_conf(conf);
    use aws_sdk_dynamodb::types::*;
    for t in ["users", "posts"] {
        let mut c = client.create_table().table_name(t).billing_mode(BillingMode::PayPerRequest);
        for (a, k) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
            c = c.attribute_definitions(AttributeDefinition::builder().attribute_name(a).attribute_type(ScalarAttributeType::S).build().unwrap()).key_schema(KeySchemaElement::builder().attribute_name(a).key_type(k).build().unwrap());
        }
        c.send().await.unwrap();
    }
    let users = Table { client: client.clone(), name: "users".into() };
    let posts = Table { client: client.clone(), name: "posts".into() };
    let keys = Arc::new(Keys::from_secret("s3cret"));
    keys.publish(&users).await.unwrap();
    keys.publish(&users).await.unwrap();
    let t = T { router: tintype_edge::service(router(App { users: users.clone(), posts, keys }), Some(Verifier::new(users.clone()))) };
    let (s, ada, h) = t.call("POST", "/accounts", None, Some(json!({"username":"Ada","email":"Ada@Example.org","password":"correct horse"}))).await;
    assert_eq!(s, 201, "{ada}"); println!("{ada:#} {h:?}");
    let (s, b, _) = t.call("POST", "/accounts", None, Some(json!({"username":"ada","email":"x@example.org","password":"correct horse"}))).await;
    assert_eq!((s, b["code"].as_str().unwrap()), (409, "username-taken"));
    let (s, b, _) = t.call("POST", "/accounts", None, Some(json!({"username":"ada2","email":"ada@example.org","password":"correct horse"}))).await;
    assert_eq!((s, b["code"].as_str().unwrap()), (409, "email-taken"));
    let (s, b, _) = t.call("POST", "/accounts", None, Some(json!({"username":"ada","email":"ada@example.org","password":"correct horse"}))).await;
    println!("{b}");
    // race
    let j = |i: u32| json!({"username":"race","email":format!("r{i}@example.org"),"password":"correct horse"});
    let (a, b) = tokio::join!(t.call("POST", "/accounts", None, Some(j(1))), t.call("POST", "/accounts", None, Some(j(2))));
    let mut s = [a.0, b.0]; s.sort(); assert_eq!(s, [201, 409]);
    let at = ada["access_token"].as_str().unwrap();
    let (s, me, h) = t.call("GET", "/me", Some(at), None).await; assert_eq!(s, 200); println!("{me} {h:?}");
    let (s, me, _) = t.call("PATCH", "/me", Some(at), Some(json!({"display_name":"Ada L","bio":"hi\nthere","website":"https://a.example"}))).await; assert_eq!(s, 200, "{me}"); println!("{me}");
    let (s, me, _) = t.call("PATCH", "/me", Some(at), Some(json!({"display_name":null,"bio":null}))).await; assert_eq!(s, 200, "{me}"); println!("{me}");
    assert_eq!(me["display_name"], "ada"); assert_eq!(me["bio"], Value::Null);
    let (s, me, _) = t.call("PATCH", "/me", Some(at), Some(json!({}))).await; assert_eq!(s, 200, "{me}");
    let (s, _, _) = t.call("GET", "/me", None, None).await; assert_eq!(s, 401);
    let (s, b, _) = t.call("PATCH", "/me", Some(at), Some(json!({"nope":1}))).await; assert_eq!(s, 422); println!("{b}");
    // login
    for login in ["ADA", "ada@example.ORG"] {
        let (s, b, _) = t.call("POST", "/sessions", None, Some(json!({"login":login,"password":"correct horse"}))).await; assert_eq!(s, 201, "{b}");
    }
    for (login, pw) in [("ada", "wrong horse"), ("nobody", "correct horse"), ("no@b.ody", "x"), ("a b", "x"), ("a@b@c","x")] {
        let (s, b, _) = t.call("POST", "/sessions", None, Some(json!({"login":login,"password":pw}))).await;
        assert_eq!((s, b["code"].as_str().unwrap()), (401, "invalid-credentials"));
    }
    let (s, list, h) = t.call("GET", "/sessions?limit=2", Some(at), None).await; assert_eq!(s, 200); println!("{list:#} {h:?}");
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let c = list["next_cursor"].as_str().unwrap();
    let (s, list2, h) = t.call("GET", &format!("/sessions?limit=2&cursor={c}"), Some(at), None).await; assert_eq!(s, 200); println!("{list2:#}");
    let sid = list["items"][0]["id"].as_str().unwrap();
    let (s, _, _) = t.call("DELETE", &format!("/sessions/{sid}"), Some(at), None).await; assert_eq!(s, 204);
    let (s, _, _) = t.call("DELETE", &format!("/sessions/{sid}"), Some(at), None).await; assert_eq!(s, 404);
    let (s, _, _) = t.call("DELETE", "/sessions/nonsense", Some(at), None).await; assert_eq!(s, 404);
    // refresh
    let r0 = ada["refresh_token"].as_str().unwrap();
    let rf = |tok: &str| { let tok = tok.to_owned(); let t = &t; async move { t.call("POST", "/sessions/refresh", None, Some(json!({"refresh_token": tok}))).await } };
    let (a, b) = tokio::join!(rf(r0), rf(r0));
    assert_eq!((a.0, b.0), (200, 200)); assert_eq!(a.1["refresh_token"], b.1["refresh_token"]); println!("{} {:?}", a.1, a.2);
    let r1 = a.1["refresh_token"].as_str().unwrap();
    let (s, b, _) = rf(r0).await; assert_eq!(b["refresh_token"], r1);
    let (s, b, _) = rf(r1).await; assert_eq!(s, 200); let r2 = b["refresh_token"].as_str().unwrap().to_owned(); assert_ne!(r2, r1);
    let (s, b, _) = rf(r0).await; assert_eq!((s, b["code"].as_str().unwrap()), (401, "refresh-reused"));
    let (s, b, _) = rf(&r2).await; assert_eq!((s, b["code"].as_str().unwrap()), (401, "unauthorized"));
    // follow
    let (_, bob, _) = t.call("POST", "/accounts", None, Some(json!({"username":"bob","email":"b@example.org","password":"correct horse","display_name":"Bob"}))).await;
    let bt = bob["access_token"].as_str().unwrap();
    for _ in 0..2 { let (s, b, _) = t.call("PUT", "/users/ada/follow", Some(bt), None).await; assert_eq!((s, b), (200, json!({"following":true,"requested":false}))); }
    let (s, b, _) = t.call("GET", "/users/ada", Some(bt), None).await; println!("{b:#}");
    assert_eq!(b["counts"]["followers"], 1); assert_eq!(b["relationship"], json!({"following":true,"followed_by":false}));
    let (s, b, _) = t.call("GET", "/users/bob", None, None).await; println!("{b:#}");
    assert_eq!(b["counts"]["following"], 1); assert!(b.get("relationship").is_none());
    let (s, b, _) = t.call("GET", "/users/ada/followers", None, None).await; println!("{b}"); assert_eq!(b["items"][0]["username"], "bob");
    let (s, b, _) = t.call("GET", "/users/bob/following?limit=1", Some(bt), None).await; println!("{b}"); assert_eq!(b["items"][0]["username"], "ada");
    let (s, b, _) = t.call("GET", "/users/bob/following", Some("bad"), None).await; assert_eq!(s, 401);
    for _ in 0..2 { let (s, b, _) = t.call("DELETE", "/users/ada/follow", Some(bt), None).await; assert_eq!((s, b), (200, json!({"following":false,"requested":false}))); }
    let (s, b, _) = t.call("GET", "/users/ada", Some(bt), None).await; assert_eq!(b["counts"]["followers"], 0);
    assert!(tintype_tables::users::fences_of(&users, bob["user"]["id"].as_str().unwrap().parse().unwrap()).await.unwrap().len() == 1);
    let (s, b, _) = t.call("PUT", "/users/ada/follow", Some(bt), None).await; assert_eq!(s, 200);
    assert!(tintype_tables::users::fences_of(&users, bob["user"]["id"].as_str().unwrap().parse().unwrap()).await.unwrap().is_empty());
    let (s, b, _) = t.call("PUT", "/users/bob/follow", Some(bt), None).await; assert_eq!((s, b["code"].as_str().unwrap()), (403, "cannot-follow-yourself"));
    let (s, b, _) = t.call("PUT", "/users/zed/follow", Some(bt), None).await; assert_eq!(s, 404);
    let all = client.scan().table_name("users").send().await.unwrap();
    for i in all.items() { println!("{:?} {:?}", i["pk"].as_s().unwrap(), i["sk"].as_s().unwrap()); if i["sk"].as_s().unwrap().starts_with("FOLLOWING#0") { println!("{i:?}"); } if i["sk"].as_s().unwrap().starts_with("SESSION") { println!("{i:?}"); } }
    server.abort();
}
