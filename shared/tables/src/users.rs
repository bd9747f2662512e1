//! The Users table, written by `users` alone.
//!
//! | item | pk | sk | attributes | read by |
//! |---|---|---|---|---|
//! | Account | `USER#{user}` | `ACCOUNT` | `email`, `password_hash`, `password_version`, `created_at`, `totp_...`; never speaks | users |
//! | Profile | `USER#{user}` | `PROFILE` | [`ProfileCard`], `bio`, `website`, `notify_...` | users; the card by all that show people; `notify_...` by notifier |
//! | Name | `USERNAME#{username}` | `USERNAME` | `user_id` | users, posts |
//! | E-mail | `EMAIL#{email}` | `EMAIL` | `user_id` | users |
//! | Session | `USER#{user}` | `SESSION#{session}` | [`Session`]; never speaks; no item: not alive | users; whether it is alive by all that verify tokens |
//! | Follow | `USER#{follower}` | `FOLLOWING#{followee}` | `since`; speaks `follow.changed` | users, feed-fanout |
//! | Follower | `USER#{followee}` | `FOLLOWER#{follower}` | `since` | users, feed-fanout |
//! | Request | `USER#{follower}` | `REQUESTED#{followee}` | `since`; speaks `follow.requested` | users, notifier |
//! | Requested | `USER#{followee}` | `REQUEST#{follower}` | `since` | users |
//! | Fence | `USER#{viewer}` | `FENCE#{author}` | `kind`, `since`, `expires_at`; speaks `follow.changed` | feed |
//! | Fenced | `USER#{author}` | `FENCED_BY#{viewer}` | `expires_at` | the deletion of an account |
//! | Block | `USER#{blocker}` | `FENCE#{blocked}#BLOCKING` | `kind`, `since`; speaks `block.changed` | all that show people's things |
//! | Blocked | `USER#{blocked}` | `FENCE#{blocker}#BLOCKED` | `kind`, `since` | the same |
//! | Mute | `USER#{muter}` | `FENCE#{muted}#MUTING` | `kind`, `since`; speaks `mute.changed` | users, feed, notifier |
//! | Muted | `USER#{muted}` | `MUTED_BY#{muter}` | | the deletion of an account |
//! | Deletion | `DELETION#{job}` | `DELETION` | the job; in `ByDeadline` while it runs; speaks `account.deleted` | users; janitor its key |
//! | Export | `USER#{user}` | `EXPORT#{job}` | the job; in `ByDeadline` while it runs; speaks `export.requested`, `export.ready` | the same; notifier |
//! | Turning | `USER#{user}` | `PRIVACY` | the job that follows when the account turns private or public; in `ByDeadline` while it runs | users; posts-worker; janitor its key |
//! | Popular | `POPULAR` | `POPULAR` | [`crate::popular::Popular`] | users |
//! | Exporting | `USER#{user}` | `EXPORTING` | `job_id`: the export that runs | users |
//! | Counter | `COUNTS#{user}` | `FOLLOWERS#{shard}`, `FOLLOWING#{shard}` | `count` | users |
//! | Keys | `KEYS` | `JWKS` | `jwks`: public keys (RFC 7517) as JSON; `times`: since and until when they are in use | all that verify tokens |
//!
//! Index `ByDeadline` (`unfinished`, `deadline`) is sparse: a job is in it while it has not ended.
//!
//! What hides an author from a viewer begins with `FENCE#{author}` in the viewer's partition, whatever the reason: one query finds
//! all. What is the other side of a fence alone ("fenced", "muted") is found by who is deleted, and shown to nobody.
//!
//! A follow is two items, one on each side, so that both lists can be read, and read consistently: they and the counters
//! change in one transaction. A fence hides an author from a viewer's home from the moment an unfollow is answered; one also says that a
//! request was withdrawn or refused.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_core::{JobId, SessionId, Time, UserId, name::Username, notification::Kind, profile::ProfileCard};

use crate::{Error, Key, Page, Table, counters, table::Query};

/// `pk` of all that belongs to one person.
pub fn partition(user: UserId) -> String {
    format!("USER#{user}")
}

/// Who may log in.
pub fn account(user: UserId) -> Key {
    Key::new(partition(user), "ACCOUNT")
}

/// How others see them.
pub fn profile(user: UserId) -> Key {
    Key::new(partition(user), "PROFILE")
}

/// Whose name it is.
pub fn name(username: &Username) -> Key {
    Key::new(format!("USERNAME#{username}"), "USERNAME")
}

/// Whose e-mail address it is (in lower case).
pub fn email(address: &str) -> Key {
    Key::new(format!("EMAIL#{address}"), "EMAIL")
}

/// What the sort keys of a person's sessions start with.
pub const SESSIONS: &str = "SESSION#";
/// What the sort keys of those whom a person follows start with.
pub const FOLLOWING: &str = "FOLLOWING#";
/// What the sort keys of a person's followers start with.
pub const FOLLOWERS: &str = "FOLLOWER#";
/// What the sort keys of the authors whom a viewer must not see start with.
pub const FENCES: &str = "FENCE#";

/// What the sort keys of the other sides of fences start with.
pub const FENCED_BY: &str = "FENCED_BY#";
/// What the sort keys of the other sides of mutes start with.
pub const MUTED_BY: &str = "MUTED_BY#";
/// What the sort keys of the requests that a person has made start with.
pub const REQUESTED: &str = "REQUESTED#";
/// What the sort keys of the requests that wait for a person start with.
pub const REQUESTS: &str = "REQUEST#";
/// What the sort keys of a person's exports start with.
pub const EXPORTS: &str = "EXPORT#";
/// The sort key of what follows when a person's account turns private or public.
pub const TURNING: &str = "PRIVACY";

/// A log-in.
pub fn session(user: UserId, session: SessionId) -> Key {
    Key::new(partition(user), format!("{SESSIONS}{session}"))
}

/// A follow, seen from the follower.
pub fn following(follower: UserId, followee: UserId) -> Key {
    Key::new(partition(follower), format!("{FOLLOWING}{followee}"))
}

/// The same follow, seen from the followed.
pub fn follower(followee: UserId, follower: UserId) -> Key {
    Key::new(partition(followee), format!("{FOLLOWERS}{follower}"))
}

/// What hides `author` from `viewer`'s home.
pub fn fence(viewer: UserId, author: UserId) -> Key {
    Key::new(partition(viewer), format!("{FENCES}{author}"))
}

/// The other side of a fence.
pub fn fenced_by(author: UserId, viewer: UserId) -> Key {
    Key::new(partition(author), format!("{FENCED_BY}{viewer}"))
}

/// `blocker` blocks `blocked`.
pub fn blocking(blocker: UserId, blocked: UserId) -> Key {
    Key::new(partition(blocker), format!("{FENCES}{blocked}#BLOCKING"))
}

/// The same block, seen from the blocked.
pub fn blocked(blocked: UserId, blocker: UserId) -> Key {
    Key::new(partition(blocked), format!("{FENCES}{blocker}#BLOCKED"))
}

/// `muter` does not want to see what `muted` posts and does.
pub fn muting(muter: UserId, muted: UserId) -> Key {
    Key::new(partition(muter), format!("{FENCES}{muted}#MUTING"))
}

/// The other side of a mute.
pub fn muted_by(muted: UserId, muter: UserId) -> Key {
    Key::new(partition(muted), format!("{MUTED_BY}{muter}"))
}

/// `follower` waits for `followee`'s approval.
pub fn requested(follower: UserId, followee: UserId) -> Key {
    Key::new(partition(follower), format!("{REQUESTED}{followee}"))
}

/// The same request, seen from who is to approve it.
pub fn request(followee: UserId, follower: UserId) -> Key {
    Key::new(partition(followee), format!("{REQUESTS}{follower}"))
}

/// The deletion of an account.
pub fn deletion(job: JobId) -> Key {
    Key::new(format!("DELETION#{job}"), "DELETION")
}

/// An archive of all that a person has made.
pub fn export(user: UserId, job: JobId) -> Key {
    Key::new(partition(user), format!("{EXPORTS}{job}"))
}

/// Which export of a person runs: there is one at a time.
pub fn exporting(user: UserId) -> Key {
    Key::new(partition(user), "EXPORTING")
}

/// What follows when a person's account has turned private or public: the newest turn is the only one.
pub fn turning(user: UserId) -> Key {
    Key::new(partition(user), TURNING)
}

/// The export that runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exporting {
    /// Its job.
    pub job_id: JobId,
}

/// `pk` of a person's counters.
pub fn counts(user: UserId) -> String {
    format!("COUNTS#{user}")
}

/// The shard of `followee`'s counter that counts `follower`: the same for the follow and the unfollow.
pub fn follower_count(followee: UserId, follower: UserId) -> Key {
    counters::shard(counts(followee), COUNT_OF_FOLLOWERS, follower.shard(COUNT_SHARDS))
}

/// The shard of `follower`'s counter that counts `followee`.
pub fn following_count(follower: UserId, followee: UserId) -> Key {
    counters::shard(counts(follower), COUNT_OF_FOLLOWING, followee.shard(COUNT_SHARDS))
}

const COUNT_OF_FOLLOWERS: &str = "FOLLOWERS";
const COUNT_OF_FOLLOWING: &str = "FOLLOWING";

/// Shards of a counter.
const COUNT_SHARDS: u8 = 8;

/// The public keys.
pub fn jwks() -> Key {
    Key::new("KEYS", "JWKS")
}

/// An item that says whose something is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claim {
    /// Whose.
    pub user_id: UserId,
}

/// The person with this username. Consistent: whoever has just signed up is found.
pub async fn find(users: &Table, username: &Username) -> Result<Option<UserId>, Error> {
    let claim: Option<Claim> = users.get(&name(username), true).await?;
    Ok(claim.map(|claim| claim.user_id))
}

/// A person's card, eventually consistent; but whoever has just signed up is found.
pub async fn card(users: &Table, user: UserId) -> Result<Option<ProfileCard>, Error> {
    let key = profile(user);
    match users.get(&key, false).await? {
        Some(card) => Ok(Some(card)),
        None => users.get(&key, true).await,
    }
}

/// A person's card as it stands now.
pub async fn card_now(users: &Table, user: UserId) -> Result<Option<ProfileCard>, Error> {
    users.get(&profile(user), true).await
}

/// The cards of those of `ids` who exist.
pub async fn cards(users: &Table, ids: impl IntoIterator<Item = UserId>) -> Result<HashMap<UserId, ProfileCard>, Error> {
    cards_of(users, ids, false).await
}

/// [`cards`] as they stand now: of whoever has just signed up, too.
pub async fn cards_now(users: &Table, ids: impl IntoIterator<Item = UserId>) -> Result<HashMap<UserId, ProfileCard>, Error> {
    cards_of(users, ids, true).await
}

async fn cards_of(users: &Table, ids: impl IntoIterator<Item = UserId>, consistent: bool) -> Result<HashMap<UserId, ProfileCard>, Error> {
    let unique: HashSet<UserId> = ids.into_iter().collect();
    let keys: Vec<Key> = unique.into_iter().map(profile).collect();
    let cards: Vec<ProfileCard> = users.batch_get(&keys, consistent).await?;
    Ok(cards.into_iter().map(|card| (card.id, card)).collect())
}

/// Whether `user` wants to be notified of things of this `kind`, as of now; they do unless they say otherwise. `None`: there is no such
/// person.
pub async fn wants(users: &Table, user: UserId, kind: Kind) -> Result<Option<bool>, Error> {
    let profile: Option<HashMap<String, Value>> = users.get(&profile(user), true).await?;
    Ok(profile.map(|profile| profile.get(&format!("notify_{}", kind.as_str())) != Some(&Value::Bool(false))))
}

/// Whether `follower` waits for `followee`'s approval, as of now.
pub async fn is_requested(users: &Table, follower: UserId, followee: UserId) -> Result<bool, Error> {
    Ok(users.get::<Key>(&requested(follower, followee), true).await?.is_some())
}

/// Since when `follower` follows `followee`, as of now.
pub async fn followed_since(users: &Table, follower: UserId, followee: UserId) -> Result<Option<Time>, Error> {
    let follow: Option<Follow> = users.get(&following(follower, followee), true).await?;
    Ok(follow.map(|follow| follow.since))
}

#[derive(Deserialize)]
struct Follow {
    since: Time,
}

/// A page of those who follow `followee`, as of now: whoever followed before this began is in it.
pub async fn followers_of(users: &Table, followee: UserId, after: Option<String>, limit: usize) -> Result<Page<UserId>, Error> {
    let query = Query { pk: partition(followee), prefix: Some(FOLLOWERS), after, descending: false, consistent: true, limit };
    edges(users, query).await
}

#[derive(Deserialize)]
struct Edge {
    sk: String,
}

/// The people at the other ends of a person's edges.
pub async fn edges(users: &Table, query: Query<'_>) -> Result<Page<UserId>, Error> {
    let page: Page<Edge> = users.query(query).await?;
    let other_end = |edge: &Edge| edge.sk.split('#').nth(1).and_then(|id| id.parse().ok());
    Ok(Page { items: page.items.iter().filter_map(other_end).collect(), next: page.next })
}

/// A log-in on one device, and how far the rotation of its refresh tokens has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Of the newest refresh token that was given out, from 0.
    pub generation: u64,
    /// When that one was made.
    pub rotated_at: Time,
    /// When the person logged in.
    pub created_at: Time,
    /// What the device called itself then.
    pub user_agent: Option<String>,
    /// Seconds since 1970.
    pub expires_at: i64,
    /// Which of the person's passwords, counted from 0, it was begun with or has outlived.
    #[serde(default)]
    pub password_version: u64,
}

impl Session {
    /// Whether its time is not over: DynamoDB deletes items late.
    pub fn is_alive(&self, now: Time) -> bool {
        self.expires_at > now.as_seconds()
    }
}

/// A session, if it is alive. Consistent: a revocation is seen by the next read.
pub async fn live_session(users: &Table, user: UserId, id: SessionId, now: Time) -> Result<Option<Session>, Error> {
    let session: Option<Session> = users.get(&session(user, id), true).await?;
    Ok(session.filter(|session| session.is_alive(now)))
}

/// How many follow a person, and how many they follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FollowCounts {
    /// Who follow them.
    pub followers: i64,
    /// Whom they follow.
    pub following: i64,
}

/// A person's counts, eventually consistent: the sums of the counters' shards.
pub async fn follow_counts(users: &Table, user: UserId) -> Result<FollowCounts, Error> {
    sum(users, user, false).await
}

/// A person's counts as they stand now.
pub async fn follow_counts_now(users: &Table, user: UserId) -> Result<FollowCounts, Error> {
    sum(users, user, true).await
}

async fn sum(users: &Table, user: UserId, consistent: bool) -> Result<FollowCounts, Error> {
    let counts = counters::read(users, counts(user), consistent).await?;
    let count = |name| counts.get(name).copied().unwrap_or_default();
    Ok(FollowCounts { followers: count(COUNT_OF_FOLLOWERS), following: count(COUNT_OF_FOLLOWING) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shards_take_part() {
        let followee = UserId::new();
        let shards: HashSet<String> = (0..500).map(|_| follower_count(followee, UserId::new()).sk).collect();
        assert_eq!(shards.len(), COUNT_SHARDS as usize);
    }
}
