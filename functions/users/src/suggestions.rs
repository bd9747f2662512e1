//! Whom somebody might want to follow: friends of friends, then the popular.
//!
//! What is read is bounded, however many somebody follows: one page of their own follows and one of each of [`FRIENDS`] of them, side by
//! side, the viewer's fences, the popular (one item), and as many edges and cards as are asked for, twice over at most.

use std::collections::{HashMap, HashSet};

use axum::{Json, extract::State};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use tintype_core::{UserId, profile::Author};
use tintype_edge::{Checks, List, Parameters, Problem, Viewer, responses};
use tintype_tables::{
    Error, Key, Table,
    popular::Popular,
    table::Query,
    users::{self, FOLLOWING},
    visibility::fences_of,
};
use tokio::try_join;
use utoipa::{IntoParams, ToSchema};

use crate::App;

/// How many of those whom the viewer follows are looked at.
const FRIENDS: usize = 12;
/// How many of those whom a friend follows are looked at, and of those whom the viewer does.
const FOLLOWED: usize = 50;
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

async fn suggest(app: &App, viewer: UserId, limit: usize) -> Result<Vec<Suggestion>, Error> {
    let users = &app.users;
    let (friends, fences, popular) = try_join!(followed_by(users, viewer), fences_of(users, viewer), Popular::read(users, false))?;
    let looked_at = friends.iter().copied().filter(|friend| !fences.contains(friend)).take(FRIENDS);
    let theirs = try_join_all(looked_at.map(|friend| followed_by(users, friend))).await?;
    let mut known: HashSet<UserId> = friends.into_iter().chain(fences).collect();
    known.insert(viewer);
    let popular = popular.people.iter().map(|ranked| ranked.user_id);
    let candidates = in_order(theirs, popular, &known);
    let mut suggestions = Vec::new();
    // Some of the first may fall out: whom the viewer follows beyond the page that was read, and who is gone.
    for chunk in candidates.chunks(limit).take(2) {
        let cards = app.cards.people(users, chunk.iter().map(|(id, _)| *id), None);
        let (unknown, cards) = try_join!(strangers(users, viewer, chunk), cards)?;
        let suggestion = |(id, friends): &(UserId, usize)| {
            let card = cards.get(id).filter(|_| unknown.contains(id))?;
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

/// A page of those whom `follower` follows: enough for suggestions.
async fn followed_by(users: &Table, follower: UserId) -> Result<Vec<UserId>, Error> {
    let query = Query {
        pk: users::partition(follower),
        prefix: Some(FOLLOWING),
        after: None,
        // Who joined lately is less known, and more worth a hint.
        descending: true,
        consistent: false,
        limit: FOLLOWED,
    };
    Ok(users::edges(users, query).await?.items)
}

/// Those who are not `known`: by how many follow them, then by id, so that the same follows give the same list; then the popular.
fn in_order(theirs: Vec<Vec<UserId>>, popular: impl Iterator<Item = UserId>, known: &HashSet<UserId>) -> Vec<(UserId, usize)> {
    let mut friends: HashMap<UserId, usize> = HashMap::new();
    for person in theirs.into_iter().flatten().filter(|person| !known.contains(person)) {
        *friends.entry(person).or_default() += 1;
    }
    let popular: Vec<UserId> = popular.filter(|person| !known.contains(person) && !friends.contains_key(person)).collect();
    let mut order: Vec<(UserId, usize)> = friends.into_iter().collect();
    order.sort_by_key(|(person, friends)| (std::cmp::Reverse(*friends), *person));
    order.extend(popular.into_iter().map(|person| (person, 0)));
    order
}

/// Those of `candidates` whom `viewer` neither follows nor has asked to, as of now.
async fn strangers(users: &Table, viewer: UserId, candidates: &[(UserId, usize)]) -> Result<HashSet<UserId>, Error> {
    let edges = |id: UserId| [users::following(viewer, id), users::requested(viewer, id)];
    let keys: Vec<Key> = candidates.iter().flat_map(|(id, _)| edges(*id)).collect();
    let found: HashSet<Key> = users.batch_get(&keys, true).await?.into_iter().collect();
    Ok(candidates.iter().map(|(id, _)| *id).filter(|id| edges(*id).iter().all(|edge| !found.contains(edge))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_most_friends_in_common_comes_first_and_the_popular_last_and_once() {
        let [viewer, both, first, second, star] = std::array::from_fn(|_| UserId::new());
        let theirs = vec![vec![viewer, both, second], vec![both, first]];
        let known = HashSet::from([viewer]);
        let order = in_order(theirs, [both, star, viewer].into_iter(), &known);
        assert_eq!(order, [(both, 2), (first, 1), (second, 1), (star, 0)]);
    }
}
