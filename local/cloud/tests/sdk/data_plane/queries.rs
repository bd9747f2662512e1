//! Queries: which part of a partition, in which order, page by page; and the sparse index.

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata as _,
    operation::query::{QueryOutput, builders::QueryFluentBuilder},
};

use super::cloud::{Cloud, Item, Table, item, text};
use crate::host::eventually;

fn query(table: &Table, prefix: &str) -> QueryFluentBuilder {
    let query = table.client.query().table_name(&table.name).key_condition_expression("pk = :pk AND begins_with(sk, :prefix)");
    query.expression_attribute_values(":pk", text("one")).expression_attribute_values(":prefix", text(prefix)).consistent_read(true)
}

fn sort_keys(answer: &QueryOutput) -> Vec<&str> {
    answer.items().iter().map(|item| item["sk"].as_s().unwrap().as_str()).collect()
}

/// A table with `sort_keys` in partition `one`, and one item beside it.
async fn filled(cloud: &Cloud, sort_keys: &[&str]) -> Table {
    let table = cloud.table().await;
    for sk in sort_keys {
        table.put(item("one", sk, [])).await;
    }
    table.put(item("two", sort_keys[0], [])).await;
    table
}

#[tokio::test]
async fn a_prefix_is_read_in_the_order_of_bytes_from_either_end() {
    let cloud = Cloud::start().await;
    let table = filled(&cloud, &["P#b", "P#é", "P#Z", "P#10", "P#9", "P", "Q#a"]).await;
    let mut expected = ["P#10", "P#9", "P#Z", "P#b", "P#é"];
    assert_eq!(sort_keys(&query(&table, "P#").send().await.unwrap()), expected);
    expected.reverse();
    assert_eq!(sort_keys(&query(&table, "P#").scan_index_forward(false).send().await.unwrap()), expected);
}

#[tokio::test]
async fn pages_follow_each_other_in_both_directions_and_lack_nothing() {
    let cloud = Cloud::start().await;
    let all = ["P#1", "P#2", "P#3", "P#4", "P#5"];
    let table = filled(&cloud, &all).await;
    for forward in [true, false] {
        let (mut read, mut after): (Vec<String>, Option<Item>) = (Vec::new(), None);
        loop {
            let page = query(&table, "P#").scan_index_forward(forward).limit(2).set_exclusive_start_key(after);
            let page = page.send().await.unwrap();
            assert!(page.items().len() <= 2);
            read.extend(sort_keys(&page).into_iter().map(str::to_owned));
            after = page.last_evaluated_key;
            if after.is_none() {
                break;
            }
            assert_eq!(after, Some(item("one", read.last().unwrap(), [])));
        }
        if !forward {
            read.reverse();
        }
        assert_eq!(read, all);
    }
}

#[tokio::test]
async fn a_page_may_start_after_a_key_that_is_not_there_any_more() {
    let cloud = Cloud::start().await;
    let table = filled(&cloud, &["P#1", "P#3"]).await;
    let page = query(&table, "P#").exclusive_start_key("pk", text("one")).exclusive_start_key("sk", text("P#2")).send().await.unwrap();
    assert_eq!(sort_keys(&page), ["P#3"]);
}

#[tokio::test]
async fn a_full_page_does_not_say_that_it_is_the_last() {
    let cloud = Cloud::start().await;
    let table = filled(&cloud, &["P#1", "P#2"]).await;
    assert!(query(&table, "P#").limit(2).send().await.unwrap().last_evaluated_key.is_some());
    assert!(query(&table, "P#").limit(3).send().await.unwrap().last_evaluated_key.is_none());
}

#[tokio::test]
async fn a_page_ends_after_a_megabyte() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    for number in 0..4 {
        table.put(item("one", &format!("P#{number}"), [("large", text("x".repeat(390 * 1024)))])).await;
    }
    let page = query(&table, "P#").limit(10).send().await.unwrap();
    assert!([2, 3].contains(&page.items().len()), "whether the item that exceeds it belongs to the page is not documented");
    let after = page.last_evaluated_key.clone();
    assert!(after.is_some());
    let rest = query(&table, "P#").limit(10).set_exclusive_start_key(after).send().await.unwrap();
    assert_eq!([sort_keys(&page), sort_keys(&rest)].concat(), ["P#0", "P#1", "P#2", "P#3"]);
    assert_eq!(rest.last_evaluated_key, None);
}

#[tokio::test]
async fn a_query_for_an_empty_key_is_refused() {
    let cloud = Cloud::start().await;
    let table = filled(&cloud, &["A"]).await;
    let query = |condition: &str, sk: &str| {
        let query = table.client.query().table_name(&table.name).key_condition_expression(condition);
        let query = query.expression_attribute_values(":pk", text("one")).expression_attribute_values(":sk", text(sk));
        if condition.contains("#key") { query.expression_attribute_names("#key", "sk") } else { query }
    };
    for condition in ["pk = :pk AND begins_with(sk, :sk)", "pk=:pk and #key>=:sk", "pk = :pk AND #key BETWEEN :sk AND :pk"] {
        let refused = query(condition, "").send().await.unwrap_err();
        assert_eq!(refused.code(), Some("ValidationException"), "{condition}");
        assert!(refused.message().unwrap().contains("cannot contain an empty string value. Key: sk"), "{condition}: {refused:?}");
        query(condition, "A").send().await.expect(condition);
    }
}

#[tokio::test]
async fn a_sparse_index_has_only_the_items_that_have_its_keys_and_of_them_only_keys() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    let unfinished = |pk: &str, deadline: &str| {
        item(pk, "POST", [("unfinished", text("0")), ("deadline", text(deadline)), ("caption", text("not for the index"))])
    };
    let overdue = async || {
        let query = table.client.query().table_name(&table.name).index_name("ByDeadline");
        let query = query.key_condition_expression("unfinished = :shard AND deadline <= :now").limit(10);
        let query = query.expression_attribute_values(":shard", text("0")).expression_attribute_values(":now", text("2026-01-03"));
        query.send().await.unwrap().items.unwrap()
    };
    let keys = |pk: &str, deadline: &str| item(pk, "POST", [("unfinished", text("0")), ("deadline", text(deadline))]);

    table.put(unfinished("later", "2026-01-04")).await;
    table.put(unfinished("second", "2026-01-02")).await;
    table.put(unfinished("first", "2026-01-01")).await;
    table.put(item("published", "POST", [("deadline", text("2026-01-01"))])).await;
    let both = [keys("first", "2026-01-01"), keys("second", "2026-01-02")];
    eventually("the index has what is overdue, in order", async || overdue().await == both).await;

    let finish = table.client.update_item().table_name(&table.name).set_key(Some(item("first", "POST", [])));
    finish.update_expression("REMOVE unfinished").send().await.unwrap();
    eventually("what is finished is out of the index", async || overdue().await == both[1..]).await;
}

#[tokio::test]
async fn an_index_is_never_read_consistently() {
    let cloud = Cloud::start().await;
    let table = cloud.table().await;
    let query = table.client.query().table_name(&table.name).index_name("ByDeadline").key_condition_expression("unfinished = :shard");
    let refused = query.expression_attribute_values(":shard", text("0")).consistent_read(true).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("ValidationException"));
}
