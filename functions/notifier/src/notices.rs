//! Who may have to be told what, because of an event.

use std::collections::HashSet;

use tintype_core::{
    CommentId, PostId, UserId,
    comment::Comment,
    event::What,
    name::Username,
    notification::{Cause, Kind, Subject, excerpt},
    post::Status,
};
use tintype_tables::{Error, comments, posts, users};

use crate::{Stores, gone};

/// Most people who are told that one caption mentions them: a caption may name hundreds.
const MOST_MENTIONS: usize = 20;

/// What somebody may have to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) recipient: UserId,
    pub(crate) cause: Cause,
}

impl Notice {
    fn new(recipient: UserId, kind: Kind, actor: UserId, subject: Subject) -> Self {
        Self { recipient, cause: Cause { kind, actor_id: Some(actor), subject } }
    }

    fn by_itself(recipient: UserId, kind: Kind, subject: Subject) -> Self {
        Self { recipient, cause: Cause { kind, actor_id: None, subject } }
    }
}

/// The notices of an event; `None`: there never are any of such an event. Nobody is told what they do themselves.
pub(crate) async fn of(stores: &Stores, what: What) -> Result<Option<Vec<Notice>>, Error> {
    let mut notices = match what {
        What::PostPublished { post_id, .. } | What::PostEdited { post_id, .. } => caption(stores, post_id).await?,
        What::PostFailed { post_id, author_id } => vec![Notice::by_itself(author_id, Kind::PostFailed, Subject::Post(post_id))],
        What::PostLiked { post_id, author_id, user_id } => vec![Notice::new(author_id, Kind::Like, user_id, Subject::Post(post_id))],
        What::CommentCreated { comment_id, post_id, .. } => comment(stores, post_id, comment_id).await?,
        What::CommentLiked { comment_id, post_id, user_id } => comment_like(stores, post_id, comment_id, user_id).await?,
        What::FollowChanged { follower_id, followee_id, approved } => follow(follower_id, followee_id, approved),
        What::FollowRequested { follower_id, followee_id } => vec![request(follower_id, followee_id)],
        What::ExportReady { user_id, job_id } => vec![Notice::by_itself(user_id, Kind::ExportReady, Subject::Export(job_id))],
        _ => return Ok(None),
    };
    notices.retain(|notice| notice.cause.actor_id != Some(notice.recipient));
    Ok(Some(notices))
}

/// A follow that was approved is told to who follows, any other to who is followed. Either way no request waits any more, or its
/// notification goes when the request is found to have ended.
fn follow(follower: UserId, followee: UserId, approved: bool) -> Vec<Notice> {
    let told = if approved {
        Notice::new(follower, Kind::FollowAccepted, followee, Subject::Person)
    } else {
        Notice::new(followee, Kind::Follow, follower, Subject::Person)
    };
    vec![request(follower, followee), told]
}

fn request(follower: UserId, followee: UserId) -> Notice {
    Notice::new(followee, Kind::FollowRequest, follower, Subject::Person)
}

/// Whom a caption mentions. Who was told before is not told again when it is edited: the cause is the post.
async fn caption(stores: &Stores, post_id: PostId) -> Result<Vec<Notice>, Error> {
    let Some(post) = posts::read(&stores.posts, post_id).await?.filter(|post| post.status == Status::Published) else {
        // Somebody may have been told by an attempt that ended before it could look again.
        gone::post(stores, post_id).await?;
        return Ok(Vec::new());
    };
    let mentioned = people(stores, &post.mentions).await?;
    Ok(mentioned.into_iter().map(|person| Notice::new(person, Kind::Mention, post.author_id, Subject::Post(post_id))).collect())
}

/// Each is told once: whose comment it replies to, else whom it mentions, else whose post it is.
async fn comment(stores: &Stores, post_id: PostId, comment_id: CommentId) -> Result<Vec<Notice>, Error> {
    let (found, post) = tokio::try_join!(comments::find(&stores.comments, comment_id), posts::read(&stores.posts, post_id))?;
    let (Some(comments::Found { comment, parent }), Some(post)) = (found, post) else {
        gone::told_of(stores, post_id, comment_id).await?;
        return Ok(Vec::new());
    };
    let mentioned = people(stores, &comment.mentions).await?;
    let roles = parent.map(|parent| (parent.author_id, Kind::Reply)).into_iter();
    let roles = roles.chain(mentioned.into_iter().map(|person| (person, Kind::Mention))).chain([(post.author_id, Kind::Comment)]);
    let subject = subject(&comment);
    let mut told = HashSet::new();
    let once = roles.filter(|(person, _)| told.insert(*person));
    Ok(once.map(|(person, kind)| Notice::new(person, kind, comment.author_id, subject.clone())).collect())
}

async fn comment_like(stores: &Stores, post_id: PostId, comment_id: CommentId, user: UserId) -> Result<Vec<Notice>, Error> {
    let Some(comment) = comments::read(&stores.comments, comment_id).await? else {
        gone::told_of(stores, post_id, comment_id).await?;
        return Ok(Vec::new());
    };
    Ok(vec![Notice::new(comment.author_id, Kind::CommentLike, user, subject(&comment))])
}

fn subject(comment: &Comment) -> Subject {
    Subject::Comment {
        comment_id: comment.id,
        thread: comment.parent_id.unwrap_or(comment.id),
        post_id: comment.post_id,
        excerpt: excerpt(&comment.text),
    }
}

/// Those who have these names.
async fn people(stores: &Stores, names: &[Username]) -> Result<Vec<UserId>, Error> {
    let mut people = Vec::new();
    for name in names.iter().take(MOST_MENTIONS) {
        people.extend(users::find(&stores.users, name).await?);
    }
    Ok(people)
}
