//! Whom somebody might want to follow: friends of friends, then the popular.
//!
//! What is read is bounded, however many somebody follows: one page of their own follows, one of their requests and their fences, as of now;
//! one page of each of [`FRIENDS`] of those whom they follow, the popular (one item) and as many cards as are asked for, twice over at
//! most, all of them remembered. Whoever follows more than a page has as many edges read besides, as of now.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use axum::{Json, extract::State};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use tintype_core::{UserId, profile::Author};
use tintype_edge::{Checks, List, Parameters, Problem, Viewer, responses};
use tintype_tables::{
    Error, Key, Page, Table,
    memory::{Life, Memory},
    popular::Popular,
    table::Query,
    users::{self, FOLLOWING, REQUESTED},
    visibility::fences_of,
};
use tokio::try_join;
use utoipa::{IntoParams, ToSchema};

use crate::App;

/// How many of those whom the viewer follows are looked at.
const FRIENDS: usize = 12;
/// How many of those whom a friend follows are looked at, and of those whom the viewer does.
const FOLLOWED: usize = 50;
/// Of how many people it is remembered whom they follow: 2 KB each at most.
const MOST_CIRCLES: usize = 2_000;
/// The longest list that can be asked for.
const MOST: usize = 50;

/// How many suggestions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct HowMany {
    /// At most.
    #[param(minimum = 1, maximum = 50, default = 20)]
    limit: Option<usize>,
}

/// A person to follow.
#[derive(Serialize, ToSchema)]
pub(crate) struct Suggestion {
    #[serde(flatten)]
    author: Author,
    /// How many of those whom the viewer follows follow them, as far as was looked; 0 for who is popular only.
    followed_by_friends: usize,
}

/// People to follow: who is followed by those whom the viewer follows, most of them first, then who is popular.
///
/// Nobody whom the viewer follows already, has asked to, has unfollowed lately or has muted, and nobody with whom there is a block. One
/// list, without pages.
#[utoipa::path(
    get,
    path = "/users/suggested",
    tag = "users",
    params(HowMany),
    security(("access_token" = [])),
    responses((status = 200, description = "They", body = List<Suggestion>), responses::Authenticated, responses::Query)
)]
pub(crate) async fn suggested(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    Parameters(HowMany { limit }): Parameters<HowMany>,
) -> Result<Json<List<Suggestion>>, Problem> {
    let limit = limit.unwrap_or(20);
    let mut checks = Checks::default();
    checks.require((1..=MOST).contains(&limit), "?limit", format_args!("must be from 1 to {MOST}"));
    checks.finish()?;
    let items = suggest(&app, viewer.user_id, limit).await?;
    Ok(Json(List { items, next_cursor: None }))
}

/// What is remembered for suggestions.
#[derive(Clone)]
pub(crate) struct Circles {
    /// Whom somebody follows: a page.
    follows: Memory<UserId, Arc<Vec<UserId>>>,
    popular: Memory<(), Arc<Popular>>,
}

impl Circles {
    /// That remember for as long as `life` says.
    pub(crate) fn lasting(life: Life) -> Self {
        Self { follows: Memory::new("circles", life, MOST_CIRCLES), popular: Memory::new("popular", life, 1) }
    }

    /// Whom each of `people` follows, as far as suggestions look.
    async fn followed_by(&self, users: &Table, people: impl Iterator<Item = UserId>) -> Result<HashMap<UserId, Arc<Vec<UserId>>>, Error> {
        let page = async |person| Ok::<_, Error>((person, Arc::new(edges(users, person, FOLLOWING, false).await?.items)));
        self.follows.all(people, |people| async move { Ok(try_join_all(people.into_iter().map(page)).await?.into_iter().collect()) }).await
    }

    async fn popular(&self, users: &Table) -> Result<Arc<Popular>, Error> {
        let list = self.popular.all([()], |_| async { Ok(HashMap::from([((), Arc::new(Popular::read(users, false).await?))])) }).await?;
        Ok(list.into_values().next().unwrap_or_default())
    }
}

async fn suggest(app: &App, viewer: UserId, limit: usize) -> Result<Vec<Suggestion>, Error> {
    let users = &app.users;
    let (friends, requests, fences, popular) = try_join!(
        edges(users, viewer, FOLLOWING, true),
        edges(users, viewer, REQUESTED, true),
        fences_of(users, viewer),
        app.circles.popular(users)
    )?;
    let knows_more = friends.next.is_some() || requests.next.is_some();
    let looked_at = friends.items.iter().copied().filter(|friend| !fences.contains(friend)).take(FRIENDS);
    let theirs = app.circles.followed_by(users, looked_at).await?;
    let mut known: HashSet<UserId> = friends.items.into_iter().chain(requests.items).chain(fences).collect();
    known.insert(viewer);
    let popular = popular.people.iter().map(|ranked| ranked.user_id);
    let candidates = in_order(theirs.values().map(|page| page.as_slice()), popular, &known);
    let mut suggestions = Vec::new();
    // Some of the first may fall out: whom the viewer follows beyond the page that was read, and who is gone.
    for chunk in candidates.chunks(limit).take(2) {
        let cards = app.cards.people(users, chunk.iter().map(|(id, _)| *id), None);
        let beyond = async { if knows_more { acquaintances(users, viewer, chunk).await } else { Ok(HashSet::new()) } };
        let (beyond, cards) = try_join!(beyond, cards)?;
        let suggestion = |(id, friends): &(UserId, usize)| {
            let card = cards.get(id).filter(|_| !beyond.contains(id))?;
            Some(Suggestion { author: (&**card).into(), followed_by_friends: *friends })
        };
        suggestions.extend(chunk.iter().filter_map(suggestion));
        if suggestions.len() >= limit {
            break;
        }
    }
    suggestions.truncate(limit);
    Ok(suggestions)
}

/// A page of a person's edges: enough for suggestions.
async fn edges(users: &Table, person: UserId, prefix: &str, consistent: bool) -> Result<Page<UserId>, Error> {
    // Who joined lately is less known, and more worth a hint.
    let query = Query { pk: users::partition(person), prefix: Some(prefix), after: None, descending: true, consistent, limit: FOLLOWED };
    users::edges(users, query).await
}

/// Those who are not `known`: by how many follow them, then by id, so that the same follows give the same list; then the popular.
fn in_order<'t>(
    theirs: impl Iterator<Item = &'t [UserId]>,
    popular: impl Iterator<Item = UserId>,
    known: &HashSet<UserId>,
) -> Vec<(UserId, usize)> {
    let mut friends: HashMap<UserId, usize> = HashMap::new();
    for person in theirs.flatten().filter(|person| !known.contains(*person)) {
        *friends.entry(*person).or_default() += 1;
    }
    let popular: Vec<UserId> = popular.filter(|person| !known.contains(person) && !friends.contains_key(person)).collect();
    let mut order: Vec<(UserId, usize)> = friends.into_iter().collect();
    order.sort_by_key(|(person, friends)| (std::cmp::Reverse(*friends), *person));
    order.extend(popular.into_iter().map(|person| (person, 0)));
    order
}

/// Those of `candidates` whom `viewer` follows or has asked to, as of now.
async fn acquaintances(users: &Table, viewer: UserId, candidates: &[(UserId, usize)]) -> Result<HashSet<UserId>, Error> {
    let edges = |id: UserId| [users::following(viewer, id), users::requested(viewer, id)];
    let keys: Vec<Key> = candidates.iter().flat_map(|(id, _)| edges(*id)).collect();
    let found: HashSet<Key> = users.batch_get(&keys, true).await?.into_iter().collect();
    Ok(candidates.iter().map(|(id, _)| *id).filter(|id| edges(*id).iter().any(|edge| found.contains(edge))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_most_friends_in_common_comes_first_and_the_popular_last_and_once() {
        let [viewer, both, first, second, star] = std::array::from_fn(|_| UserId::new());
        let theirs = [vec![viewer, both, second], vec![both, first]];
        let known = HashSet::from([viewer]);
        let order = in_order(theirs.iter().map(Vec::as_slice), [both, star, viewer].into_iter(), &known);
        assert_eq!(order, [(both, 2), (first, 1), (second, 1), (star, 0)]);
    }
}
