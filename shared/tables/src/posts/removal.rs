//! All that a person has ever posted, for when they leave.
//!
//! Whatever is about a post in this table is found through its author's lists: what is published, what is not, and what was deleted
//! but whose tombstone still stands, or whose entries are still in timelines.
//!
//! Of a post its item goes first, then its files, then what lists it. Whoever works on the post at that moment reads the item again
//! after writing a file, finds it gone, and takes the file back; and whoever was killed in the middle finds the list, and goes on.

use serde::Deserialize;
use tintype_core::{
    PostId, Time, UserId,
    post::{Post, Status},
};

use super::{DELETED, LISTED_LONGER, Listed, PUBLISHED, REMAINS, UNPUBLISHED, author, count, key, published_by};
use crate::{
    Error, Key, Page, Table,
    feeds::ENTRY_LIFETIME,
    table::{Item, Query, number, text},
};

/// The item that lists a post that is deleted now: as long as its tombstone stands, and its entries in timelines.
pub(super) fn listed(post: &Post, now: Time) -> Item {
    let mut item = Key::new(author(post.author_id), format!("{DELETED}{}", post.id)).item();
    let expires_at = now.plus(REMAINS.max(ENTRY_LIFETIME)).plus(LISTED_LONGER);
    item.insert("expires_at".to_owned(), number(expires_at.as_seconds()));
    if post.status == Status::Published {
        item.extend(post.published_at.map(|at| ("published_at".to_owned(), text(at.to_string()))));
    }
    item
}

/// A post in one of its author's lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The post.
    pub post_id: PostId,
    /// What lists it.
    pub listed: Key,
}

/// Some of an author's posts, whatever became of them, as of now; empty once there are no more.
pub async fn traces_of(posts: &Table, author_id: UserId, limit: usize) -> Result<Vec<Trace>, Error> {
    Ok(traces_after(posts, author_id, None, limit).await?.items)
}

/// A page of all of an author's posts, whatever became of them, as of now: for who goes through them and removes none.
pub async fn traces_after(posts: &Table, author_id: UserId, after: Option<String>, limit: usize) -> Result<Page<Trace>, Error> {
    let query = Query { pk: author(author_id), prefix: None, after, descending: false, consistent: true, limit };
    let page: Page<Key> = posts.query(query).await?;
    Ok(Page { items: page.items.into_iter().map(trace).collect::<Result<_, _>>()?, next: page.next })
}

/// A key of a kind that is not known here would be passed over, and found again for ever.
fn trace(listed: Key) -> Result<Trace, Error> {
    let rest = [PUBLISHED, UNPUBLISHED, DELETED].iter().find_map(|prefix| listed.sk.strip_prefix(prefix));
    let post_id = rest.and_then(|rest| rest.rsplit('#').next()?.parse().ok());
    match post_id {
        Some(post_id) => Ok(Trace { post_id, listed }),
        None => Err(Error::Refused(format!("{} lists no post", listed.sk))),
    }
}

/// The posts of an author that may be in timelines, also deleted ones. Nothing older than an entry's life is there, unless it was one of
/// the `latest` when somebody began to follow.
pub async fn fanned_out(posts: &Table, author_id: UserId, latest: usize, now: Time) -> Result<Vec<Listed>, Error> {
    let mut found = deleted(posts, author_id).await?;
    let (mut after, mut older) = (None, 0);
    loop {
        let page = published_by(posts, author_id, after, 1000).await?;
        older += page.items.iter().filter(|listed| now.since(listed.published_at) > ENTRY_LIFETIME).count();
        found.extend(page.items);
        after = page.next;
        if after.is_none() || older >= latest {
            return Ok(found);
        }
    }
}

/// The deleted posts of an author that had been published.
async fn deleted(posts: &Table, author_id: UserId) -> Result<Vec<Listed>, Error> {
    #[derive(Deserialize)]
    struct Deleted {
        sk: String,
        published_at: Option<Time>,
    }
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let query = Query { pk: author(author_id), prefix: Some(DELETED), after, descending: false, consistent: true, limit: 1000 };
        let page: Page<Deleted> = posts.query(query).await?;
        found.extend(
            page.items.into_iter().filter_map(|item| {
                Some(Listed { post_id: item.sk.strip_prefix(DELETED)?.parse().ok()?, published_at: item.published_at? })
            }),
        );
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// Removes a post's item, whatever it is: whoever still works on the post finds none, and takes back what it has written.
pub async fn remove_item(posts: &Table, post: PostId) -> Result<(), Error> {
    posts.delete(&key(post)).await
}

/// Removes what lists a post: nothing of it is left but this.
pub async fn remove_trace(posts: &Table, trace: &Trace) -> Result<(), Error> {
    posts.delete(&trace.listed).await
}

/// Removes the count of a person's posts, of which none is left.
pub async fn remove_count(posts: &Table, author: UserId) -> Result<(), Error> {
    posts.delete(&count(author)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_of_an_author_leads_to_its_posts_and_what_does_not_is_said() {
        let (author_id, post_id) = (UserId::new(), PostId::new());
        for sk in [format!("{PUBLISHED}{}#{post_id}", Time::now()), format!("{UNPUBLISHED}{post_id}"), format!("{DELETED}{post_id}")] {
            let listed = Key::new(author(author_id), sk);
            assert_eq!(trace(listed.clone()).unwrap(), Trace { post_id, listed });
        }
        assert!(trace(Key::new(author(author_id), "SAVED#1")).is_err());
    }
}
