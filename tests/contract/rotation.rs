//! The command that rotates the keys of tokens, against the host that all tests share: as far as no waiting is needed. To its end it is
//! run in `tests/faults/rotation.rs`; what follows from its steps, minute by minute, is tested where it is decided
//! (`functions/users/src/keys/tests.rs`).

use serde_json::json;

use crate::harness::{
    Caller, Person,
    secrets::{refused, rotate, token_secret},
};

#[tokio::test]
async fn a_rotation_begins_once_is_not_finished_too_early_and_leaves_every_token_good() {
    // Another's host may have another's secret.
    let Some(aws) = Caller::nobody().aws().map(str::to_owned).filter(|_| std::env::var("TINTYPE_URL").is_err()) else { return };
    let (ada, before) = (Person::sign_up("ada").await, token_secret(&aws).await);
    assert!(refused(&rotate("finish", &aws)).contains("no rotation has begun"));
    let begun = rotate("begin", &aws);
    assert!(begun.status.success(), "{begun:?}");
    assert!(refused(&rotate("begin", &aws)).contains("has begun already"));
    assert!(refused(&rotate("finish", &aws)).contains("too early"));

    assert_eq!(token_secret(&aws).await, before, "nothing is signed with the next key");
    ada.get("/me").await.expect(200);
    let refreshed = ada.post("/sessions/refresh", json!({"refresh_token": ada.refresh_token})).await.expect(200);
    Caller::nobody().with_token(refreshed["access_token"].as_str().expect("a token")).get("/me").await.expect(200);
}
