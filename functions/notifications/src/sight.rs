//! What of a page of notifications is shown now: what they are about may be gone, and who did it may be somebody whom the viewer is not to
//! hear of any more, whether the notifier has come to that yet or not.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tintype_core::{
    CommentId, PostId, UserId,
    notification::{Kind, Note},
    post::Post,
    profile::{Author, ProfileCard},
};
use tintype_tables::{Error, Key, comments, posts, users, visibility};
use tintype_telemetry as telemetry;
use tokio::try_join;

use crate::Stores;

/// Whether a notification is shown.
pub(crate) enum Shown {
    /// With these people, and without counting so many who are gone, or whom the viewer is not to hear of.
    As(Vec<Author>, usize),
    /// Nobody of those who did it can be named just now, or the post is not for the viewer's eyes.
    NotNow,
    /// What it is about is gone.
    NoMore,
}

/// All that a page of notifications is about, as far as it is there for the viewer. Consistent, but for how people call themselves.
#[derive(Default)]
pub(crate) struct Sight {
    /// Those that are open to the viewer.
    pub(crate) posts: HashMap<PostId, Post>,
    /// Those that are there but not open to the viewer: they may be again.
    closed: HashSet<PostId>,
    comments: HashSet<CommentId>,
    people: HashMap<UserId, Arc<ProfileCard>>,
    /// Not all people could be read: who is not among them may be there all the same.
    is_degraded: bool,
    /// Of whom the viewer is not to hear.
    silent: HashSet<UserId>,
    /// Who waits for the viewer's approval.
    waiting: HashSet<UserId>,
}

impl Sight {
    pub(crate) async fn of(stores: &Stores, viewer: UserId, notes: &[Note]) -> Result<Self, Error> {
        if notes.is_empty() {
            return Ok(Self::default());
        }
        let posts = |is_failed: bool| {
            let posts = notes.iter().filter(move |note| (note.kind == Kind::PostFailed) == is_failed).filter_map(|note| note.post_id);
            unique(posts)
        };
        let (published, failed) = (posts(false), posts(true));
        let comments = unique(notes.iter().filter_map(|note| note.comment_id));
        let asking = notes.iter().filter(|note| note.kind == Kind::FollowRequest).flat_map(|note| note.actors.iter().copied());
        let asking: Vec<Key> = unique(asking).into_iter().map(|actor| users::request(viewer, actor)).collect();
        let (mut posts, failed, comments, people, silence, waiting) = try_join!(
            posts::cards_now(&stores.posts, &published),
            posts::drafts(&stores.posts, &failed),
            comments::there(&stores.comments, &comments),
            stores.cards.people(&stores.users, notes.iter().flat_map(|note| note.actors.iter().copied()), Some(viewer)),
            visibility::silence_of(&stores.users, viewer),
            stores.users.batch_get::<Key>(&asking, true),
        )?;
        posts.extend(failed);
        // Most are about the viewer's own, which nothing hides from them.
        let authors: Vec<UserId> = posts.values().map(|post| post.author_id).filter(|author| *author != viewer).collect();
        let open = visibility::open_but(&stores.users, viewer, authors, &silence).await?;
        let is_open = |author: UserId| author == viewer || open.contains_key(&author);
        let closed = posts.extract_if(|_, post| !is_open(post.author_id)).map(|(post_id, _)| post_id).collect();
        let is_degraded = !telemetry::degraded().is_empty();
        let waiting = waiting.iter().filter_map(|key| key.sk.strip_prefix(users::REQUESTS)?.parse().ok()).collect();
        Ok(Self { posts, closed, comments, people, silent: silence.people, waiting, is_degraded })
    }

    pub(crate) fn of_note(&self, note: &Note) -> Shown {
        let is_closed = note.post_id.is_some_and(|post_id| self.closed.contains(&post_id));
        let is_there = note.post_id.is_none_or(|post_id| is_closed || self.posts.contains_key(&post_id))
            && note.comment_id.is_none_or(|comment_id| self.comments.contains(&comment_id))
            && (note.kind != Kind::FollowRequest || note.actors.iter().all(|actor| self.waiting.contains(actor)));
        if !is_there {
            return Shown::NoMore;
        }
        let (silent, heard): (Vec<UserId>, Vec<UserId>) = note.actors.iter().partition(|actor| self.silent.contains(*actor));
        let named: Vec<Author> = heard.iter().filter_map(|actor| self.people.get(actor)).map(|card| Author::from(&**card)).collect();
        if is_closed || (named.is_empty() && !note.actors.is_empty()) {
            return Shown::NotNow;
        }
        let gone = if self.is_degraded { 0 } else { heard.len() - named.len() };
        Shown::As(named, silent.len() + gone)
    }
}

fn unique<T: std::hash::Hash + Eq>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.collect::<HashSet<T>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_cannot_be_read_just_now_is_counted_and_who_is_gone_or_silent_is_not() {
        let [named, silent, unread] = std::array::from_fn(|_| UserId::new());
        let note = json!({
            "id": UserId::new(), "kind": "follow", "updated_at": "2026-12-01T00:00:00.000Z", "actors": [named, silent, unread],
            "actor_count": 3, "expires_at": 0
        });
        let note: Note = serde_json::from_value(note).unwrap();
        let card = json!({"id": named, "username": "ada", "display_name": "Ada", "is_private": false});
        let people = HashMap::from([(named, Arc::new(serde_json::from_value(card).unwrap()))]);
        let mut sight = Sight { people, silent: [silent].into(), ..Sight::default() };
        for (is_degraded, uncounted) in [(false, 2), (true, 1)] {
            sight.is_degraded = is_degraded;
            let Shown::As(actors, number) = sight.of_note(&note) else { panic!("it is shown") };
            assert_eq!((actors[0].id, actors.len(), number), (named, 1, uncounted));
        }
    }
}
