//! Photographs, from the file to the published post.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tintype_testphoto::{Exif, jpeg, photograph};

use super::{
    client::{Answer, Caller},
    people::Person,
    until,
};

/// How long a post may take to settle while the machine is busy with other tests.
pub(crate) const SETTLES: Duration = Duration::from_secs(30);
/// Where the photographs of the tests were "taken".
pub(crate) const GPS: (f64, f64) = (52.3731, 4.8922);

/// A photograph of this upright size as a telephone stores it: on its side, with the position in it.
pub(crate) fn telephone_photo(seed: u64, width: u32, height: u32) -> Vec<u8> {
    let stored = image::imageops::rotate270(&photograph(seed, width, height));
    jpeg(&stored, Exif { orientation: Some(6), gps: Some(GPS) })
}

/// A small file, for tests that are not about pixels.
pub(crate) fn small_photo() -> Vec<u8> {
    jpeg(&photograph(1, 320, 240), Exif::default())
}

/// What a post's creation was answered with.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) post_id: String,
    /// Each photo's `upload`: method, URL and headers of the request to send.
    pub(crate) uploads: Vec<Value>,
}

impl Ticket {
    /// A post of these files.
    pub(crate) async fn of(author: &Person, caption: &str, files: &[(&str, &[u8])]) -> Self {
        let photos: Vec<Value> = files.iter().map(|(kind, bytes)| json!({"content_type": kind, "bytes": bytes.len()})).collect();
        let answer = author.post("/posts", json!({"caption": caption, "photos": photos})).await.expect(202);
        let uploads = answer["photos"].as_array().expect("photos").iter().map(|photo| photo["upload"].clone()).collect();
        Self { post_id: answer["id"].as_str().expect("an id").to_owned(), uploads }
    }

    /// The path of the post.
    pub(crate) fn path(&self) -> String {
        format!("/posts/{}", self.post_id)
    }

    /// Sends a file as the ticket says; answers the store's answer.
    pub(crate) async fn upload(&self, caller: &Caller, index: usize, bytes: &[u8]) -> Answer {
        self.upload_with(caller, index, bytes, &[]).await
    }

    /// The same with other headers instead of the ticket's.
    pub(crate) async fn upload_with(&self, caller: &Caller, index: usize, bytes: &[u8], instead: &[(&str, &str)]) -> Answer {
        Answer::to(self.request(caller, index, bytes, instead)).await
    }

    /// The request that the ticket asks for, with other headers instead of some of its own.
    pub(crate) fn request(&self, caller: &Caller, index: usize, bytes: &[u8], instead: &[(&str, &str)]) -> RequestBuilder {
        let upload = &self.uploads[index];
        let method: Method = upload["method"].as_str().and_then(|method| method.parse().ok()).expect("a method");
        let mut request = caller.plain(method, upload["url"].as_str().expect("a URL")).body(bytes.to_vec());
        for (name, value) in upload["headers"].as_object().expect("headers") {
            let replaced = instead.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
            request = request.header(name, replaced.unwrap_or_else(|| value.as_str().expect("a header's value")));
        }
        request
    }

    /// The post once nothing more will happen to it by itself, as its author reads it.
    pub(crate) async fn settled(&self, author: &Person) -> Value {
        until("the post is published or fails", SETTLES, async || {
            let post = author.get(&format!("{}?wait=5", self.path())).await.expect(200).body;
            matches!(post["status"].as_str(), Some("published" | "failed")).then_some(post)
        })
        .await
    }
}

/// A post of one small photo, published.
pub(crate) async fn publish(author: &Person, caption: &str) -> Value {
    publish_files(author, caption, &[("image/jpeg", &small_photo())]).await
}

/// A post of these files, published.
pub(crate) async fn publish_files(author: &Person, caption: &str, files: &[(&str, &[u8])]) -> Value {
    let ticket = Ticket::of(author, caption, files).await;
    for (index, (_, bytes)) in files.iter().enumerate() {
        ticket.upload(author, index, bytes).await.expect(200);
    }
    let post = ticket.settled(author).await;
    assert_eq!(post["status"], "published", "{post}");
    post
}
