//! What each route of the matrix is sent.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{
    cast::Cast,
    matrix::{Relation, Row},
};
use crate::harness::{Caller, people::PASSWORD, unique};

/// The request of one cell.
pub(super) fn request(caller: &Caller, who: Relation, row: &Row, cast: &Cast) -> RequestBuilder {
    let request = caller.request(row.method.clone(), &cast.path(row));
    match body(&row.route, who, cast) {
        Some(body) => request.json(&body),
        None => request,
    }
}

fn body(route: &str, who: Relation, cast: &Cast) -> Option<Value> {
    let photo = json!({"content_type": "image/jpeg", "bytes": 1000});
    Some(match route {
        "POST /accounts" => {
            let username = unique("new");
            json!({"username": username, "email": format!("{username}@example.com"), "password": PASSWORD})
        }
        "POST /sessions" => {
            let password = if who.is_the_owner() { PASSWORD } else { "it might be this one" };
            json!({"login": cast.owner.username, "password": password})
        }
        "POST /sessions/refresh" => json!({"refresh_token": refresh_token(who, cast)}),
        "PATCH /me" => json!({"bio": unique("bio")}),
        "PUT /me/password" => json!({"current_password": PASSWORD, "new_password": unique("another password")}),
        "PUT /me/avatar" => photo,
        "DELETE /me" | "POST /me/totp" => json!({"password": PASSWORD}),
        // None is on: any code will do.
        "DELETE /me/totp" => json!({"password": PASSWORD, "code": "000000"}),
        "PUT /me/totp" => json!({"code": "000000"}),
        "PATCH /posts/{post_id}" => json!({"comments_enabled": false}),
        "POST /posts/{post_id}/comments" => json!({"text": "somebody's word"}),
        "POST /posts" => json!({"photos": [photo]}),
        "PUT /notifications/read" => json!({"up_to": tintype_core::Time::now()}),
        _ => return None,
    })
}

fn refresh_token(who: Relation, cast: &Cast) -> String {
    match who {
        Relation::Owner => cast.owner.refresh_token.clone(),
        Relation::Expired => cast.spare.refresh_token.clone(),
        Relation::Ended => cast.ended.refresh_token.clone(),
        // What it says is right; that it is so, another key has signed.
        Relation::Other | Relation::Follower | Relation::Blocked | Relation::Anonymous => {
            let (said, proof) = cast.owner.refresh_token.split_once('.').expect("what it says, and the proof");
            format!("{said}.{}", proof.chars().rev().collect::<String>())
        }
    }
}
