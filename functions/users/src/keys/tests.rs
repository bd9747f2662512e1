//! Rotations from their beginning to their end, on a clock of their own.

use std::collections::HashSet;

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
};
use serde_json::{Value, json};
use tintype_auth::{Claims, Jwk, TokenError, verify};
use tintype_core::{SessionId, UserId};

use super::*;
use published::Stored;

fn at(seconds: u64) -> Time {
    Time::from_seconds(1_790_000_000).unwrap().plus(Duration::from_secs(seconds))
}

fn versions(current: &str, previous: &str, pending: &str) -> Versions {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Versions { current: current.to_owned(), previous: some(previous), pending: some(pending) }
}

fn jwk(secret: &str) -> Jwk {
    Signer::from_secret(secret).public().clone()
}

/// The table's item, and what an instance makes of it that reads the secret at some time.
#[derive(Default)]
struct Table {
    stored: Option<Stored>,
}

impl Table {
    fn read(&mut self, versions: &Versions, now: Time) -> Current {
        let published = self.stored.as_ref().map(Published::from).unwrap_or_default();
        let (keys, next) = Current::agreed(versions, published, now);
        self.stored = Some(Stored::from(&next));
        keys
    }

    fn jwks(&self) -> &str {
        &self.stored.as_ref().unwrap().jwks
    }
}

fn token(keys: &Current, now: Time) -> String {
    keys.signer.sign(&Claims::new(UserId::new(), SessionId::new(), now)).unwrap()
}

/// What a token begins with that the instance signs.
fn head(keys: &Current) -> String {
    token(keys, at(0)).split('.').next().unwrap().to_owned()
}

fn verified(token: &str, jwks: &str, now: Time) -> Result<(), TokenError> {
    verify(token, &tintype_auth::Keys::from_jwks(jwks).unwrap(), now).map(|_| ())
}

fn signer_of(keys: &Current) -> &Jwk {
    keys.signer.public()
}

#[test]
fn the_first_key_signs_at_once() {
    let keys = Table::default().read(&versions("a", "", ""), at(0));
    assert_eq!(*signer_of(&keys), jwk("a"));
    verified(&token(&keys, at(0)), &keys.jwks, at(0)).unwrap();
}

#[test]
fn nothing_is_written_when_nothing_has_changed() {
    let mut table = Table::default();
    table.read(&versions("a", "", "b"), at(0));
    let before = table.stored.clone();
    table.read(&versions("a", "", "b"), at(3600));
    assert_eq!(table.stored, before);
}

/// Minute by minute, with instances that read the secret every five minutes each at its own time, and with somebody outside who keeps
/// the set of any instance for five minutes: no token is ever unknown to anybody while it lives.
#[test]
fn through_a_whole_rotation_every_token_that_lives_is_good_for_everybody() {
    let minute = 60;
    // Begun in minute 20; finished in minute 31, as the command allows, or at once, as nobody should.
    for finished in [20, 31] {
        let mut table = Table::default();
        let stages = |now: u64| match now {
            _ if now >= finished => versions("b", "a", ""),
            20.. => versions("a", "", "b"),
            _ => versions("a", "", ""),
        };
        let mut instances: Vec<Option<Current>> = (0..5).map(|_| None).collect();
        let mut outside: Vec<String> = Vec::new();
        let mut alive: Vec<(u64, String)> = Vec::new();
        let (mut signed_by_b_first, mut signed_by_a_last) = (None, 0);
        for now in 0..140 {
            for (turn, instance) in instances.iter_mut().enumerate() {
                if instance.is_none() || now % 5 == turn as u64 {
                    *instance = Some(table.read(&stages(now), at(now * minute)));
                }
            }
            // What somebody outside may still have: the set of any instance, up to five minutes ago.
            outside.extend(instances.iter().flatten().map(|instance| instance.jwks.clone()));
            let kept = 5 * 6;
            outside.drain(..outside.len().saturating_sub(kept));
            alive.retain(|(made, _)| now - made < 15);
            for instance in instances.iter().flatten() {
                // Of one key one token a minute: they are alike.
                if !alive.iter().any(|(made, token)| *made == now && token.starts_with(&head(instance))) {
                    alive.push((now, token(instance, at(now * minute))));
                }
                if *signer_of(instance) == jwk("b") {
                    signed_by_b_first.get_or_insert(now);
                } else {
                    signed_by_a_last = now;
                }
            }
            let different: HashSet<&str> = outside.iter().map(String::as_str).chain([table.jwks()]).collect();
            for (made, token) in &alive {
                for jwks in &different {
                    assert_eq!(verified(token, jwks, at(now * minute)), Ok(()), "made in minute {made}, seen in {now}");
                }
            }
        }
        assert!(signed_by_b_first.is_some_and(|first| (30..=36).contains(&first)), "{signed_by_b_first:?}");
        assert!(signed_by_a_last < 40, "{signed_by_a_last}");
        assert_eq!(tintype_auth::read_jwks(table.jwks()).unwrap(), [jwk("b")], "the old key has left");
    }
}

#[test]
fn a_rotation_that_is_called_off_leaves_no_key_behind() {
    let mut table = Table::default();
    table.read(&versions("a", "", ""), at(0));
    table.read(&versions("a", "", "b"), at(1000));
    assert_eq!(tintype_auth::read_jwks(table.jwks()).unwrap(), [jwk("a"), jwk("b")]);
    table.read(&versions("a", "", ""), at(2000));
    table.read(&versions("a", "", ""), at(2000 + AFTERLIFE.as_secs()));
    assert_eq!(tintype_auth::read_jwks(table.jwks()).unwrap(), [jwk("a")]);
}

#[test]
fn a_rotation_that_is_taken_back_has_the_old_key_sign_again() {
    let mut table = Table::default();
    table.read(&versions("a", "", "b"), at(0));
    assert_eq!(*signer_of(&table.read(&versions("b", "a", ""), at(3600))), jwk("b"));
    assert_eq!(*signer_of(&table.read(&versions("a", "b", ""), at(4000))), jwk("a"));
    // And it is not taken for retired later.
    table.read(&versions("a", "b", ""), at(4000 + AFTERLIFE.as_secs()));
    assert_eq!(tintype_auth::read_jwks(table.jwks()).unwrap(), [jwk("a")]);
}

#[test]
fn a_refresh_token_is_known_before_and_after_its_key_is_the_current_one() {
    let [before, meanwhile, after] = [versions("a", "", ""), versions("a", "", "b"), versions("b", "a", "")]
        .map(|versions| Current::agreed(&versions, Published::default(), at(0)).0);
    let token = RefreshToken { user_id: UserId::new(), session_id: SessionId::new(), generation: 7 };
    for (sealing, opening) in [(&before, &meanwhile), (&before, &after), (&after, &meanwhile), (&after, &after)] {
        assert_eq!(opening.open(&sealing.seal(&token)), Some(token));
    }
    assert_eq!(before.open(&after.seal(&token)), None);
}

#[test]
fn a_set_that_was_published_without_times_is_an_old_one() {
    let stored = Stored { jwks: Signer::from_secret("a").jwks(), times: String::new() };
    let mut table = Table { stored: Some(stored) };
    assert_eq!(*signer_of(&table.read(&versions("b", "a", ""), at(0))), jwk("a"), "b is too young");
    assert_eq!(*signer_of(&table.read(&versions("b", "a", ""), at(NOTICE.as_secs()))), jwk("b"));
}

#[test]
fn a_key_that_not_everybody_knows_seals_no_refresh_token() {
    // The stages are moved at once, as nobody should; one instance has heard of it and the other has not.
    let mut table = Table::default();
    let unaware = table.read(&versions("a", "", ""), at(0));
    let aware = table.read(&versions("b", "a", ""), at(1000));
    let token = RefreshToken { user_id: UserId::new(), session_id: SessionId::new(), generation: 7 };
    assert_eq!(unaware.open(&aware.seal(&token)), Some(token));
    assert_eq!(aware.open(&unaware.seal(&token)), Some(token));
    // When everybody does, it is the new one that seals.
    let later = table.read(&versions("b", "a", ""), at(1000 + NOTICE.as_secs()));
    assert_eq!((unaware.open(&later.seal(&token)), aware.open(&later.seal(&token))), (None, Some(token)));
}

/// Secrets Manager and a Users table without a key set, until they answer no more.
#[derive(Debug, Clone)]
struct Aws(Arc<Mutex<Answers>>);

#[derive(Debug)]
struct Answers {
    current: &'static str,
    asked: usize,
    is_silent: bool,
}

impl HttpConnector for Aws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut answers = self.0.lock().unwrap();
        if answers.is_silent {
            return HttpConnectorFuture::new(std::future::pending());
        }
        let asked: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let (status, answer) = match asked["VersionStage"].as_str() {
            Some("AWSCURRENT") => {
                answers.asked += 1;
                (200, json!({"SecretString": answers.current}))
            }
            Some(_) => (400, json!({"__type": "ResourceNotFoundException"})),
            None => (200, json!({})),
        };
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), answer.to_string().into())))
    }
}

impl Aws {
    /// The keys of an instance that starts while this is the secret.
    async fn keys(current: &'static str) -> (Self, Keys) {
        let aws = Self(Arc::new(Mutex::new(Answers { current, asked: 0, is_silent: false })));
        let connector = SharedHttpConnector::new(aws.clone());
        let config = aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new("us-east-1"))
            .credentials_provider(aws_sdk_dynamodb::config::SharedCredentialsProvider::new(aws_sdk_dynamodb::config::Credentials::new(
                "id", "secret", None, None, "test",
            )))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build();
        let users = tintype_tables::Table { client: aws_sdk_dynamodb::Client::new(&config), name: "users".to_owned() };
        let keys = Keys::load(aws_sdk_secretsmanager::Client::new(&config), "arn".to_owned(), users).await.unwrap();
        (aws, keys)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Answers) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }
}

#[tokio::test]
async fn a_refresh_token_of_a_key_that_others_have_read_is_opened_once_the_secret_is_read_again_and_that_is_not_often() {
    let (aws, keys) = Aws::keys("a").await;
    let token = RefreshToken { user_id: UserId::new(), session_id: SessionId::new(), generation: 7 };
    let sealed = RefreshKey::from_secret("b").seal(&token);
    aws.with(|answers| answers.current = "b");
    assert_eq!((keys.open(&sealed).await, aws.with(|answers| answers.asked)), (None, 1), "it was read just now");
    keys.held().reread_at = Time::now();
    assert_eq!((keys.open(&sealed).await, aws.with(|answers| answers.asked)), (Some(token), 2));
    for _ in 0..100 {
        assert_eq!(keys.open("made.up").await, None);
    }
    assert_eq!(aws.with(|answers| answers.asked), 2);
}

#[tokio::test]
async fn a_secret_that_can_not_be_read_in_time_leaves_the_keys_at_hand() {
    let (aws, keys) = Aws::keys("a").await;
    aws.with(|answers| answers.is_silent = true);
    keys.held().read_again_at = Time::now();
    let asked = std::time::Instant::now();
    let token = RefreshToken { user_id: UserId::new(), session_id: SessionId::new(), generation: 7 };
    assert_eq!(keys.open(&RefreshKey::from_secret("a").seal(&token)).await, Some(token));
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
}
