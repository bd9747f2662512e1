//! Who likes and saves what, while the table conflicts, throttles and loses its answers: counts equal likes.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;

use crate::{
    graph::sign_up,
    harness::{
        Caller,
        people::ids,
        photographs::{Ticket, small_photo},
        until,
    },
    operator::Operator,
    process::{Host, folder},
};

const FAULTS: &str = "dynamodb:conflict=0.1,throttle=0.1,lost_answer=0.1;posts:kill=0.02;seed=5";
const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::test]
async fn counts_equal_likes_whatever_the_table_does_while_32_clients_like_and_unlike_one_post() {
    let folder = folder();
    let host = Host::start_with(folder.path(), "0", &[]);
    let nobody = Caller::nobody_at(&host.addresses);
    let star = sign_up(&nobody, "star").await;
    let crowd = join_all((0..8).map(|_| sign_up(&nobody, "fan"))).await;
    let photo = small_photo();
    let ticket = Ticket::of(&star, "in the storm", &[("image/jpeg", &photo)]).await;
    ticket.upload(&star, 0, &photo).await.expect(200);
    ticket.settled(&star).await;
    let (like, save) = (format!("{}/like", ticket.path()), format!("{}/save", ticket.path()));

    let operator = Operator::of(&host.addresses);
    operator.set_chaos(FAULTS).await;
    // Four clients of each: the last word of the even ones is a like, of the odd ones that they take it back.
    for _ in 0..3 {
        join_all((0..32).map(async |client: usize| {
            let fan = &crowd[client % 8];
            if (client / 8).is_multiple_of(2) { fan.put(&like).await } else { fan.delete(&like).await }.expect(200);
            if (client / 8).is_multiple_of(2) { fan.put(&save).await } else { fan.delete(&save).await }.expect(200);
        }))
        .await;
    }
    join_all(crowd.iter().enumerate().map(async |(number, fan)| {
        for path in [&like, &save] {
            if number.is_multiple_of(2) { fan.put(path).await } else { fan.delete(path).await }.expect(200);
        }
    }))
    .await;
    operator.set_chaos("").await;

    let expected: BTreeSet<String> = crowd.iter().step_by(2).map(|fan| fan.id.clone()).collect();
    assert_eq!(star.get(&ticket.path()).await.expect(200)["counts"]["likes"], expected.len());
    until("the list has those who like it", PATIENCE, async || {
        let likers = ids(&star.list(&format!("{}/likes", ticket.path())).await);
        (likers.len() == expected.len() && likers.into_iter().collect::<BTreeSet<_>>() == expected).then_some(())
    })
    .await;
    for fan in &crowd {
        let marks = fan.get(&ticket.path()).await.expect(200)["viewer"].clone();
        let does = expected.contains(&fan.id);
        assert_eq!((&marks["liked"], &marks["saved"]), (&does.into(), &does.into()));
        assert_eq!(fan.list("/me/saved").await.len(), usize::from(does));
    }
}
