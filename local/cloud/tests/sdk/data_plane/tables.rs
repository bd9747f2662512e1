//! Single items: conditions, updates, what a request costs, and what a table says of itself.

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata as _,
    types::{KeySchemaElement, ReturnConsumedCapacity, ReturnValue, StreamViewType, TimeToLiveSpecification, TimeToLiveStatus},
};

use super::cloud::{Cloud, item, number, text};

#[tokio::test]
async fn an_item_is_written_only_where_its_condition_holds() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    let put_new = async |word: &str| {
        let put = table.client.put_item().table_name(&table.name).set_item(Some(item("one", "A", [("word", text(word))])));
        put.condition_expression("attribute_not_exists(pk)").send().await
    };
    put_new("first").await.unwrap();
    let refused = put_new("second").await.unwrap_err().into_service_error();
    assert!(refused.is_conditional_check_failed_exception(), "{refused:?}");
    assert_eq!(table.get("one", "A").await, Some(item("one", "A", [("word", text("first"))])));
}

#[tokio::test]
async fn a_version_is_followed_by_one_successor() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    table.put(item("post", "POST", [("version", number(1))])).await;
    let put_over = async |version: u32| {
        let put = table.client.put_item().table_name(&table.name).set_item(Some(item("post", "POST", [("version", number(version + 1))])));
        put.condition_expression("version = :version").expression_attribute_values(":version", number(version)).send().await
    };
    put_over(1).await.unwrap();
    assert!(put_over(1).await.unwrap_err().into_service_error().is_conditional_check_failed_exception());
    assert_eq!(table.get("post", "POST").await.unwrap()["version"], number(2));
}

#[tokio::test]
async fn an_update_sets_removes_and_adds_and_answers_the_whole_new_item() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    table.put(item("one", "A", [("bio", text("old")), ("website", text("gone soon"))])).await;
    let update = table.client.update_item().table_name(&table.name).set_key(Some(item("one", "A", [])));
    let update = update.update_expression("SET bio = :bio REMOVE website ADD #count :three").condition_expression("attribute_exists(pk)");
    let update = update.expression_attribute_names("#count", "count").expression_attribute_values(":three", number(3));
    // An attribute that is no key may be empty.
    let updated = update.expression_attribute_values(":bio", text("")).return_values(ReturnValue::AllNew).send().await.unwrap();
    let expected = item("one", "A", [("bio", text("")), ("count", number(3))]);
    assert_eq!(updated.attributes, Some(expected.clone()));
    assert_eq!(table.get("one", "A").await, Some(expected));
}

#[tokio::test]
async fn a_counter_starts_at_zero_and_takes_any_sign() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    for amount in [5, -7] {
        let add = table.client.update_item().table_name(&table.name).set_key(Some(item("one", "COUNT", [])));
        let add = add.update_expression("ADD #count :amount").expression_attribute_names("#count", "count");
        add.expression_attribute_values(":amount", number(amount)).send().await.unwrap();
    }
    assert_eq!(table.get("one", "COUNT").await, Some(item("one", "COUNT", [("count", number(-2))])));
}

#[tokio::test]
async fn an_update_that_wants_an_item_makes_none() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    let update = table.client.update_item().table_name(&table.name).set_key(Some(item("one", "A", [])));
    let update = update.update_expression("SET bio = :bio").condition_expression("attribute_exists(pk)");
    let refused = update.expression_attribute_values(":bio", text("x")).send().await.unwrap_err();
    assert!(refused.into_service_error().is_conditional_check_failed_exception());
    assert_eq!(table.get("one", "A").await, None);
}

#[tokio::test]
async fn an_item_is_deleted_where_its_number_is_greater() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    // As texts, 9 would be the greater one.
    table.put(item("user", "SESSION", [("expires_at", number(1_000))])).await;
    let delete = async |now: u32| {
        let delete = table.client.delete_item().table_name(&table.name).set_key(Some(item("user", "SESSION", [])));
        delete.condition_expression("expires_at > :now").expression_attribute_values(":now", number(now)).send().await
    };
    assert!(delete(1_000).await.unwrap_err().into_service_error().is_conditional_check_failed_exception());
    delete(9).await.unwrap();
    assert_eq!(table.get("user", "SESSION").await, None);
    assert!(delete(9).await.unwrap_err().into_service_error().is_conditional_check_failed_exception());
}

#[tokio::test]
async fn a_delete_without_a_condition_may_be_repeated() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    for _ in 0..2 {
        table.client.delete_item().table_name(&table.name).set_key(Some(item("one", "A", []))).send().await.unwrap();
    }
}

#[tokio::test]
async fn keys_are_whole_and_not_empty() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    for wrong in [item("", "A", []), item("one", "", []), [("pk".to_owned(), text("one"))].into(), item("one", "A", [("sk", number(1))])] {
        let refused = table.client.put_item().table_name(&table.name).set_item(Some(wrong.clone())).send().await.unwrap_err();
        assert_eq!(refused.code(), Some("ValidationException"), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_request_tells_what_it_cost() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    let put = table.client.put_item().table_name(&table.name).set_item(Some(item("one", "A", [])));
    let put = put.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.unwrap();
    assert_eq!(put.consumed_capacity.unwrap().capacity_units, Some(1.0));
    for (consistent, units) in [(true, 1.0), (false, 0.5)] {
        let get = table.client.get_item().table_name(&table.name).set_key(Some(item("one", "A", []))).consistent_read(consistent);
        let get = get.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.unwrap();
        assert_eq!(get.consumed_capacity.unwrap().capacity_units, Some(units), "consistent: {consistent}");
    }
}

#[tokio::test]
async fn a_table_that_is_not_there_is_not_found() {
    let cloud = Cloud::start().await;
    let missing = cloud.dynamodb().get_item().table_name("tintype-test-nowhere").set_key(Some(item("one", "A", []))).send().await;
    assert!(missing.unwrap_err().into_service_error().is_resource_not_found_exception());
}

#[tokio::test]
async fn a_table_describes_its_keys_its_index_and_its_stream() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    let described = table.client.describe_table().table_name(&table.name).send().await.unwrap().table.unwrap();
    let keys: Vec<_> = described.key_schema().iter().map(KeySchemaElement::attribute_name).collect();
    assert_eq!(keys, ["pk", "sk"]);
    let index = &described.global_secondary_indexes()[0];
    assert_eq!((index.index_name(), index.key_schema()[0].attribute_name()), (Some("ByDeadline"), "unfinished"));
    let stream = described.stream_specification().unwrap();
    assert_eq!((stream.stream_enabled(), stream.stream_view_type()), (true, Some(&StreamViewType::NewAndOldImages)));
    let (stream_arn, label) = (described.latest_stream_arn().unwrap(), described.latest_stream_label().unwrap());
    assert!(stream_arn.ends_with(&format!(":table/{}/stream/{label}", table.name)), "{stream_arn}");
}

#[tokio::test]
async fn a_table_tells_by_which_attribute_its_items_expire() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    let describe = async || {
        let described = table.client.describe_time_to_live().table_name(&table.name).send().await.unwrap();
        let described = described.time_to_live_description.unwrap();
        (described.time_to_live_status, described.attribute_name)
    };
    assert_eq!(describe().await, (Some(TimeToLiveStatus::Disabled), None));
    let expire = TimeToLiveSpecification::builder().attribute_name("expires_at").enabled(true).build().unwrap();
    table.client.update_time_to_live().table_name(&table.name).time_to_live_specification(expire).send().await.unwrap();
    let (status, attribute) = describe().await;
    assert!(matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)), "{status:?}");
    assert_eq!(attribute.as_deref(), Some("expires_at"));
}
