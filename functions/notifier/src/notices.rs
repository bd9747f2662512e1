//! Who may have to be told what, because of an event.

use std::time::Instant;

use tintype_core::{
    CommentId, PostId, UserId,
    comment::Comment,
    event::What,
    name::Username,
    notification::{Cause, Kind, Subject, excerpt},
    post::Status,
};
use tintype_queues::Failure;
use tintype_tables::{Error, comments, posts, users};

use crate::{Stores, gone};

/// Most names of one caption, or of one comment, that are looked up: it may have hundreds.
const MOST_MENTIONS: usize = 20;

/// What somebody may have to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) recipient: UserId,
    pub(crate) cause: Cause,
    /// What was told is taken back if it has ended; nobody is told anything.
    pub(crate) only_ends: bool,
}

impl Notice {
    fn new(recipient: UserId, kind: Kind, actor: UserId, subject: Subject) -> Self {
        Self { recipient, cause: Cause { kind, actor_id: Some(actor), subject }, only_ends: false }
    }

    fn by_itself(recipient: UserId, kind: Kind, subject: Subject) -> Self {
        Self { recipient, cause: Cause { kind, actor_id: None, subject }, only_ends: false }
    }
}

/// The notices of an event; `None`: there never are any of such an event. Nobody is told what they do themselves. What is found to be gone
/// is taken back until the time is `up`.
pub(crate) async fn of(stores: &Stores, what: What, up: Instant) -> Result<Option<Vec<Notice>>, Failure> {
    let mut notices = match what {
        What::PostPublished { post_id, .. } | What::PostEdited { post_id, .. } => caption(stores, post_id, up).await?,
        What::PostFailed { post_id, author_id } => vec![Notice::by_itself(author_id, Kind::PostFailed, Subject::Post(post_id))],
        What::PostLiked { post_id, author_id, user_id } => vec![Notice::new(author_id, Kind::Like, user_id, Subject::Post(post_id))],
        What::CommentCreated { comment_id, post_id, parent_id, .. } => comment(stores, post_id, comment_id, parent_id, up).await?,
        What::CommentLiked { comment_id, post_id, parent_id, user_id } => match comments::read(&stores.comments, comment_id).await? {
            Some(comment) => vec![Notice::new(comment.author_id, Kind::CommentLike, user_id, subject(&comment))],
            None => vanished(stores, post_id, comment_id, parent_id, up).await?,
        },
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
///
/// Where a follow has ended, so has its approval: whoever asks again waits for one that is told again.
fn follow(follower: UserId, followee: UserId, approved: bool) -> Vec<Notice> {
    let accepted = Notice::new(follower, Kind::FollowAccepted, followee, Subject::Person);
    let mut notices = vec![request(follower, followee)];
    if approved {
        notices.push(accepted);
    } else {
        notices.push(Notice::new(followee, Kind::Follow, follower, Subject::Person));
        notices.push(Notice { only_ends: true, ..accepted });
    }
    notices
}

fn request(follower: UserId, followee: UserId) -> Notice {
    Notice::new(followee, Kind::FollowRequest, follower, Subject::Person)
}

/// Whom a caption mentions. Who was told before is not told again when it is edited: the cause is the post.
async fn caption(stores: &Stores, post_id: PostId, up: Instant) -> Result<Vec<Notice>, Failure> {
    let Some(post) = posts::read(&stores.posts, post_id).await?.filter(|post| post.status == Status::Published) else {
        // Somebody may have been told by an attempt that ended before it could look again.
        gone::post(stores, post_id, up).await?.or_again()?;
        return Ok(Vec::new());
    };
    let mentioned = people(stores, &post.mentions).await?;
    Ok(mentioned.into_iter().map(|person| Notice::new(person, Kind::Mention, post.author_id, Subject::Post(post_id))).collect())
}

/// Each is told once: whose comment it replies to, else whom it mentions, else whose post it is; what they want to know of that.
async fn comment(
    stores: &Stores,
    post_id: PostId,
    comment_id: CommentId,
    parent_id: Option<CommentId>,
    up: Instant,
) -> Result<Vec<Notice>, Failure> {
    let (found, post) = tokio::try_join!(comments::find(&stores.comments, comment_id), posts::read(&stores.posts, post_id))?;
    let (Some(comments::Found { comment, parent }), Some(post)) = (found, post) else {
        return vanished(stores, post_id, comment_id, parent_id, up).await;
    };
    let mentioned = people(stores, &comment.mentions).await?;
    let roles = parent.map(|parent| (parent.author_id, Kind::Reply)).into_iter();
    let roles = roles.chain(mentioned.into_iter().map(|person| (person, Kind::Mention))).chain([(post.author_id, Kind::Comment)]);
    let mut told: Vec<(UserId, Vec<Kind>)> = Vec::new();
    for (person, kind) in roles {
        match told.iter_mut().find(|(other, _)| *other == person) {
            Some((_, kinds)) => kinds.push(kind),
            None => told.push((person, vec![kind])),
        }
    }
    let mut notices = Vec::new();
    for (person, kinds) in told {
        let kind = wanted(stores, person, &kinds).await?;
        notices.push(Notice::new(person, kind, comment.author_id, subject(&comment)));
    }
    Ok(notices)
}

/// The first of these kinds that a person wants to be told of; if they want none of them, the first: the verdict says so again.
async fn wanted(stores: &Stores, person: UserId, kinds: &[Kind]) -> Result<Kind, Error> {
    // Where there is no choice nothing is asked.
    if kinds.len() > 1 {
        for kind in kinds {
            if users::wants(&stores.users, person, *kind).await? == Some(true) {
                return Ok(*kind);
            }
        }
    }
    Ok(kinds[0])
}

/// Somebody may have been told of a comment by an attempt that ended before it could see that it had gone.
async fn vanished(
    stores: &Stores,
    post_id: PostId,
    comment_id: CommentId,
    parent_id: Option<CommentId>,
    up: Instant,
) -> Result<Vec<Notice>, Failure> {
    gone::comment(stores, post_id, comment_id, parent_id, up).await?.or_again()?;
    Ok(Vec::new())
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
