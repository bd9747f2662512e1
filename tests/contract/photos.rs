//! From a photograph to its variants: upright, in the right sizes, and silent about where it was taken.

use std::time::Duration;

use image::{DynamicImage, ImageFormat, RgbImage, imageops::FilterType};
use reqwest::Method;
use serde_json::Value;
use tintype_testphoto::photograph;

use crate::harness::{
    Caller, Person,
    client::Answer,
    photographs::{publish, publish_files, telephone_photo},
    until,
};

/// Upright: the telephone stores it as 2000 x 1500.
const SIZE: (u32, u32) = (1500, 2000);
const SEED: u64 = 2;

struct Variant {
    name: String,
    width: u32,
    height: u32,
    bytes: Vec<u8>,
}

impl Variant {
    fn pixels(&self) -> RgbImage {
        image::load_from_memory_with_format(&self.bytes, ImageFormat::Jpeg).expect("a JPEG").to_rgb8()
    }
}

/// A variant's file, fetched as a browser does; its description must be true.
async fn fetch(described: &Value) -> Variant {
    let nobody = Caller::nobody();
    let response = nobody.plain(Method::GET, &nobody.url(url_of(described))).send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "image/jpeg");
    let bytes = response.bytes().await.expect("a file").to_vec();
    assert_eq!(described["bytes"], bytes.len());
    let side = |name: &str| u32::try_from(described[name].as_u64().expect("a side")).expect("a side");
    let variant =
        Variant { name: described["name"].as_str().expect("a name").to_owned(), width: side("width"), height: side("height"), bytes };
    assert_eq!(variant.pixels().dimensions(), (variant.width, variant.height), "{described}");
    variant
}

fn url_of(described: &Value) -> &str {
    let url = described["url"].as_str().expect("a URL");
    assert!(url.starts_with("/media/"), "{url} is root-relative");
    url
}

async fn variants(post: &Value) -> Vec<Variant> {
    let mut variants = Vec::new();
    for described in post["photos"][0]["variants"].as_array().expect("variants") {
        variants.push(fetch(described).await);
    }
    variants
}

#[tokio::test]
async fn a_telephones_photograph_comes_out_upright_in_every_size_and_without_metadata() {
    let ada = Person::sign_up("ada").await;
    let file = telephone_photo(SEED, SIZE.0, SIZE.1);
    assert!(contains(&file, b"Exif\0\0"), "the test's own file says where it was taken");
    let post = publish_files(&ada, "upright", &[("image/jpeg", &file)]).await;

    let photo = &post["photos"][0];
    assert_eq!((photo["width"].as_u64(), photo["height"].as_u64()), (Some(1500), Some(2000)));
    assert!(photo["blurhash"].as_str().is_some_and(|hash| hash.len() >= 6), "{photo}");
    let variants = variants(&post).await;
    let sizes: Vec<(&str, u32, u32)> = variants.iter().map(|variant| (variant.name.as_str(), variant.width, variant.height)).collect();
    assert_eq!(sizes, [("thumb", 150, 150), ("w320", 320, 427), ("w640", 640, 853), ("w1080", 1080, 1440), ("w1440", 1440, 1920)]);

    let upright = DynamicImage::from(photograph(SEED, SIZE.0, SIZE.1));
    for variant in &variants {
        let wanted = upright.resize_to_fill(variant.width, variant.height, FilterType::Triangle).to_rgb8();
        let found = variant.pixels();
        let (upright, upside_down) = (difference(&wanted, &found), difference(&image::imageops::rotate180(&wanted), &found));
        assert!(upright < 6.0, "{} differs from the photograph by {upright} of 255", variant.name);
        assert!(upside_down > 2.0 * upright, "{}: the test cannot tell up from down", variant.name);
        assert_eq!(metadata(&variant.bytes), Vec::<u8>::new(), "segments of {}", variant.name);
    }
}

#[tokio::test]
async fn a_small_photograph_is_never_enlarged() {
    let ada = Person::sign_up("ada").await;
    let post = publish_files(&ada, "small", &[("image/jpeg", &telephone_photo(1, 120, 300))]).await;
    for variant in variants(&post).await {
        assert!(variant.width <= 120 && variant.height <= 300, "{} is {} x {}", variant.name, variant.width, variant.height);
    }
}

#[tokio::test]
async fn caches_may_keep_a_variant_for_ever_and_browsers_ask_for_it_once() {
    let ada = Person::sign_up("ada").await;
    let post = publish(&ada, "cache").await;
    let url = ada.url(url_of(&post["photos"][0]["variants"][0]));
    let answer = Answer::to(ada.plain(Method::HEAD, &url)).await.expect(200);
    let rules = answer.header("cache-control").expect("a rule");
    for rule in ["public", "max-age=31536000", "immutable"] {
        assert!(rules.contains(rule), "{rules}");
    }
    let tag = answer.header("etag").expect("a tag").to_owned();
    Answer::to(ada.plain(Method::GET, &url).header("if-none-match", tag)).await.expect(304);
}

#[tokio::test]
async fn files_that_nobody_published_are_not_there() {
    let ada = Person::sign_up("ada").await;
    let post = publish(&ada, "one").await;
    let url = url_of(&post["photos"][0]["variants"][0]).to_owned();
    let (folder, _) = url.rsplit_once('/').expect("a path");
    for path in [format!("{folder}/w9999.jpg"), format!("{folder}/"), "/media/".to_owned(), "/media/../uploads/0".to_owned()] {
        let answer = Answer::to(ada.plain(Method::GET, &ada.url(&path))).await;
        assert!(matches!(answer.status, 403 | 404), "{path}: {}", answer.status);
    }
    for method in [Method::PUT, Method::DELETE, Method::POST] {
        let answer = Answer::to(ada.plain(method.clone(), &ada.url(&url))).await;
        assert!((400..500).contains(&answer.status), "{method}: {}", answer.status);
    }
    Answer::to(ada.plain(Method::HEAD, &ada.url(&url))).await.expect(200);
}

/// The janitor comes every minute; where the AWS endpoints are known, and take a call that nobody has signed, it is called at once.
#[tokio::test]
async fn the_files_of_a_deleted_post_go() {
    let ada = Person::sign_up("ada").await;
    let post = publish(&ada, "gone").await;
    let variants = post["photos"][0]["variants"].as_array().expect("variants");
    for described in variants {
        Answer::to(ada.plain(Method::GET, &ada.url(url_of(described)))).await.expect(200);
    }
    ada.delete(&format!("/posts/{}", post["id"].as_str().expect("an id"))).await.expect(204);
    let patience = if call_janitor(&ada).await { Duration::from_secs(10) } else { Duration::from_secs(100) };
    for described in variants {
        let url = ada.url(url_of(described));
        until("the file is gone", patience, async || {
            let answer = Answer::to(ada.plain(Method::GET, &url)).await;
            (answer.status == 404).then_some(())
        })
        .await;
    }
}

/// Whether it could be called: AWS, and who is as strict, asks who calls.
async fn call_janitor(caller: &Caller) -> bool {
    let Some(aws) = caller.aws() else { return false };
    let janitor = format!("{aws}/2015-03-31/functions/tintype-janitor/invocations");
    let event = include_str!("../../events/janitor/schedule.json");
    let answer = Answer::to(caller.plain(Method::POST, &janitor).body(event)).await;
    if answer.status == 403 && answer.header("x-amzn-errortype") == Some("MissingAuthenticationTokenException") {
        return false;
    }
    let answer = answer.expect(200);
    assert_eq!(answer.header("x-amz-function-error"), None, "{}", answer.text);
    true
}

/// How far apart two pictures are, in the mean over all channels.
fn difference(one: &RgbImage, other: &RgbImage) -> f64 {
    let sum: u64 = one.as_raw().iter().zip(other.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    let samples = u32::try_from(one.as_raw().len()).expect("a small picture");
    let sum = u32::try_from(sum).expect("a small picture");
    f64::from(sum) / f64::from(samples)
}

/// The segments of a JPEG that are neither needed to decode it nor JFIF's plain header: EXIF, XMP, IPTC, comments, profiles.
fn metadata(jpeg: &[u8]) -> Vec<u8> {
    assert_eq!(jpeg[..2], [0xFF, 0xD8], "it starts as a JPEG");
    let mut others = Vec::new();
    let mut at = 2;
    loop {
        assert_eq!(jpeg[at], 0xFF, "a marker");
        let marker = jpeg[at + 1];
        match marker {
            // Start of scan: from here on it is pixels.
            0xDA => return others,
            // Frame headers, tables, restart interval; JFIF.
            0xC0..=0xC4 | 0xDB | 0xDD => {}
            0xE0 if jpeg[at + 4..].starts_with(b"JFIF\0") => {}
            other => others.push(other),
        }
        at += 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
