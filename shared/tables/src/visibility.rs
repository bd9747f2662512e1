//! How a viewer stands to another person, and what that lets them see.
//!
//! One place answers for profiles, posts, lists and whatever comes later. All of it is read consistently: what a block, an approval or a
//! change to a private account has answered holds for the very next read.

pub(crate) mod chosen;

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use tintype_core::{Time, UserId, profile::ProfileCard};
use tokio::try_join;

use crate::{
    Error, Key, Page, Table,
    memory::JUST_NOW,
    table::Query,
    users::{self, FENCES},
};
use chosen::Choice;

/// How a viewer stands to another person.
#[expect(clippy::struct_excessive_bools, reason = "each is an edge of its own, and they go together as they like")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Relationship {
    /// The viewer follows them.
    pub following: bool,
    /// The viewer waits for their approval.
    pub requested: bool,
    /// They follow the viewer.
    pub followed_by: bool,
    /// The viewer blocks them.
    pub blocking: bool,
    /// They block the viewer, who is not told.
    pub blocked: bool,
    /// The viewer has muted them.
    pub muting: bool,
}

impl Relationship {
    /// As of now.
    pub async fn read(users: &Table, viewer: UserId, other: UserId) -> Result<Self, Error> {
        Ok(Self::read_with_age(users, viewer, other, Time::now()).await?.0)
    }

    /// The same, and whether it has become so just now, or ceased to be: the counts of it that are remembered may not know yet.
    ///
    /// All of it lies in the viewer's partition: the edges at their keys, and all fences behind one prefix, in one read unit.
    pub async fn read_with_age(users: &Table, viewer: UserId, other: UserId, now: Time) -> Result<(Self, bool), Error> {
        let [following, requested, followed_by] =
            [users::following(viewer, other), users::requested(viewer, other), users::follower(viewer, other)];
        let edges = [following.clone(), requested.clone(), followed_by.clone()];
        let Key { pk, sk } = users::fence(viewer, other);
        let fences = Query { pk, prefix: Some(&sk), after: None, descending: false, consistent: true, limit: 10 };
        let (edges, fences) = try_join!(users.batch_get::<Edge>(&edges, true), users.query::<Edge>(fences))?;
        let since = |key: &Key| edges.iter().find(|edge| edge.sk == key.sk).map(|edge| edge.since);
        let fence = |kind| fences.items.iter().find(|edge| Fence::of_key(&edge.sk) == Some((other, kind))).map(|edge| edge.since);
        let (following, requested, followed_by) = (since(&following), since(&requested), since(&followed_by));
        let (blocking, blocked, unfollowed) = (fence(Fence::Blocking), fence(Fence::Blocked), fence(Fence::Unfollowed));
        let counted = [following, followed_by, blocking, blocked, unfollowed];
        let is_new = counted.into_iter().flatten().flatten().any(|since| since.plus(JUST_NOW) > now);
        let relationship = Self {
            following: following.is_some(),
            requested: requested.is_some(),
            followed_by: followed_by.is_some(),
            blocking: blocking.is_some(),
            blocked: blocked.is_some(),
            muting: fence(Fence::Muting).is_some(),
        };
        Ok((relationship, is_new))
    }
}

/// Something between two people, and since when.
#[derive(Deserialize)]
struct Edge {
    sk: String,
    since: Option<Time>,
}

async fn are_there<const N: usize>(users: &Table, keys: [Key; N]) -> Result<[bool; N], Error> {
    let found: HashSet<Key> = users.batch_get(&keys, true).await?.into_iter().collect();
    Ok(keys.map(|key| found.contains(&key)))
}

/// Whether `viewer` is not to hear of what `person` does: one blocks the other, or `viewer` has muted them. As of now, in one read unit:
/// all that could say so begins alike, and is seldom there.
pub async fn is_silent(users: &Table, viewer: UserId, person: UserId) -> Result<bool, Error> {
    let Key { pk, sk } = users::fence(viewer, person);
    let query = Query { pk, prefix: Some(&sk), after: None, descending: false, consistent: true, limit: 10 };
    let fences: Page<Key> = users.query(query).await?;
    let kinds = fences.items.iter().filter_map(|key| Fence::of_key(&key.sk));
    Ok(kinds.map(|(_, fence)| fence).any(|fence| fence != Fence::Unfollowed))
}

/// What of a person somebody sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Nothing: one of the two blocks the other.
    Nothing,
    /// Who they are, and nothing that they have made: the account is private.
    Profile,
    /// All.
    Everything,
}

/// A person, and what `viewer` (`None`: nobody in particular) sees of them. `None`: there is no such person.
pub async fn look(users: &Table, viewer: Option<UserId>, person: UserId) -> Result<Option<(ProfileCard, Sight)>, Error> {
    let profile = users::profile(person);
    let card = users.get::<ProfileCard>(&profile, true);
    let Some(viewer) = viewer.filter(|viewer| *viewer != person) else {
        let own = viewer == Some(person);
        return Ok(card.await?.map(|card| {
            let sight = if own { Sight::Everything } else { sight(&card, [false; 3]) };
            (card, sight)
        }));
    };
    let edges = [users::following(viewer, person), users::blocking(viewer, person), users::blocked(viewer, person)];
    let (card, edges) = try_join!(card, are_there(users, edges))?;
    Ok(card.map(|card| {
        let sight = sight(&card, edges);
        (card, sight)
    }))
}

fn sight(card: &ProfileCard, [following, blocking, blocked]: [bool; 3]) -> Sight {
    if blocking || blocked {
        Sight::Nothing
    } else if card.is_private && !following {
        Sight::Profile
    } else {
        Sight::Everything
    }
}

/// The cards of those among `people` all of whose things `viewer` sees. What `look` says of one, for many at once.
pub async fn open_among(
    users: &Table,
    viewer: UserId,
    people: impl IntoIterator<Item = UserId>,
) -> Result<HashMap<UserId, ProfileCard>, Error> {
    // A batch is refused if it asks for one item twice.
    let people: HashSet<UserId> = people.into_iter().collect();
    let (blocks, cards) = try_join!(blocks_of(users, viewer), profiles_of(users, people))?;
    open_of(users, viewer, cards, &blocks).await
}

/// The same for whoever knows already of whose doings `viewer` is not to hear.
pub async fn open_but(
    users: &Table,
    viewer: UserId,
    people: impl IntoIterator<Item = UserId>,
    silence: &Silence,
) -> Result<HashMap<UserId, ProfileCard>, Error> {
    open_of(users, viewer, profiles_of(users, people.into_iter().collect()).await?, &silence.blocks).await
}

async fn profiles_of(users: &Table, people: HashSet<UserId>) -> Result<Vec<ProfileCard>, Error> {
    let profiles: Vec<Key> = people.into_iter().map(users::profile).collect();
    users.batch_get(&profiles, true).await
}

async fn open_of(
    users: &Table,
    viewer: UserId,
    cards: Vec<ProfileCard>,
    blocks: &HashSet<UserId>,
) -> Result<HashMap<UserId, ProfileCard>, Error> {
    let private = cards.iter().filter(|card| card.is_private && card.id != viewer).map(|card| users::following(viewer, card.id));
    let followed: HashSet<Key> = users.batch_get(&private.collect::<Vec<_>>(), true).await?.into_iter().collect();
    let is_open = |card: &ProfileCard| {
        let is_blocked = blocks.contains(&card.id);
        card.id == viewer
            || sight(card, [followed.contains(&users::following(viewer, card.id)), is_blocked, is_blocked]) == Sight::Everything
    };
    Ok(cards.into_iter().filter(is_open).map(|card| (card.id, card)).collect())
}

/// Why an author is hidden from a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fence {
    /// The viewer has unfollowed the author, or a block has ended the follow.
    Unfollowed,
    /// The viewer blocks the author.
    Blocking,
    /// The author blocks the viewer.
    Blocked,
    /// The viewer has muted the author.
    Muting,
}

impl Fence {
    /// As attribute `kind` says it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Unfollowed => "unfollowed",
            Self::Blocking => "blocking",
            Self::Blocked => "blocked",
            Self::Muting => "muting",
        }
    }

    /// Where the fence is that hides `author` from `viewer`.
    fn key(self, viewer: UserId, author: UserId) -> Key {
        match self {
            Self::Unfollowed => users::fence(viewer, author),
            Self::Blocking => users::blocking(viewer, author),
            Self::Blocked => users::blocked(viewer, author),
            Self::Muting => users::muting(viewer, author),
        }
    }

    /// Whom a sort key hides, and why: `FENCE#{author}`, `FENCE#{author}#MUTING`.
    pub fn of_key(sk: &str) -> Option<(UserId, Self)> {
        let rest = sk.strip_prefix(FENCES)?;
        let (author, kind) = rest.split_once('#').unwrap_or((rest, ""));
        let fence = match kind {
            "" => Self::Unfollowed,
            "BLOCKING" => Self::Blocking,
            "BLOCKED" => Self::Blocked,
            "MUTING" => Self::Muting,
            _ => return None,
        };
        Some((author.parse().ok()?, fence))
    }
}

/// The authors whom `viewer` is not to see at home, whatever the reason, as of now.
pub async fn fences_of(users: &Table, viewer: UserId) -> Result<HashSet<UserId>, Error> {
    hidden(users, viewer, |_| true).await
}

/// Of whose doings a viewer is not to hear.
#[derive(Debug, Default)]
pub struct Silence {
    /// All of them: see [`is_silent`].
    pub people: HashSet<UserId>,
    /// Those with whom there is a block: neither is to see the other anywhere.
    pub blocks: HashSet<UserId>,
}

/// Of whose doings `viewer` is not to hear, as of now.
pub async fn silence_of(users: &Table, viewer: UserId) -> Result<Silence, Error> {
    let mut silence = Silence::default();
    each_fence(users, viewer, |person, fence| match fence {
        Fence::Unfollowed => {}
        Fence::Muting => {
            silence.people.insert(person);
        }
        Fence::Blocking | Fence::Blocked => {
            silence.people.insert(person);
            silence.blocks.insert(person);
        }
    })
    .await?;
    Ok(silence)
}

/// The people whom `viewer` blocks, or who block `viewer`, as of now: neither is to see the other anywhere.
pub async fn blocks_of(users: &Table, viewer: UserId) -> Result<HashSet<UserId>, Error> {
    hidden(users, viewer, |fence| matches!(fence, Fence::Blocking | Fence::Blocked)).await
}

async fn hidden(users: &Table, viewer: UserId, counts: impl Fn(Fence) -> bool) -> Result<HashSet<UserId>, Error> {
    let mut people = HashSet::new();
    each_fence(users, viewer, |person, fence| {
        if counts(fence) {
            people.insert(person);
        }
    })
    .await?;
    Ok(people)
}

async fn each_fence(users: &Table, viewer: UserId, mut note: impl FnMut(UserId, Fence)) -> Result<(), Error> {
    let mut after = None;
    loop {
        let page = fences(users, viewer, after, 1000).await?;
        page.items.into_iter().for_each(|(_, person, fence)| note(person, fence));
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// A page of the people before whom `viewer` has put one kind of fence. Who blocks the viewer is nobody whom the viewer may hear of, but
/// for the viewer's own blocks: those can be undone whatever the other one does.
pub async fn fenced_off(users: &Table, viewer: UserId, kind: Fence, after: Option<String>, limit: usize) -> Result<Page<UserId>, Error> {
    let query = Query { pk: users::partition(viewer), prefix: Some(FENCES), after, descending: false, consistent: true, limit };
    let blockers = if kind == Fence::Blocking { HashSet::new() } else { hidden(users, viewer, |fence| fence == Fence::Blocked).await? };
    let is_shown = |person, fence| fence == kind && !blockers.contains(&person);
    let shown = |sk: &str| Fence::of_key(sk).filter(|&(person, fence)| is_shown(person, fence)).map(|(person, _)| person);
    let nobody = |sk: &str| Fence::of_key(sk).map(|(person, _)| kind.key(viewer, person.floor()).sk);
    chosen_of(users, query, shown, nobody).await
}

/// A page of the people at the other ends of a person's edges, without those who are hidden. The query's prefix says which edges.
pub async fn edges_but(users: &Table, query: Query<'_>, is_hidden: impl Fn(UserId) -> bool) -> Result<Page<UserId>, Error> {
    let prefix = query.prefix.unwrap_or_default();
    let person = |sk: &str| sk.strip_prefix(prefix).and_then(|id| id.parse::<UserId>().ok());
    let shown = |sk: &str| person(sk).filter(|person| !is_hidden(*person));
    chosen_of(users, query, shown, |sk| person(sk).map(|person| format!("{prefix}{}", person.floor()))).await
}

/// A page of those people of a partition who are `shown`.
async fn chosen_of(
    users: &Table,
    query: Query<'_>,
    shown: impl Fn(&str) -> Option<UserId>,
    nobody: impl Fn(&str) -> Option<String>,
) -> Result<Page<UserId>, Error> {
    let mut choice = Choice::new(query.after.clone(), query.limit, query.descending);
    loop {
        let page: Page<Key> = users.query(Query { after: choice.after.clone(), limit: choice.limit, ..query.clone() }).await?;
        let keys = Page { items: page.items.into_iter().map(|key| key.sk).collect(), next: page.next };
        if let Some(page) = choice.look(keys, &shown, &nobody) {
            return Ok(page);
        }
    }
}

async fn fences(users: &Table, viewer: UserId, after: Option<String>, limit: usize) -> Result<Page<(String, UserId, Fence)>, Error> {
    let query = Query { pk: users::partition(viewer), prefix: Some(FENCES), after, descending: false, consistent: true, limit };
    let page: Page<Key> = users.query(query).await?;
    let fence = |key: Key| Fence::of_key(&key.sk).map(|(person, fence)| (key.sk, person, fence));
    Ok(Page { items: page.items.into_iter().filter_map(fence).collect(), next: page.next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_account_shows_itself_to_all_and_what_it_has_made_to_followers_and_a_block_hides_both() {
        let card = |is_private| ProfileCard {
            id: UserId::new(),
            username: "ada".parse().unwrap(),
            display_name: "Ada".to_owned(),
            is_private,
            avatar: None,
        };
        for (is_private, following, expected) in [
            (false, false, Sight::Everything),
            (false, true, Sight::Everything),
            (true, false, Sight::Profile),
            (true, true, Sight::Everything),
        ] {
            assert_eq!(sight(&card(is_private), [following, false, false]), expected);
            for (blocking, blocked) in [(true, false), (false, true), (true, true)] {
                assert_eq!(sight(&card(is_private), [following, blocking, blocked]), Sight::Nothing);
            }
        }
    }

    #[test]
    fn a_fence_says_whom_it_hides_and_why() {
        let (viewer, author) = (UserId::new(), UserId::new());
        for (key, fence) in [
            (users::fence(viewer, author), Fence::Unfollowed),
            (users::blocking(viewer, author), Fence::Blocking),
            (users::blocked(viewer, author), Fence::Blocked),
            (users::muting(viewer, author), Fence::Muting),
        ] {
            assert_eq!(Fence::of_key(&key.sk), Some((author, fence)));
        }
        for other in [users::fenced_by(author, viewer), users::muted_by(author, viewer), users::following(viewer, author)] {
            assert_eq!(Fence::of_key(&other.sk), None);
        }
        assert_eq!(Fence::of_key(&format!("FENCE#{author}#PAINTED")), None);
    }
}
