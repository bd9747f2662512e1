//! `--demo`: people, follows, photographs, likes and comments, made through the API as any client would.
//!
//! Whoever is there already is logged in instead, and posts only what is missing: the same command run again changes nothing.

use std::{collections::HashMap, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Client, Method, StatusCode, header};
use serde_json::{Value, json};
use thiserror::Error;
use tintype_testphoto::{Exif, jpeg, photograph};
use tokio::{task::spawn_blocking, time::Instant};

use crate::cli::print;

/// Everybody's password: the demo is on this machine only.
const PASSWORD: &str = "silver on copper";

/// Username, display name, and the caption of their photograph.
const PEOPLE: [(&str, &str, &str); 12] = [
    ("ada", "Ada Lindqvist", "First light over the ridge #morning"),
    ("ben", "Ben Okafor", "Nobody else up here #hills"),
    ("chiara", "Chiara Russo", "The lake was like glass #water #morning"),
    ("dmitri", "Dmitri Volkov", "Blue hour, cold hands #bluehour"),
    ("elif", "Elif Aydın", "For @ada, who slept in"),
    ("farid", "Farid Haddad", "Five layers of hills, I counted #hills"),
    ("grace", "Grace Mwangi", "Dust and gold #sunset"),
    ("hana", "Hana Sato", "静かな夕方 #夕焼け"),
    ("ivo", "Ivo Marković", "The moon did not wait for us #moon"),
    ("june", "June Park", "Same bench, another sky #sunset"),
    ("kofi", "Kofi Boateng", "Rain all day, then this #water"),
    ("lena", "Lena Novak", "Last one before the train #bluehour"),
];

/// Each follows the next few, so that every feed has posts of others in it.
const FOLLOWS: usize = 5;

/// What they say of the next one's photograph, in turns.
const REMARKS: [&str; 4] = ["What a light!", "Take me along next time", "Where was this?", "One for the wall \u{1F5BC}"];

/// Why the demo could not be made.
#[derive(Debug, Error)]
pub enum Error {
    /// The API can't be reached.
    #[error("the demo can't reach the API: {0}")]
    Http(#[from] reqwest::Error),
    /// The API answered something else than it should have.
    #[error("the demo asked for {asked} and was answered {status}: {body}")]
    Answer {
        /// Method and path.
        asked: String,
        /// What came.
        status: StatusCode,
        /// What came with it.
        body: String,
    },
    /// A post did not come out.
    #[error("a post of the demo did not get published: {0}")]
    Post(Value),
    /// Posts did not arrive where they should have.
    #[error("the feed of the demo lacks posts: {0}")]
    Feed(Value),
}

/// Fills the system behind `api` (with base path), and says on the standard output whose feed to look at.
pub async fn run(api: &str) -> Result<(), Error> {
    let demo = Demo { client: Client::builder().timeout(Duration::from_secs(30)).build()?, api: api.to_owned() };
    let steps = PEOPLE.len() * (2 + 2 * FOLLOWS);
    let progress = ProgressBar::new(steps as u64).with_style(style());

    let mut tokens = HashMap::new();
    for (username, display_name, _) in PEOPLE {
        progress.set_message(format!("{display_name} signs up"));
        tokens.insert(username, demo.sign_up_or_log_in(username, display_name).await?);
        progress.inc(1);
    }
    for (index, (username, ..)) in PEOPLE.iter().enumerate() {
        for step in 1..=FOLLOWS {
            let (followee, ..) = PEOPLE[(index + step) % PEOPLE.len()];
            progress.set_message(format!("{username} follows {followee}"));
            demo.send(Method::PUT, &format!("/users/{followee}/follow"), &tokens[username], None).await?;
            progress.inc(1);
        }
    }
    for (seed, (username, display_name, caption)) in PEOPLE.into_iter().enumerate() {
        progress.set_message(format!("{display_name} posts a photograph"));
        demo.post_photograph(username, &tokens[username], caption, seed as u64).await?;
        progress.inc(1);
    }
    for (index, (username, ..)) in PEOPLE.iter().enumerate() {
        for step in 1..=FOLLOWS {
            let (author, ..) = PEOPLE[(index + step) % PEOPLE.len()];
            progress.set_message(format!("{username} likes what {author} has posted"));
            let remark = (step == 1).then(|| REMARKS[index % REMARKS.len()]);
            demo.like(author, &tokens[username], remark).await?;
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    let others = FOLLOWS;
    let (reader, name, _) = PEOPLE[0];
    demo.until_the_feed_shows(&tokens[reader], others).await?;
    let text = format!(
        "{count} people are there, each with a photograph that others like; the password of all is `{PASSWORD}`.\n\
         Look at {name}'s feed:\n  \
         TOKEN=$(curl -s {api}/sessions -H 'content-type: application/json' -d '{{\"login\":\"{reader}\",\"password\":\"{PASSWORD}\"}}' | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n  \
         curl -s {api}/feed -H \"authorization: Bearer $TOKEN\"\n",
        count = PEOPLE.len(),
    );
    // The demo is there all the same.
    let _ = print(&text);
    Ok(())
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}").expect("the template is right")
}

struct Demo {
    client: Client,
    api: String,
}

impl Demo {
    /// An access token of a person who may be there already.
    async fn sign_up_or_log_in(&self, username: &str, display_name: &str) -> Result<String, Error> {
        let account =
            json!({"username": username, "email": format!("{username}@demo.invalid"), "password": PASSWORD, "display_name": display_name});
        let answer = match self.send(Method::POST, "/accounts", "", Some(account)).await {
            Err(Error::Answer { status: StatusCode::CONFLICT, .. }) => {
                self.send(Method::POST, "/sessions", "", Some(json!({"login": username, "password": PASSWORD}))).await?
            }
            answer => answer?,
        };
        Ok(answer["access_token"].as_str().unwrap_or_default().to_owned())
    }

    /// Asks for a ticket, uploads, and waits until the post is published; nothing if this person has posted before.
    async fn post_photograph(&self, username: &str, token: &str, caption: &str, seed: u64) -> Result<(), Error> {
        let posted = self.send(Method::GET, &format!("/users/{username}/posts?limit=1"), token, None).await?;
        if posted["items"].as_array().is_some_and(|posts| !posts.is_empty()) {
            return Ok(());
        }
        let upright = seed.is_multiple_of(3);
        let (width, height) = if upright { (1080, 1440) } else { (1600, 1067) };
        let photo = spawn_blocking(move || jpeg(&photograph(seed, width, height), Exif::default())).await.expect("painting does not panic");
        let ticket = json!({"caption": caption, "photos": [{"content_type": "image/jpeg", "bytes": photo.len(), "alt_text": "A painted landscape"}]});
        let post = self.send(Method::POST, "/posts", token, Some(ticket)).await?;
        let url = post["photos"][0]["upload"]["url"].as_str().unwrap_or_default();
        let upload = self.client.put(url).header(header::CONTENT_TYPE, "image/jpeg").body(photo).send().await?;
        accepted(format!("PUT {url}"), upload).await?;
        self.until_published(post["id"].as_str().unwrap_or_default(), token).await
    }

    /// Likes a person's photograph, and says something of it if nobody has yet.
    async fn like(&self, author: &str, token: &str, remark: Option<&str>) -> Result<(), Error> {
        let posted = self.send(Method::GET, &format!("/users/{author}/posts?limit=1"), token, None).await?;
        let post = &posted["items"][0];
        let path = format!("/posts/{}", post["id"].as_str().unwrap_or_default());
        self.send(Method::PUT, &format!("{path}/like"), token, None).await?;
        if let Some(text) = remark.filter(|_| post["counts"]["comments"] == 0) {
            self.send(Method::POST, &format!("{path}/comments"), token, Some(json!({"text": text}))).await?;
        }
        Ok(())
    }

    async fn until_published(&self, post_id: &str, token: &str) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let post = self.send(Method::GET, &format!("/posts/{post_id}?wait=10"), token, None).await?;
            match post["status"].as_str() {
                Some("published") => return Ok(()),
                Some("awaiting_upload" | "processing") if Instant::now() < deadline => {}
                _ => return Err(Error::Post(post)),
            }
        }
    }

    async fn until_the_feed_shows(&self, token: &str, posts: usize) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let feed = self.send(Method::GET, "/feed?limit=100", token, None).await?;
            if feed["items"].as_array().is_some_and(|items| items.len() >= posts) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::Feed(feed));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn send(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Result<Value, Error> {
        let asked = format!("{method} {path}");
        let mut request = self.client.request(method, format!("{}{path}", self.api));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = accepted(asked, request.send().await?).await?;
        Ok(serde_json::from_str(&answer).unwrap_or_default())
    }
}

/// The body of an answer that says yes.
async fn accepted(asked: String, answer: reqwest::Response) -> Result<String, Error> {
    let status = answer.status();
    let body = answer.text().await?;
    if status.is_success() { Ok(body) } else { Err(Error::Answer { asked, status, body }) }
}
