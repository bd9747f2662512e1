//! Uploads that are refused, and files that turn their post `failed`.

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use serde_json::{Value, json};
use tintype_testphoto::{Exif, jpeg, photograph};

use crate::harness::{
    Caller, Person, Ticket,
    people::ids,
    photographs::{publish, small_photo},
};

#[tokio::test]
async fn the_store_takes_nothing_but_what_the_ticket_says() {
    let ada = Person::sign_up("ada").await;
    let bytes = small_photo();
    let ticket = Ticket::of(&ada, "exactly", &[("image/jpeg", &bytes)]).await;
    let longer = [&bytes[..], b"x"].concat();
    let (long, short) = (longer.len().to_string(), (bytes.len() - 1).to_string());

    let refused = [
        ticket.upload_with(&ada, 0, &longer, &[("content-length", &long)]).await,
        ticket.upload_with(&ada, 0, &bytes[1..], &[("content-length", &short)]).await,
        ticket.upload_with(&ada, 0, &bytes, &[("content-type", "image/png")]).await,
        altered(&ticket, &ticket.post_id, "01890a5d-ac96-774b-bcce-b302099a8057").upload(&ada, 0, &bytes).await,
        altered(&ticket, "X-Amz-Expires=", "X-Amz-Expires=9").upload(&ada, 0, &bytes).await,
    ];
    for (number, answer) in refused.into_iter().enumerate() {
        assert_eq!(answer.status, 403, "{number}: {}", answer.text);
    }
    assert_eq!(ada.get(&ticket.path()).await.expect(200)["status"], "awaiting_upload");
    ticket.upload(&ada, 0, &bytes).await.expect(200);
    assert_eq!(ticket.settled(&ada).await["status"], "published");
}

/// A ticket whose URL somebody has changed.
fn altered(ticket: &Ticket, part: &str, other: &str) -> Ticket {
    let mut altered = ticket.clone();
    let url = altered.uploads[0]["url"].as_str().expect("a URL").replacen(part, other, 1);
    assert_ne!(ticket.uploads[0]["url"], url, "{part} is in the URL");
    altered.uploads[0]["url"] = json!(url);
    altered
}

#[tokio::test]
async fn a_file_sent_twice_is_published_once() {
    let ada = Person::sign_up("ada").await;
    let bytes = small_photo();
    let ticket = Ticket::of(&ada, "twice", &[("image/jpeg", &bytes)]).await;
    ticket.upload(&ada, 0, &bytes).await.expect(200);
    ticket.upload(&ada, 0, &bytes).await.expect(200);
    let post = ticket.settled(&ada).await;
    ticket.upload(&ada, 0, &bytes).await.expect(200);
    publish(&ada, "another").await;
    assert_eq!(ada.get(&ticket.path()).await.expect(200).body, post, "what is published stays as it is");
    ada.counts_become([2, 0, 0]).await;
}

#[tokio::test]
async fn what_is_no_photograph_fails_its_post_with_a_reason() {
    let ada = Person::sign_up("ada").await;
    let photo = jpeg(&photograph(1, 400, 300), Exif::default());
    let mut png = Vec::new();
    PngEncoder::new(&mut png).write_image(&photograph(1, 120, 120), 120, 120, ExtendedColorType::Rgb8).expect("a PNG");
    for (file, code) in [
        (b"Dear diary, this is no picture at all.".to_vec(), "not-an-image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), "not-an-image"),
        (photo[..photo.len() / 2].to_vec(), "truncated-or-damaged"),
        (photo[..40].to_vec(), "truncated-or-damaged"),
        (claiming(&photo, 30_000, 30_000), "too-many-pixels"),
        (jpeg(&photograph(1, 400, 99), Exif::default()), "too-small"),
        (png, "format-mismatch"),
        (
            b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;".to_vec(),
            "unsupported-format",
        ),
    ] {
        let post = failed(&ada, &[("image/jpeg", &file)]).await;
        assert_eq!(post["failure"]["code"], code, "{post}");
        assert_eq!(post["failure"]["photo"], 0, "{post}");
        let sentence = post["failure"]["detail"].as_str().expect("a sentence");
        assert!(sentence.ends_with('.') && sentence.contains(' '), "{sentence}");
        let path = format!("/posts/{}", post["id"].as_str().expect("an id"));
        Caller::nobody().get(&path).await.problem(404, "not-found");
        ada.delete(&path).await.expect(204);
    }
    assert!(ada.list("/me/posts?status=unpublished").await.is_empty());
    ada.counts_become([0, 0, 0]).await;
}

#[tokio::test]
async fn one_bad_photo_fails_the_whole_post_and_is_named() {
    let ada = Person::sign_up("ada").await;
    let good = small_photo();
    let post = failed(&ada, &[("image/jpeg", &good), ("image/jpeg", b"not a photo"), ("image/jpeg", &good)]).await;
    assert_eq!((&post["failure"]["code"], &post["failure"]["photo"]), (&json!("not-an-image"), &json!(1)));
    let listed = ada.list("/me/posts?status=unpublished").await;
    assert_eq!(ids(&listed), [post["id"].as_str().expect("an id")], "its author finds it among the unpublished");
    assert_eq!(listed[0]["status"], "failed");
}

#[tokio::test]
async fn a_failed_post_stays_failed_whatever_is_uploaded_later() {
    let ada = Person::sign_up("ada").await;
    let good = small_photo();
    let bad = vec![b'x'; good.len()];
    let ticket = Ticket::of(&ada, "bad", &[("image/jpeg", &bad)]).await;
    ticket.upload(&ada, 0, &bad).await.expect(200);
    let post = ticket.settled(&ada).await;
    ticket.upload(&ada, 0, &good).await;
    publish(&ada, "another").await;
    assert_eq!(ada.get(&ticket.path()).await.expect(200).body, post);
}

/// A post of files of which one at least is bad, once it has failed.
async fn failed(author: &Person, files: &[(&str, &[u8])]) -> Value {
    let ticket = Ticket::of(author, "bad", files).await;
    for (index, (_, bytes)) in files.iter().enumerate() {
        ticket.upload(author, index, bytes).await.expect(200);
    }
    let post = ticket.settled(author).await;
    assert_eq!((&post["status"], &post["published_at"]), (&json!("failed"), &Value::Null), "{post}");
    post
}

/// A JPEG whose frame header says that it has this size.
fn claiming(jpeg: &[u8], width: u16, height: u16) -> Vec<u8> {
    let frame = jpeg.windows(4).position(|four| four == [0xFF, 0xC0, 0, 17]).expect("a baseline JPEG of three components");
    let mut bytes = jpeg.to_vec();
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}
