//! Looking into a host where only its owner can: its tables and buckets, for what must not be there; and its clock, for what takes its time.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::config::Credentials;
use reqwest::Method;

use super::{
    client::{Answer, Caller},
    until,
};

/// The AWS endpoints of a host.
pub(crate) struct Inside {
    tables: aws_sdk_dynamodb::Client,
    buckets: aws_sdk_s3::Client,
    caller: Caller,
}

impl Inside {
    /// `None`: its endpoints are not for tests.
    pub(crate) async fn of(caller: &Caller) -> Option<Self> {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(caller.aws()?)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .load()
            .await;
        let buckets = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
        let buckets = aws_sdk_s3::Client::from_conf(buckets);
        Some(Self { tables: aws_sdk_dynamodb::Client::new(&config), buckets, caller: caller.clone() })
    }

    /// Where in all tables and buckets any of these is named.
    pub(crate) async fn traces_of(&self, needles: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        let mut look = |place: &str, text: String| {
            found.extend(needles.iter().filter(|needle| text.contains(**needle)).map(|needle| format!("{needle} in {place}: {text}")));
        };
        let tables = self.tables.list_tables().send().await.expect("the tables").table_names.unwrap_or_default();
        assert!(tables.len() >= 4, "{tables:?}");
        for table in tables {
            let mut after = None;
            loop {
                let page = self.tables.scan().table_name(&table).set_exclusive_start_key(after).send().await.expect("a scan");
                // What has expired is gone for whoever reads; the table removes it in its own time.
                page.items().iter().filter(|item| !has_expired(item)).for_each(|item| look(&table, format!("{item:?}")));
                after = page.last_evaluated_key;
                if after.is_none() {
                    break;
                }
            }
        }
        let buckets = self.buckets.list_buckets().send().await.expect("the buckets").buckets.unwrap_or_default();
        assert!(buckets.len() >= 3, "{buckets:?}");
        for bucket in buckets.iter().filter_map(|bucket| bucket.name()) {
            let mut after = None;
            loop {
                let page = self.buckets.list_objects_v2().bucket(bucket).set_continuation_token(after).send().await.expect("a list");
                page.contents().iter().filter_map(|object| object.key()).for_each(|key| look(bucket, key.to_owned()));
                after = page.next_continuation_token;
                if after.is_none() {
                    break;
                }
            }
            // Parts that nobody has joined are no objects, and cost and tell as much.
            let uploads = self.buckets.list_multipart_uploads().bucket(bucket).send().await.expect("the uploads");
            uploads.uploads().iter().filter_map(|upload| upload.key()).for_each(|key| look(bucket, format!("begun: {key}")));
        }
        found
    }

    /// The sum of the `count`s of a partition.
    pub(crate) async fn sum_of(&self, table: &str, pk: &str) -> i64 {
        let query = self.tables.query().table_name(format!("tintype-{table}")).key_condition_expression("pk = :pk").consistent_read(true);
        let shards = query.expression_attribute_values(":pk", AttributeValue::S(pk.to_owned())).send().await.expect("its items");
        let count = |item: &HashMap<String, AttributeValue>| item["count"].as_n().ok().and_then(|count| count.parse::<i64>().ok());
        shards.items().iter().map(|item| count(item).expect("a count")).sum()
    }

    /// Puts something into the bucket whose name has this in it.
    pub(crate) async fn put(&self, bucket: &str, key: &str) {
        let bucket = self.bucket(bucket).await;
        self.buckets.put_object().bucket(bucket).key(key).body(b"left behind".to_vec().into()).send().await.expect("an object");
    }

    /// Begins an object in parts there, and leaves it at that.
    pub(crate) async fn begin(&self, bucket: &str, key: &str) {
        let bucket = self.bucket(bucket).await;
        let upload = self.buckets.create_multipart_upload().bucket(&bucket).key(key).send().await.expect("an upload");
        let part = self.buckets.upload_part().bucket(bucket).key(key).set_upload_id(upload.upload_id).part_number(1);
        part.body(b"left behind".to_vec().into()).send().await.expect("a part");
    }

    async fn bucket(&self, name: &str) -> String {
        let buckets = self.buckets.list_buckets().send().await.expect("the buckets").buckets.unwrap_or_default();
        buckets.iter().filter_map(|it| it.name()).find(|it| it.contains(name)).expect("such a bucket").to_owned()
    }

    /// An item of a table, by its name in the template.
    pub(crate) async fn item(&self, table: &str, pk: &str, sk: &str) -> Option<HashMap<String, AttributeValue>> {
        let get = self.tables.get_item().table_name(format!("tintype-{table}")).consistent_read(true);
        let get = get.key("pk", AttributeValue::S(pk.to_owned())).key("sk", AttributeValue::S(sk.to_owned()));
        get.send().await.expect("an answer").item
    }

    /// Gives an attribute of an item another value.
    pub(crate) async fn set(&self, table: &str, (pk, sk): (&str, &str), attribute: &str, value: AttributeValue) {
        let update = self.tables.update_item().table_name(format!("tintype-{table}"));
        let update = update.key("pk", AttributeValue::S(pk.to_owned())).key("sk", AttributeValue::S(sk.to_owned()));
        let update = update.update_expression("SET #it = :value").expression_attribute_names("#it", attribute);
        update.expression_attribute_values(":value", value).send().await.expect("an update");
    }

    /// All items of a table, by its name in the template, as DynamoDB writes them.
    pub(crate) async fn items(&self, table: &str) -> Vec<HashMap<String, AttributeValue>> {
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let scan = self.tables.scan().table_name(format!("tintype-{table}")).consistent_read(true).set_exclusive_start_key(after);
            let page = scan.send().await.expect("a scan");
            items.extend(page.items.unwrap_or_default());
            after = page.last_evaluated_key;
            if after.is_none() {
                return items;
            }
        }
    }

    /// Lets the time pass that a deletion waits for by itself, and calls the janitor, until it is done.
    pub(crate) async fn see_deleted(&self, deletion: &str, patience: Duration) {
        self.see_deleted_with(deletion, patience, async || ()).await;
    }

    /// The same, with something to be done in between.
    pub(crate) async fn see_deleted_with(&self, deletion: &str, patience: Duration, between: impl AsyncFn()) {
        let path = deletion.strip_prefix("/v1").expect("it is root-relative");
        let id = path.rsplit('/').next().expect("an id");
        until("the deletion is done", patience, async || {
            between().await;
            let answer = self.caller.patient().get(path).await.expect(200);
            match answer["status"].as_str() {
                Some("done") => return Some(()),
                Some("running") => {}
                _ => panic!("{}", answer.text),
            }
            self.pass_time(&format!("DELETION#{id}"), "DELETION").await;
            self.call_janitor().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            None
        })
        .await;
    }

    /// As if the time were there that a job waits for, if it waits for nothing else.
    async fn pass_time(&self, pk: &str, sk: &str) {
        for table in self.tables.list_tables().send().await.expect("the tables").table_names.unwrap_or_default() {
            let text = |value: &str| AttributeValue::S(value.to_owned());
            let update = self.tables.update_item().table_name(table).key("pk", text(pk)).key("sk", text(sk));
            let update = update.update_expression("SET deadline = :past").condition_expression("is_planned = :yes");
            let update = update.expression_attribute_values(":past", text("2026-01-01T00:00:00.000Z"));
            // Refused where it is not, and where faults are switched on: the next time.
            let _ = update.expression_attribute_values(":yes", AttributeValue::Bool(true)).send().await;
        }
    }

    /// As if nothing had been heard for too long of whoever works on a job, and the janitor's minute were over; whether the job has not
    /// ended.
    pub(crate) async fn let_job_be_overdue(&self, pk: &str, sk: &str) -> bool {
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let update = self.tables.update_item().table_name("tintype-UsersTable").key("pk", text(pk)).key("sk", text(sk));
        let update = update.update_expression("SET deadline = :past").condition_expression("attribute_exists(deadline)");
        let updated = update.expression_attribute_values(":past", text("2026-01-01T00:00:00.000Z")).send().await;
        if let Err(error) = updated.map_err(aws_sdk_dynamodb::error::SdkError::into_service_error) {
            assert!(error.is_conditional_check_failed_exception(), "{error:?}");
            return false;
        }
        self.call_janitor().await;
        true
    }

    async fn call_janitor(&self) {
        let aws = self.caller.aws().expect("the endpoint");
        let url = format!("{aws}/2015-03-31/functions/tintype-janitor/invocations");
        let event = include_str!("../../../events/janitor/schedule.json");
        // Where it can't be called so it comes by itself, within a minute.
        let _ = Answer::to(self.caller.plain(Method::POST, &url).body(event)).await;
    }
}

fn has_expired(item: &HashMap<String, AttributeValue>) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    let expires_at = item.get("expires_at").and_then(|at| at.as_n().ok()?.parse::<u64>().ok());
    expires_at.is_some_and(|at| at <= now)
}
