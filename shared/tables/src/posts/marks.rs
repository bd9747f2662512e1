//! Likes and saves: what a viewer has marked, and how often a post is liked.
//!
//! A mark is one item in its viewer's partition, sorted by the post: what somebody has marked of a page of posts is one query. Its
//! attributes `marked` (the post) and `marked_at` (when and by whom) put it into index `ByMark`, where a post's marks are by time.
//!
//! A like and one shard of the post's count change in one transaction, which is conditional on the like: counts equal likes, whatever is
//! repeated or crosses something else. Whoever likes and takes it back meets the same shard, so none ever falls below zero.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use futures::future::try_join_all;
use serde::Deserialize;
use tintype_core::{PostId, Time, UserId, event::What, post::Post, post_view::Marks};
use tintype_telemetry as telemetry;

use crate::{
    Error, Key, Page, Table,
    among::{self, Placed},
    batches,
    counters::{self, MOST_SHARDS},
    graph::settle,
    memory::{JUST_NOW, TRACE},
    outbox,
    table::{Item, Query, failure, number, read_units, text},
    visibility::chosen::Choice,
    writes::{self, Transaction},
};

/// What the sort keys of a viewer's marks start with.
pub const MARKS: &str = "MARK#";
/// What the sort keys of a viewer's list of saved posts start with.
pub const SAVED: &str = "SAVED#";
/// A counter's name.
const LIKES: &str = "LIKES";
/// How the key of a trace ends. No mark: it is in no index and no count.
const UNLIKED: &str = "UNLIKED";
/// So many marks are read for each post of a page: about as many as one read costs that asks for the two of a post by their keys.
const MARKS_FOR_A_POST: usize = 12;
/// Most marks that are read for a page in one query.
const MOST_MARKS: usize = 300;
/// Marks removed between two looks at the clock: a second's work, since a partition of the index takes a thousand writes in one.
const REMOVED: usize = 500;
/// Marks taken back at once.
const TAKEN_BACK: usize = 8;

/// What somebody has done to a post, as the sort key of the mark ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They like it.
    Like,
    /// They have saved it, and nobody else knows.
    Save,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Like => "LIKED",
            Self::Save => "SAVED",
        }
    }

    /// `marked`: the partition of index `ByMark` where a post's marks of this kind are.
    fn of(self, post: PostId) -> String {
        match self {
            Self::Like => format!("LIKES#{post}"),
            Self::Save => format!("SAVES#{post}"),
        }
    }
}

/// `pk` of all that a viewer has marked.
pub fn partition(viewer: UserId) -> String {
    format!("VIEWER#{viewer}")
}

/// A mark.
pub fn mark(kind: Kind, post: PostId, viewer: UserId) -> Key {
    Key::new(partition(viewer), format!("{MARKS}{post}#{}", kind.as_str()))
}

/// A post's place in its viewer's list of saved ones.
pub fn saved(post: PostId, viewer: UserId, saved_at: Time) -> Key {
    Key::new(partition(viewer), format!("{SAVED}{saved_at}#{post}"))
}

/// `pk` of a post's counters.
pub fn counts(post: PostId) -> String {
    format!("COUNTS#{post}")
}

/// The shard of the number of a post's likes that counts the one of `viewer`.
pub fn like_count(post: PostId, viewer: UserId) -> Key {
    counters::shard(counts(post), LIKES, viewer.shard(MOST_SHARDS))
}

/// A mark's item: the time alone could be another's too, and pages go on after one mark.
fn item(kind: Kind, post: PostId, viewer: UserId, now: Time) -> Item {
    let mut item = mark(kind, post, viewer).item();
    item.insert("marked".to_owned(), text(kind.of(post)));
    item.insert("marked_at".to_owned(), text(format!("{now}#{viewer}")));
    item
}

/// When, from `marked_at`.
pub fn marked_when(marked_at: &str) -> Option<Time> {
    marked_at.split_once('#')?.0.parse().ok()
}

/// What a mark's sort key says.
pub fn parse(sk: &str) -> Option<(PostId, Kind)> {
    let (post, kind) = sk.strip_prefix(MARKS)?.split_once('#')?;
    let kind = [Kind::Like, Kind::Save].into_iter().find(|known| known.as_str() == kind)?;
    Some((post.parse().ok()?, kind))
}

/// The trace of a like that was taken back.
fn unliked(post: PostId, viewer: UserId) -> Key {
    Key::new(partition(viewer), format!("{MARKS}{post}#{UNLIKED}"))
}

fn parse_unliked(sk: &str) -> Option<PostId> {
    let (post, kind) = sk.strip_prefix(MARKS)?.split_once('#')?;
    (kind == UNLIKED).then(|| post.parse().ok()).flatten()
}

/// `viewer` likes `post` from now on. `false`: they did already.
pub async fn like(posts: &Table, post: &Post, viewer: UserId, now: Time) -> Result<bool, Error> {
    let mut like = item(Kind::Like, post.id, viewer, now);
    outbox::speak(&mut like, What::PostLiked { post_id: post.id, author_id: post.author_id, user_id: viewer }, now);
    let mut transaction = Transaction::default();
    transaction.push(writes::put_new(posts, like));
    transaction.push(writes::add(posts, &like_count(post.id, viewer), 1));
    happens(transaction.commit(posts).await)
}

/// `viewer` likes `post` no longer, and for a moment it is seen that they did. `false`: they did not.
pub async fn unlike(posts: &Table, post: PostId, viewer: UserId, now: Time) -> Result<bool, Error> {
    let mut trace = unliked(post, viewer).item();
    trace.insert("marked_at".to_owned(), text(format!("{now}#{viewer}")));
    trace.insert("expires_at".to_owned(), number(now.plus(TRACE).as_seconds()));
    end_like(posts, post, viewer, Some(trace)).await
}

async fn end_like(posts: &Table, post: PostId, viewer: UserId, trace: Option<Item>) -> Result<bool, Error> {
    let key = mark(Kind::Like, post, viewer);
    let mut transaction = Transaction::default();
    let like = transaction.push(writes::delete_present(posts, &key));
    transaction.push(writes::add_present(posts, &like_count(post, viewer), -1));
    transaction.extend(trace.map(|trace| writes::put(posts, trace)));
    match transaction.commit(posts).await {
        Err(Error::Condition(failed)) if !like.is_in(&failed) => {
            // The post is gone, and its count with it: nothing must make it anew.
            posts.delete(&key).await?;
            Ok(true)
        }
        result => happens(result),
    }
}

/// `viewer` has saved `post` from now on. `false`: they had already, and it stays in its place.
pub async fn save(posts: &Table, post: PostId, viewer: UserId, now: Time) -> Result<bool, Error> {
    let mut transaction = Transaction::default();
    transaction.push(writes::put_new(posts, item(Kind::Save, post, viewer, now)));
    transaction.push(writes::put(posts, saved(post, viewer, now).item()));
    happens(transaction.commit(posts).await)
}

/// `viewer` has not saved `post` any more. `false`: they had not.
pub async fn unsave(posts: &Table, post: PostId, viewer: UserId) -> Result<bool, Error> {
    settle(|| async move {
        let Some(Mark { marked_at, .. }) = posts.get(&mark(Kind::Save, post, viewer), true).await? else { return Ok(Some(false)) };
        Ok(unsave_seen(posts, post, viewer, &marked_at).await?.then_some(true))
    })
    .await
}

/// The same for a save that was seen; `false`: it is another one by now, elsewhere in the list, or none.
async fn unsave_seen(posts: &Table, post: PostId, viewer: UserId, marked_at: &str) -> Result<bool, Error> {
    let mut transaction = Transaction::default();
    let seen = [(":seen", text(marked_at))];
    transaction.push(writes::delete_where(posts, &mark(Kind::Save, post, viewer), "marked_at = :seen", seen));
    transaction.extend(marked_when(marked_at).map(|saved_at| writes::delete(posts, &saved(post, viewer, saved_at))));
    happens(transaction.commit(posts).await)
}

/// Whether it was done, or stood like that before.
fn happens(result: Result<(), Error>) -> Result<bool, Error> {
    match result {
        Ok(()) => Ok(true),
        Err(Error::Condition(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A mark, as a query reads it.
#[derive(Debug, Clone, Deserialize)]
pub struct Mark {
    /// Which: see [`parse`].
    pub sk: String,
    /// When and by whom: `{time}#{viewer}`.
    pub marked_at: String,
}

impl Placed for Mark {
    fn sk(&self) -> &str {
        &self.sk
    }
}

/// Whether `viewer` likes `post`, as it stands now.
pub async fn is_liked(posts: &Table, post: PostId, viewer: UserId) -> Result<bool, Error> {
    let like: Option<Key> = posts.get(&mark(Kind::Like, post, viewer), true).await?;
    Ok(like.is_some())
}

/// How many like `post`, as it stands now.
pub async fn likes_now(posts: &Table, post: PostId) -> Result<i64, Error> {
    Ok(counters::read(posts, counts(post), true).await?.get(LIKES).copied().unwrap_or_default())
}

/// How many like each of `ids`: as it stands now if `consistent`, else as of about a second ago.
pub async fn likes(posts: &Table, ids: &[PostId], consistent: bool) -> Result<HashMap<PostId, i64>, Error> {
    counters::read_all(posts, ids, counts, LIKES, consistent).await
}

/// What a viewer has made of a page of posts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OnPage {
    /// All posts of the page. What is not there is not marked.
    pub marks: HashMap<PostId, Marks>,
    /// Those that they have begun or ceased to like just now: a count that is remembered may not know.
    pub just_now: HashSet<PostId>,
}

/// What `viewer` has marked of a page of posts, as it stands now: whoever has just liked one sees it.
///
/// One query, but for whoever has marked very many posts of that time: see [`among::there`].
pub async fn on_page(posts: &Table, viewer: UserId, ids: &[PostId], now: Time) -> Result<OnPage, Error> {
    let marks = |id: &PostId| [mark(Kind::Like, *id, viewer), mark(Kind::Save, *id, viewer), unliked(*id, viewer)];
    let keys: Vec<Key> = ids.iter().flat_map(marks).collect();
    let found: Vec<Mark> = among::there(posts, &keys, (MARKS_FOR_A_POST * ids.len()).min(MOST_MARKS)).await?;
    let mut page = OnPage { marks: ids.iter().map(|id| (*id, Marks::default())).collect(), ..OnPage::default() };
    for mark in found {
        let is_new = marked_when(&mark.marked_at).is_none_or(|at| at.plus(JUST_NOW) > now);
        match parse(&mark.sk) {
            Some((post, Kind::Like)) => {
                page.marks.entry(post).or_default().liked = true;
                page.just_now.extend(is_new.then_some(post));
            }
            Some((post, Kind::Save)) => page.marks.entry(post).or_default().saved = true,
            None => page.just_now.extend(parse_unliked(&mark.sk).filter(|_| is_new)),
        }
    }
    Ok(page)
}

/// A page of what `viewer` has saved, newest first, by its keys in the list. Consistent: what was saved before is in it.
pub async fn saved_by(posts: &Table, viewer: UserId, after: Option<String>, limit: usize) -> Result<Page<PostId>, Error> {
    let query = Query { pk: partition(viewer), prefix: Some(SAVED), after, descending: true, consistent: true, limit };
    let page: Page<Key> = posts.query(query).await?;
    Ok(Page { items: page.items.iter().filter_map(|key| Some(parse_saved(&key.sk)?.0)).collect(), next: page.next })
}

/// What the key of a place in a list of saved posts says.
pub fn parse_saved(sk: &str) -> Option<(PostId, Time)> {
    let (saved_at, post) = sk.strip_prefix(SAVED)?.split_once('#')?;
    Some((post.parse().ok()?, saved_at.parse().ok()?))
}

/// A page of those who like `post`, newest likes first, without those who are hidden; as of about a second ago.
pub async fn likers_but(
    posts: &Table,
    post: PostId,
    after: Option<String>,
    limit: usize,
    is_hidden: impl Fn(UserId) -> bool,
) -> Result<Page<UserId>, Error> {
    let shown = |marked_at: &str| marked_at.split_once('#')?.1.parse().ok().filter(|viewer| !is_hidden(*viewer));
    // From the next millisecond on: before that nobody is passed over.
    let nobody = |marked_at: &str| Some(format!("{}#", marked_when(marked_at)?.plus(Duration::from_millis(1))));
    let mut choice = Choice::new(after, limit, true);
    loop {
        let (marks, next) = of_post(posts, Kind::Like, post, choice.after.clone(), choice.limit).await?;
        let keys = Page { items: marks.into_iter().map(|mark| mark.marked_at).collect(), next };
        if let Some(page) = choice.look(keys, shown, nobody) {
            return Ok(page);
        }
    }
}

/// Whether a cursor of [`likers_but`] can have this key: `{time}#{viewer}`, or `{time}#`.
pub fn is_liker_key(key: &str) -> bool {
    let named = |viewer: &str| viewer.is_empty() || viewer.parse::<UserId>().is_ok();
    marked_when(key).is_some() && key.split_once('#').is_some_and(|(_, viewer)| named(viewer))
}

/// Removes the marks of a post that is gone, and their count: there must be nobody any more who still marks it. `false` if the time was
/// `up` before.
pub async fn remove_of_post(posts: &Table, post: PostId, up: Instant) -> Result<bool, Error> {
    for kind in [Kind::Like, Kind::Save] {
        let mut before = None;
        loop {
            if Instant::now() >= up {
                return Ok(false);
            }
            let (marks, next) = of_post(posts, kind, post, before, REMOVED).await?;
            telemetry::count("removal.marks", marks.len());
            batches::delete(posts, marks.into_iter().flat_map(|mark| mark.keys(kind, post))).await?;
            before = next;
            if before.is_none() {
                break;
            }
        }
    }
    let limit = usize::from(MOST_SHARDS);
    let query = Query { pk: counts(post), prefix: None, after: None, descending: false, consistent: true, limit };
    batches::delete(posts, posts.query::<Key>(query).await?.items).await?;
    Ok(true)
}

/// Takes back all that `viewer` has marked, like by like: counts stay exact. `false` if the time was `up` before.
pub async fn take_back_all(posts: &Table, viewer: UserId, up: Instant) -> Result<bool, Error> {
    loop {
        let query = Query { pk: partition(viewer), prefix: None, after: None, descending: false, consistent: true, limit: REMOVED };
        let page: Page<Key> = posts.query(query).await?;
        if page.items.is_empty() {
            return Ok(true);
        }
        telemetry::count("removal.marks", page.items.len());
        for some in page.items.chunks(TAKEN_BACK) {
            try_join_all(some.iter().map(|key| take_back(posts, viewer, key))).await?;
            if Instant::now() >= up {
                return Ok(false);
            }
        }
    }
}

/// A key of a kind that is not known here would be passed over, and found again for ever.
async fn take_back(posts: &Table, viewer: UserId, key: &Key) -> Result<(), Error> {
    match parse(&key.sk) {
        Some((post, Kind::Like)) => end_like(posts, post, viewer, None).await.map(drop),
        Some((post, Kind::Save)) => unsave(posts, post, viewer).await.map(drop),
        None if parse_saved(&key.sk).is_some() || parse_unliked(&key.sk).is_some() => posts.delete(key).await,
        None => Err(Error::Refused(format!("{} marks no post", key.sk))),
    }
}

/// A mark, as index `ByMark` has it.
#[derive(Debug, Deserialize)]
struct Indexed {
    pk: String,
    sk: String,
    marked_at: String,
}

impl Indexed {
    /// The mark's own, and of a save its place in the list.
    fn keys(self, kind: Kind, post: PostId) -> Vec<Key> {
        let viewer = self.pk.strip_prefix("VIEWER#").and_then(|viewer| viewer.parse().ok()).filter(|_| kind == Kind::Save);
        let listed = viewer.and_then(|viewer| Some(saved(post, viewer, marked_when(&self.marked_at)?)));
        [Some(Key::new(self.pk, self.sk)), listed].into_iter().flatten().collect()
    }
}

/// A post's marks of one kind, newest first, from before the one with `before` as its `marked_at` on, and where to go on; as of about a
/// second ago.
async fn of_post(
    posts: &Table,
    kind: Kind,
    post: PostId,
    before: Option<String>,
    limit: usize,
) -> Result<(Vec<Indexed>, Option<String>), Error> {
    let request = posts
        .client
        .query()
        .table_name(&posts.name)
        .index_name("ByMark")
        .key_condition_expression(if before.is_some() { "marked = :post AND marked_at < :before" } else { "marked = :post" })
        .expression_attribute_values(":post", text(kind.of(post)))
        .scan_index_forward(false)
        .limit(i32::try_from(limit).unwrap_or(i32::MAX))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let request = match before {
        Some(before) => request.expression_attribute_values(":before", text(before)),
        None => request,
    };
    let answer = Box::pin(request.send()).await.map_err(failure)?;
    read_units(answer.consumed_capacity.as_slice());
    let marks: Vec<Indexed> = answer.items.unwrap_or_default().into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?;
    let next = marks.last().map(|mark| mark.marked_at.clone()).filter(|_| answer.last_evaluated_key.is_some());
    Ok((marks, next))
}

#[cfg(test)]
pub(super) mod tests;
