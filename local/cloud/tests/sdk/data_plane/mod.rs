//! What Tintype relies on of tables, queues and buckets: promises of AWS, held by whichever endpoint is asked.
//!
//! Nothing here knows our own host. `tests/targets/localstack` runs these same tests against LocalStack and DynamoDB Local; tests that
//! are about our host alone (restarts, events to functions, files on the disk) stand outside of this module.

mod batches;
mod cloud;
mod dead_letters;
mod listing;
mod multipart;
mod objects;
mod queries;
mod queues;
mod streams;
mod tables;
mod transactions;
mod uploads;
mod visibility;
