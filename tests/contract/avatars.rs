//! The picture of a person: from the ticket to what everybody sees, and what becomes of the ones before.

use std::time::Duration;

use image::ImageFormat;
use reqwest::Method;
use serde_json::{Value, json};
use tintype_testphoto::{Exif, jpeg, photograph};

use crate::harness::{
    Caller, Person,
    client::Answer,
    photographs::{SETTLES, publish, telephone_photo},
    until,
};

/// How long what is deleted may take to go.
const GOES: Duration = Duration::from_secs(20);

/// The answer to asking for a ticket.
async fn ask(person: &Person, body: Value) -> Answer {
    Answer::to(person.request(Method::PUT, "/me/avatar").json(&body)).await
}

pub(crate) async fn ticket(person: &Person, content_type: &str, bytes: &[u8]) -> Value {
    ask(person, json!({"content_type": content_type, "bytes": bytes.len()})).await.expect(202)["upload"].clone()
}

pub(crate) async fn upload(person: &Person, ticket: &Value, bytes: &[u8]) -> Answer {
    assert_eq!(ticket["method"], "PUT");
    let mut request = person.plain(Method::PUT, ticket["url"].as_str().expect("a URL")).body(bytes.to_vec());
    // As browsers do, the length is taken from the body.
    for (name, value) in ticket["headers"].as_object().expect("headers").iter().filter(|(name, _)| *name != "content-length") {
        request = request.header(name, value.as_str().expect("a value"));
    }
    Answer::to(request).await
}

/// Waits until nothing more will happen to the upload; answers what `/me` says then.
async fn settled(person: &Person) -> Value {
    until("the upload of a picture has an end", SETTLES, async || {
        let me = person.get("/me").await.expect(200).body;
        (me["avatar_upload"]["status"] != "awaiting_upload").then_some(me)
    })
    .await
}

/// Gives a person a picture.
async fn portray(person: &Person, content_type: &str, bytes: &[u8]) -> Value {
    let ticket = ticket(person, content_type, bytes).await;
    upload(person, &ticket, bytes).await.expect(200);
    let me = settled(person).await;
    assert_eq!(me["avatar_upload"], Value::Null, "{me}");
    assert!(me["avatar"].is_object(), "{me}");
    me["avatar"].clone()
}

/// Gives a person some picture or other.
pub(crate) async fn portray_anyhow(person: &Person) -> Value {
    portray(person, "image/jpeg", &jpeg(&photograph(11, 200, 200), Exif::default())).await
}

fn urls(avatar: &Value) -> [&str; 2] {
    ["small", "large"].map(|size| avatar[size].as_str().expect("a URL"))
}

async fn fetch(url: &str) -> (u16, Vec<u8>) {
    let nobody = Caller::nobody();
    let answer = nobody.plain(Method::GET, &nobody.url(url)).send().await.expect("an answer");
    (answer.status().as_u16(), answer.bytes().await.expect("a body").to_vec())
}

async fn goes(url: &str) {
    until(&format!("{url} is gone"), GOES, async || (fetch(url).await.0 == 404).then_some(())).await;
}

#[tokio::test]
async fn a_picture_is_square_upright_and_silent_about_where_it_was_taken_and_shows_wherever_the_person_does() {
    let (ada, bob) = (Person::sign_up("ada").await, Person::sign_up("bob").await);
    assert_eq!(ada.get("/me").await.expect(200)["avatar"], Value::Null);
    let file = telephone_photo(3, 600, 900);
    let avatar = portray(&ada, "image/jpeg", &file).await;

    let upright = image::DynamicImage::from(photograph(3, 600, 900));
    for (url, side) in urls(&avatar).into_iter().zip([150, 400]) {
        assert!(url.starts_with("/media/avatars/"), "{url}");
        let (status, bytes) = fetch(url).await;
        assert_eq!(status, 200, "{url}");
        assert!(!bytes.windows(4).any(|window| window == b"Exif"), "{url} has metadata");
        let found = image::load_from_memory_with_format(&bytes, ImageFormat::Jpeg).expect("a JPEG").to_rgb8();
        assert_eq!(found.dimensions(), (side, side), "{url}");
        let wanted = upright.resize_to_fill(side, side, image::imageops::FilterType::Triangle).to_rgb8();
        let difference = |one: &image::RgbImage| {
            let sum: u32 = one.as_raw().iter().zip(found.as_raw()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            f64::from(sum) / f64::from(side * side * 3)
        };
        let (right, wrong) = (difference(&wanted), difference(&image::imageops::rotate180(&wanted)));
        assert!(right < 6.0 && wrong > 2.0 * right, "{url}: {right} upright, {wrong} upside down");
    }

    let post = publish(&ada, "with my picture").await;
    assert_eq!(post["author"]["avatar"], avatar);
    bob.follow(&ada).await;
    for path in [format!("/users/{}", ada.username), format!("/posts/{}", post["id"].as_str().expect("an id"))] {
        let answer = Caller::nobody().get(&path).await.expect(200);
        let person = if answer["author"].is_object() { &answer["author"] } else { &answer.body };
        assert_eq!(person["avatar"], avatar, "{path}");
    }
    let following = until("the follow shows", GOES, async || bob.list(&format!("/users/{}/following", bob.username)).await.pop()).await;
    assert_eq!(following["avatar"], avatar);
    until("the feed shows the post with the picture", GOES, async || {
        let feed = bob.list("/feed").await;
        feed.first().map(|post| assert_eq!(post["author"]["avatar"], avatar))
    })
    .await;
}

#[tokio::test]
async fn a_picture_may_be_png_or_webp_and_a_small_one_is_enlarged() {
    let ada = Person::sign_up("ada").await;
    for (kind, format) in [("image/png", ImageFormat::Png), ("image/webp", ImageFormat::WebP)] {
        let mut file = std::io::Cursor::new(Vec::new());
        photograph(4, 120, 100).write_to(&mut file, format).expect("a file");
        let avatar = portray(&ada, kind, file.get_ref()).await;
        let (_, bytes) = fetch(urls(&avatar)[1]).await;
        assert_eq!(image::load_from_memory(&bytes).expect("a picture").to_rgb8().dimensions(), (400, 400), "{kind}");
    }
}

#[tokio::test]
async fn a_new_picture_takes_the_place_of_the_old_one_whose_files_go() {
    let ada = Person::sign_up("ada").await;
    let first = portray(&ada, "image/jpeg", &jpeg(&photograph(5, 200, 200), Exif::default())).await;
    let second = portray(&ada, "image/jpeg", &jpeg(&photograph(6, 200, 200), Exif::default())).await;
    assert_ne!(first, second);
    for url in urls(&first) {
        goes(url).await;
    }
    for url in urls(&second) {
        assert_eq!(fetch(url).await.0, 200, "{url}");
    }
}

#[tokio::test]
async fn the_newest_ticket_wins_whichever_file_comes_first() {
    let ada = Person::sign_up("ada").await;
    let (old, new) = (jpeg(&photograph(7, 300, 300), Exif::default()), jpeg(&photograph(8, 310, 310), Exif::default()));
    let (old_ticket, new_ticket) = (ticket(&ada, "image/jpeg", &old).await, ticket(&ada, "image/jpeg", &new).await);
    upload(&ada, &new_ticket, &new).await.expect(200);
    upload(&ada, &old_ticket, &old).await.expect(200);
    let avatar = settled(&ada).await["avatar"].clone();
    // What the old ticket's file became, if it was made, goes; what the new one's became stays.
    let old_id = old_ticket["url"].as_str().and_then(|url| url.split('?').next()).and_then(|url| url.rsplit('/').next()).expect("an id");
    assert!(!urls(&avatar)[0].contains(old_id), "{avatar}");
    goes(&format!("/media/avatars/{}/{old_id}/a400.jpg", ada.id)).await;
    assert_eq!(ada.get("/me").await.expect(200)["avatar"], avatar);
    assert_eq!(fetch(urls(&avatar)[1]).await.0, 200);
}

#[tokio::test]
async fn a_file_that_is_no_picture_fails_with_a_reason_and_the_picture_before_stays() {
    let ada = Person::sign_up("ada").await;
    let whole = jpeg(&photograph(9, 400, 300), Exif::default());
    let avatar = portray(&ada, "image/jpeg", &whole).await;
    let tiny = jpeg(&photograph(9, 99, 300), Exif::default());
    let cases: [(&str, &[u8], &str); 4] = [
        ("image/jpeg", &whole[..whole.len() / 2], "truncated-or-damaged"),
        ("image/png", &whole, "format-mismatch"),
        ("image/jpeg", b"Dear diary", "not-an-image"),
        ("image/jpeg", &tiny, "too-small"),
    ];
    for (kind, bytes, code) in cases {
        let ticket = ticket(&ada, kind, bytes).await;
        assert_eq!(ada.get("/me").await.expect(200)["avatar_upload"], json!({"status": "awaiting_upload"}));
        upload(&ada, &ticket, bytes).await.expect(200);
        let me = settled(&ada).await;
        assert_eq!((&me["avatar_upload"]["status"], &me["avatar_upload"]["failure"]["code"]), (&json!("failed"), &json!(code)), "{me}");
        assert!(me["avatar_upload"]["failure"]["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{me}");
        assert_eq!(me["avatar"], avatar, "{me}");
    }
    portray(&ada, "image/jpeg", &whole).await;
}

#[tokio::test]
async fn a_ticket_is_for_one_type_and_one_size_and_says_all_that_is_wrong_with_what_was_asked() {
    let ada = Person::sign_up("ada").await;
    for bytes in [0, 20_000_001] {
        ask(&ada, json!({"content_type": "image/jpeg", "bytes": bytes})).await.invalid(&["/bytes"]);
    }
    ask(&ada, json!({"content_type": "image/gif", "bytes": 1})).await.invalid(&["/content_type"]);
    ask(&ada, json!({"content_type": "image/jpeg", "bytes": 1, "size": 1})).await.invalid(&["/size"]);
    assert_eq!(ada.get("/me").await.expect(200)["avatar_upload"], Value::Null);
    let ticket = ticket(&ada, "image/jpeg", b"four").await;
    assert_eq!(upload(&ada, &ticket, b"three and more").await.status, 403);
}

#[tokio::test]
async fn a_picture_that_is_removed_is_gone_with_the_answer_and_removing_it_again_is_the_same() {
    let ada = Person::sign_up("ada").await;
    ada.delete("/me/avatar").await.expect(204);
    let file = jpeg(&photograph(10, 200, 200), Exif::default());
    let avatar = portray(&ada, "image/jpeg", &file).await;
    let waiting = ticket(&ada, "image/jpeg", &file).await;
    for _ in 0..2 {
        ada.delete("/me/avatar").await.expect(204);
        for url in urls(&avatar) {
            assert_eq!(fetch(url).await.0, 404, "{url}");
        }
        let me = ada.get("/me").await.expect(200);
        assert_eq!((&me["avatar"], &me["avatar_upload"]), (&Value::Null, &Value::Null));
    }
    // A ticket that was forgotten makes no picture.
    upload(&ada, &waiting, &file).await.expect(200);
    let later = portray_anyhow(&ada).await;
    assert_eq!(ada.get("/me").await.expect(200)["avatar"], later);
}

#[tokio::test]
async fn the_picture_of_a_private_account_is_public() {
    let ada = Person::sign_up("ada").await;
    ada.patch("/me", json!({"is_private": true})).await.expect(200);
    let avatar = portray_anyhow(&ada).await;
    assert_eq!(fetch(urls(&avatar)[0]).await.0, 200);
    assert_eq!(Caller::nobody().get(&format!("/users/{}", ada.username)).await.expect(200)["avatar"], avatar);
}
