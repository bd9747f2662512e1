//! Who may do what: every route of the published description, tried by everybody who might stand to what it is about in another way.
//!
//! What is expected stands in [`MATRIX.md`](MATRIX.md), what is sent in [`requests`]. Whoever adds a route adds a row, or this fails.

mod cast;
mod matrix;
mod requests;

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, stream};
use tokio::time::Instant;

use self::{
    cast::{Cast, Owner},
    matrix::{Relation, Row, rows},
};
use crate::harness::{Caller, client::Answer};

/// When an ended session's access token is good for nothing any more, anywhere.
const FORGOTTEN: Duration = Duration::from_mins(1);
/// How many rows are worked on at once.
const AT_ONCE: usize = 6;

#[tokio::test]
async fn everybody_may_do_what_the_matrix_says_and_nothing_else() {
    let rows = rows();
    assert_eq!(rows.iter().map(|row| row.route.clone()).collect::<BTreeSet<_>>(), published().await, "each route has a row");

    // Reads share the first cast. What changes something has one of its own, so that no cell disturbs another.
    let roles: Vec<Option<&Row>> = [None].into_iter().chain(rows.iter().filter(|row| !row.is_read()).map(Some)).collect();
    let owners: Vec<Owner> = stream::iter(&roles).map(|_| Owner::sign_up()).buffered(AT_ONCE).collect().await;
    let logged_out_at = Instant::now();
    let casts = stream::iter(owners.into_iter().zip(&roles)).map(|(owner, row)| Cast::assemble(owner, *row));
    let casts: Vec<Cast> = casts.buffered(AT_ONCE).collect().await;
    let mut own = casts[1..].iter();
    let acts = rows.iter().map(|row| (row, if row.is_read() { &casts[0] } else { own.next().expect("each has one") }));
    let acts: Vec<(&Row, &Cast)> = acts.collect();

    if casts[0].caller(Relation::Expired).is_none() {
        println!("expired tokens: skipped, because nobody tells this host's secrets");
    }
    let others = [Relation::Expired, Relation::Anonymous, Relation::Blocked, Relation::Other, Relation::Follower];
    let mut wrong = play(&acts, &others).await;
    // What is promised of ended sessions is promised from then on, whoever has seen them alive.
    tokio::time::sleep_until(logged_out_at + FORGOTTEN).await;
    wrong.extend(play(&acts, &[Relation::Ended]).await);
    for (row, cast) in acts.iter().filter(|(row, _)| !row.is_read()) {
        wrong.extend(cast.damage(row).await);
    }
    // The owners come last: that they succeed shows that there was something to be got at.
    wrong.extend(play(&acts, &[Relation::Owner]).await);
    assert!(wrong.is_empty(), "{} cells are otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

/// `GET /users/{username}` and all the others.
async fn published() -> BTreeSet<String> {
    let document = Caller::nobody().get("/openapi.json").await.expect(200);
    let paths = document["paths"].as_object().expect("paths");
    let routes = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().expect("methods").keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    routes.collect()
}

/// Tries these columns of all rows; answers the cells that are not as they should be.
async fn play(acts: &[(&Row, &Cast)], columns: &[Relation]) -> Vec<String> {
    let rows = stream::iter(acts).map(async |(row, cast)| {
        let mut wrong = Vec::new();
        for &who in columns {
            if let Some(caller) = cast.caller(who) {
                wrong.extend(try_cell(&caller, who, row, cast).await);
            }
        }
        wrong
    });
    rows.buffered(AT_ONCE).collect::<Vec<_>>().await.concat()
}

/// What is wrong with one cell.
async fn try_cell(caller: &Caller, who: Relation, row: &Row, cast: &Cast) -> Option<String> {
    let answer = Answer::to(requests::request(caller, who, row, cast)).await;
    let found = match answer["code"].as_str() {
        Some(code) if answer.status >= 400 => format!("{} {code}", answer.status),
        _ => answer.status.to_string(),
    };
    let expected = row.expected(who);
    let cell = format!("{} by {who:?}", row.route);
    if found != expected {
        return Some(format!("{cell}: expected {expected}, found {found}"));
    }
    if let Some((status, code)) = expected.split_once(' ') {
        let status = status.parse().expect("a status");
        if let Some(leak) = cast.leak(who, &answer) {
            return Some(format!("{cell} shows {leak}"));
        }
        answer.problem(status, code);
        return None;
    }
    cast.leak(who, &answer).map(|leak| format!("{cell} shows {leak}"))
}
