//! Posts: tickets, reading, waiting, lists, deletion.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tintype_core::Time;

use crate::harness::{
    Caller, Person, Ticket,
    people::ids,
    photographs::{publish, publish_files, small_photo},
    throughout, unique,
};

fn one_photo() -> Value {
    json!([{"content_type": "image/jpeg", "bytes": 1000}])
}

async fn unpublished(author: &Person) -> Vec<Value> {
    author.list("/me/posts?status=unpublished").await
}

async fn published(author: &Person) -> Vec<String> {
    ids(&Caller::nobody().list(&format!("/users/{}/posts", author.username)).await)
}

#[tokio::test]
async fn a_new_post_is_answered_with_a_ticket_a_photo() {
    let ada = Person::sign_up("ada").await;
    let photos = json!([
        {"content_type": "image/jpeg", "bytes": 1000, "alt_text": "A lighthouse"},
        {"content_type": "image/png", "bytes": 2000},
    ]);
    let answer = ada.post("/posts", json!({"caption": "Low tide", "photos": photos})).await.expect(202);
    let id = answer["id"].as_str().expect("an id");
    assert_eq!(answer.header("location"), Some(format!("/v1/posts/{id}").as_str()));
    assert_eq!(answer["status"], "awaiting_upload");
    let now = Time::now();
    for (index, photo) in answer["photos"].as_array().expect("photos").iter().enumerate() {
        assert_eq!(photo["index"], index);
        let upload = &photo["upload"];
        assert_eq!(upload["method"], "PUT");
        assert!(upload["url"].as_str().is_some_and(|url| url.starts_with("http")), "{upload}");
        assert_eq!(upload["headers"]["content-type"], photos[index]["content_type"]);
        let expires_at: Time = upload["expires_at"].as_str().and_then(|at| at.parse().ok()).expect("a time");
        assert!(expires_at > now, "{upload}");
    }

    let post = ada.get(&format!("/posts/{id}")).await.expect(200);
    assert_eq!((&post["status"], &post["published_at"]), (&json!("awaiting_upload"), &Value::Null));
    assert_eq!(post["photos"][0]["alt_text"], "A lighthouse");
}

#[tokio::test]
async fn a_published_post_says_what_its_author_said() {
    let ada = Person::sign_up("ada").await;
    let bytes = small_photo();
    let body = json!({
        "caption": "  Low tide with @grace.h. #Sea #sea #Ebbe_1  ",
        "photos": [{"content_type": "image/jpeg", "bytes": bytes.len(), "alt_text": "Mud"}],
        "location": {"name": "Texel", "lat": 53.05, "lng": 4.8},
    });
    let created = ada.post("/posts", body).await.expect(202);
    let ticket =
        Ticket { post_id: created["id"].as_str().expect("an id").to_owned(), uploads: vec![created["photos"][0]["upload"].clone()] };
    ticket.upload(&ada, 0, &bytes).await.expect(200);
    ticket.settled(&ada).await;

    let post = Caller::nobody().get(&ticket.path()).await.expect(200);
    assert_eq!(
        post["author"],
        json!({"id": ada.id, "username": ada.username, "display_name": post["author"]["display_name"], "avatar": null})
    );
    assert_eq!(post["status"], "published");
    assert_eq!(post["caption"], "Low tide with @grace.h. #Sea #sea #Ebbe_1");
    assert_eq!(post["hashtags"], json!(["sea", "ebbe_1"]));
    assert_eq!(post["mentions"], json!(["grace.h"]));
    assert_eq!(post["location"], json!({"name": "Texel", "lat": 53.05, "lng": 4.8}));
    assert_eq!(post["photos"][0]["alt_text"], "Mud");
    assert!(post.body.get("failure").is_none());
    let time = |field: &str| post[field].as_str().and_then(|at| at.parse::<Time>().ok()).expect("a time");
    assert!(time("created_at") <= time("published_at"));
}

#[tokio::test]
async fn nobody_but_its_author_sees_a_post_before_it_is_published() {
    let (ada, eve) = (Person::sign_up("ada").await, Person::sign_up("eve").await);
    let ticket = Ticket::of(&ada, "soon", &[("image/jpeg", &small_photo())]).await;
    ada.get(&ticket.path()).await.expect(200);
    eve.get(&ticket.path()).await.problem(404, "not-found");
    Caller::nobody().get(&ticket.path()).await.problem(404, "not-found");
    eve.delete(&ticket.path()).await.problem(404, "not-found");
    assert!(published(&ada).await.is_empty());
    assert_eq!(ids(&unpublished(&ada).await), [ticket.post_id.as_str()]);
    assert!(unpublished(&eve).await.is_empty());
}

#[tokio::test]
async fn a_published_post_moves_from_the_one_list_to_the_other_and_is_counted() {
    let ada = Person::sign_up("ada").await;
    let post = publish(&ada, "one").await;
    assert_eq!(published(&ada).await, [post["id"].as_str().expect("an id")]);
    assert!(unpublished(&ada).await.is_empty());
    ada.counts_become([1, 0, 0]).await;
}

#[tokio::test]
async fn a_waiting_author_is_answered_as_soon_as_the_status_changes() {
    let ada = Person::sign_up("ada").await;
    let bytes = small_photo();
    let ticket = Ticket::of(&ada, "wait", &[("image/jpeg", &bytes)]).await;
    let path = format!("{}?wait=10", ticket.path());
    let started = Instant::now();
    let (answer, upload) = tokio::join!(ada.get(&path), ticket.upload(&ada, 0, &bytes));
    upload.expect(200);
    assert_ne!(answer.expect(200)["status"], "awaiting_upload");
    assert!(started.elapsed() < Duration::from_secs(10), "it was held to the end");
}

#[tokio::test]
async fn a_waiting_author_is_answered_in_the_end_when_nothing_changes() {
    let ada = Person::sign_up("ada").await;
    let ticket = Ticket::of(&ada, "wait", &[("image/jpeg", &small_photo())]).await;
    let started = Instant::now();
    let answer = ada.get(&format!("{}?wait=1", ticket.path())).await.expect(200);
    assert_eq!(answer["status"], "awaiting_upload");
    assert!(started.elapsed() >= Duration::from_secs(1), "it was not held");
}

#[tokio::test]
async fn only_the_author_may_wait_and_ten_seconds_at_most() {
    let (ada, eve) = (Person::sign_up("ada").await, Person::sign_up("eve").await);
    let post = publish(&ada, "one").await;
    let path = format!("/posts/{}?wait", post["id"].as_str().expect("an id"));
    eve.get(&format!("{path}=1")).await.problem(403, "not-the-author");
    for wait in ["11", "-1", "long"] {
        ada.get(&format!("{path}={wait}")).await.invalid(&["?wait"]);
    }
    ada.get(&format!("{path}=10")).await.expect(200);
}

#[tokio::test]
async fn what_is_wrong_with_a_post_is_named_by_pointers_all_at_once() {
    let ada = Person::sign_up("ada").await;
    let body = json!({
        "caption": "x".repeat(2201),
        "photos": [{"content_type": "image/jpeg", "bytes": 0}, {"content_type": "image/webp", "bytes": 20_000_001, "alt_text": "x".repeat(1001)}],
        "location": {"name": "", "lat": 91, "lng": -181},
    });
    ada.post("/posts", body).await.invalid(&[
        "/caption",
        "/photos/0/bytes",
        "/photos/1/bytes",
        "/photos/1/alt_text",
        "/location/name",
        "/location/lat",
        "/location/lng",
    ]);
    assert!(unpublished(&ada).await.is_empty(), "nothing was made of it");
}

#[tokio::test]
async fn what_can_be_no_post_is_named_by_its_pointer() {
    let ada = Person::sign_up("ada").await;
    let photo = |field: &str, value: Value| {
        let mut photo = json!({"content_type": "image/jpeg", "bytes": 1000});
        photo[field] = value;
        json!({"photos": [one_photo()[0].clone(), photo]})
    };
    for (body, pointer) in [
        (json!({"photos": []}), "/photos"),
        (json!({"photos": vec![one_photo()[0].clone(); 11]}), "/photos"),
        (json!({"photos": "one"}), "/photos"),
        (photo("content_type", json!("image/gif")), "/photos/1/content_type"),
        (photo("bytes", json!(-1)), "/photos/1/bytes"),
        (photo("bytes", json!(1.5)), "/photos/1/bytes"),
        (photo("url", json!("http://example.com")), "/photos/1/url"),
        (json!({"photos": one_photo(), "caption": "left \u{202E} right"}), "/caption"),
        (json!({"photos": one_photo(), "caption": 7}), "/caption"),
        (json!({"photos": one_photo(), "location": {"name": "x", "lat": "north", "lng": 0}}), "/location/lat"),
        (json!({"photos": one_photo(), "author": ada.id}), "/author"),
    ] {
        ada.post("/posts", body).await.invalid(&[pointer]);
    }
}

#[tokio::test]
async fn a_deleted_post_is_gone_at_once_for_its_author_and_everywhere() {
    let ada = Person::sign_up("ada").await;
    let (kept, deleted) = (publish(&ada, "kept").await, publish(&ada, "deleted").await);
    let path = format!("/posts/{}", deleted["id"].as_str().expect("an id"));
    ada.delete(&path).await.expect(204);

    ada.get(&path).await.problem(404, "not-found");
    Caller::nobody().get(&path).await.problem(404, "not-found");
    assert_eq!(ids(&ada.list(&format!("/users/{}/posts", ada.username)).await), [kept["id"].as_str().expect("an id")]);
    assert!(!ada.feed().await.contains(&deleted["id"].as_str().expect("an id").to_owned()));
    ada.counts_become([1, 0, 0]).await;
    ada.delete(&path).await.problem(404, "not-found");
    ada.counts_become([1, 0, 0]).await;
}

#[tokio::test]
async fn nobody_deletes_the_posts_of_others() {
    let (ada, eve) = (Person::sign_up("ada").await, Person::sign_up("eve").await);
    let post = publish(&ada, "mine").await;
    let path = format!("/posts/{}", post["id"].as_str().expect("an id"));
    eve.delete(&path).await.problem(403, "not-the-author");
    Caller::nobody().delete(&path).await.problem(401, "unauthorized");
    ada.get(&path).await.expect(200);
}

#[tokio::test]
async fn an_upload_after_the_deletion_brings_nothing_back() {
    let ada = Person::sign_up("ada").await;
    let bytes = small_photo();
    let ticket = Ticket::of(&ada, "never", &[("image/jpeg", &bytes)]).await;
    ada.delete(&ticket.path()).await.expect(204);
    assert!(unpublished(&ada).await.is_empty());
    ticket.upload(&ada, 0, &bytes).await;
    // What is published next overtakes nothing: once it stands, the upload before it has had its time.
    publish(&ada, "another").await;
    throughout(Duration::from_secs(1), async || {
        ada.get(&ticket.path()).await.problem(404, "not-found");
        ada.counts_become([1, 0, 0]).await;
    })
    .await;
}

#[tokio::test]
async fn photos_stay_in_their_order_however_they_arrive() {
    let ada = Person::sign_up("ada").await;
    let bytes = small_photo();
    let files: Vec<(&str, &[u8])> = vec![("image/jpeg", &bytes); 4];
    let ticket = Ticket::of(&ada, "four", &files).await;
    for index in [2, 0, 3] {
        ticket.upload(&ada, index, &bytes).await.expect(200);
        assert_ne!(ada.get(&ticket.path()).await.expect(200)["status"], "published");
    }
    ticket.upload(&ada, 1, &bytes).await.expect(200);
    let post = ticket.settled(&ada).await;
    assert_eq!(post["status"], "published", "{post}");
    for (index, photo) in post["photos"].as_array().expect("photos").iter().enumerate() {
        assert_eq!(photo["index"], index);
        assert!(!photo["variants"].as_array().expect("variants").is_empty());
    }
    let addresses: std::collections::HashSet<&str> =
        post["photos"].as_array().expect("photos").iter().filter_map(|photo| photo["variants"][0]["url"].as_str()).collect();
    assert_eq!(addresses.len(), 4, "no two photos share a file");
}

#[tokio::test]
async fn ten_photos_that_arrive_at_once_publish_one_post_once() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    bob.follow(&ada).await;
    let bytes = small_photo();
    let files: Vec<(&str, &[u8])> = vec![("image/jpeg", &bytes); 10];
    let ticket = Ticket::of(&ada, "ten", &files).await;
    let uploads = (0..10).map(|index| ticket.upload(&ada, index, &bytes));
    for answer in futures::future::join_all(uploads).await {
        answer.expect(200);
    }
    assert_eq!(ticket.settled(&ada).await["status"], "published");
    ada.counts_become([1, 1, 0]).await;
    assert_eq!(published(&ada).await, [ticket.post_id.as_str()]);
}

#[tokio::test]
async fn no_post_is_not_found_by_an_id_that_is_none() {
    for id in ["nonsense", "01890a5d-ac96-774b-bcce-b302099a8057", "%2e%2e", "1"] {
        Caller::nobody().get(&format!("/posts/{id}")).await.problem(404, "not-found");
    }
    Caller::nobody().get(&format!("/users/{}/posts", unique("nobody"))).await.problem(404, "not-found");
}

#[tokio::test]
async fn png_and_webp_are_photographs_too() {
    use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder, codecs::webp::WebPEncoder};
    let picture = tintype_testphoto::photograph(5, 400, 300);
    let (mut png, mut webp) = (Vec::new(), Vec::new());
    PngEncoder::new(&mut png).write_image(&picture, 400, 300, ExtendedColorType::Rgb8).expect("a PNG");
    WebPEncoder::new_lossless(&mut webp).encode(&picture, 400, 300, ExtendedColorType::Rgb8).expect("a WebP");
    let ada = Person::sign_up("ada").await;
    let post = publish_files(&ada, "both", &[("image/png", &png), ("image/webp", &webp)]).await;
    for photo in post["photos"].as_array().expect("photos") {
        assert_eq!((&photo["width"], &photo["height"]), (&json!(400), &json!(300)));
        assert!(photo["variants"].as_array().expect("variants").iter().all(|variant| variant["content_type"] == "image/jpeg"));
    }
}
