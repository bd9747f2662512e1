//! What is left of the person outside of their own partition, and is the users service's.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use tintype_core::{UserId, media};
use tintype_queues::Failure;
use tintype_tables::{
    Error, Key, Table, edge,
    jobs::{self, Leaving},
    table::{failure, text, write_units},
    users,
};

use super::edges::remove_partition;
use crate::{Stores, clock::Budget, popular};

/// Counters, what the edge keeps, pictures, archives, whether they are done or only begun, and a place among the popular; `false` if the
/// time was up before.
pub(crate) async fn remove_all(stores: &Stores, user: UserId, budget: &Budget) -> Result<bool, Failure> {
    for (bucket, prefix) in [
        (&stores.uploads, media::avatar_uploads_of(user)),
        (&stores.media, media::avatars_of(user)),
        (&stores.exports, jobs::archives_of(user)),
    ] {
        bucket.delete(&bucket.keys(&prefix).await?).await?;
    }
    // Somebody who was killed between the beginning of an archive and the word of it leaves one that no job names.
    stores.exports.drop_all_parts(&jobs::archives_of(user)).await?;
    for (table, partition) in [(&stores.users, users::counts(user)), (&stores.edge, edge::user(user))] {
        if !remove_partition(table, partition, budget).await? {
            return Ok(false);
        }
    }
    popular::remove(&stores.users, user).await?;
    Ok(true)
}

/// Lets others have the name and the address. If this is repeated they may have them already: then they are theirs.
pub(crate) async fn free_claims(stores: &Stores, leaving: &Leaving) -> Result<(), Error> {
    free(&stores.users, &users::name(&leaving.username), leaving.user_id).await?;
    free(&stores.users, &users::email(&leaving.email), leaving.user_id).await
}

async fn free(table: &Table, key: &Key, user: UserId) -> Result<(), Error> {
    let request = table
        .client
        .delete_item()
        .table_name(&table.name)
        .set_key(Some(key.item()))
        .condition_expression("user_id = :user")
        .expression_attribute_values(":user", text(user.to_string()))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    match Box::pin(request.send()).await.map_err(failure) {
        Ok(answer) => {
            write_units(answer.consumed_capacity.as_slice());
            Ok(())
        }
        Err(Error::Condition(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
