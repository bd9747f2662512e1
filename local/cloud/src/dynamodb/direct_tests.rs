//! A read in this process is answered as the server answers it, or not at all.

use http::Request;
use serde_json::json;

use super::{
    super::{
        faults,
        proxy::{Proxy, Server},
    },
    *,
};

/// A table of four items with a sort key and an index.
fn database() -> Database {
    let database = Database::memory().unwrap();
    let names = ["pk", "sk", "at"];
    let key = |names: &[&str]| -> Vec<Value> {
        names.iter().zip(["HASH", "RANGE"]).map(|(name, kind)| json!({"AttributeName": name, "KeyType": kind})).collect()
    };
    let create = json!({
        "TableName": "posts",
        "AttributeDefinitions": names.map(|name| json!({"AttributeName": name, "AttributeType": "S"})),
        "KeySchema": key(&["pk", "sk"]),
        "GlobalSecondaryIndexes": [{"IndexName": "by-time", "KeySchema": key(&["at"]), "Projection": {"ProjectionType": "ALL"}}],
        "BillingMode": "PAY_PER_REQUEST",
    });
    database.create_table(serde_json::from_value(create).unwrap()).unwrap();
    for sk in ["a", "b", "c", "d"] {
        let item = json!({
            "pk": {"S": "p"}, "sk": {"S": sk}, "at": {"S": "now"}, "n": {"N": "1.50"}, "b": {"B": "AAEC"}, "t": {"BOOL": true}, "z": {"NULL": true},
            "m": {"M": {"l": {"L": [{"S": "é\n\u{1f600}"}]}}}, "ns": {"NS": ["3", "2"]},
        });
        database.put_item(serde_json::from_value(json!({"TableName": "posts", "Item": item})).unwrap()).unwrap();
    }
    database
}

fn key(sk: &str) -> Value {
    json!({"pk": {"S": "p"}, "sk": {"S": sk}})
}

/// The head of a signed request.
fn head(operation: &str) -> Parts {
    let signature = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
    let request = Request::post("/").header("x-amz-target", format!("DynamoDB_20120810.{operation}"));
    let request = request.header("content-type", JSON).header("authorization", signature);
    request.header("x-amz-date", "20260101T000000Z").body(()).unwrap().into_parts().0
}

/// Reads as the functions make them.
fn plain_reads() -> Vec<(&'static str, Value)> {
    let query = |more: Value| {
        let mut query = json!({
            "TableName": "posts", "KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "p"}},
            "ReturnConsumedCapacity": "TOTAL", "ConsistentRead": false,
        });
        query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("Query", query)
    };
    vec![
        ("GetItem", json!({"TableName": "posts", "Key": key("a"), "ConsistentRead": true, "ReturnConsumedCapacity": "TOTAL"})),
        ("GetItem", json!({"TableName": "posts", "Key": key("not there")})),
        (
            "GetItem",
            json!({"TableName": "posts", "Key": key("a"), "ProjectionExpression": "#n, m.l[0]", "ExpressionAttributeNames": {"#n": "n"}}),
        ),
        query(json!({})),
        query(json!({"Limit": 2, "ScanIndexForward": false})),
        query(json!({"Limit": 2, "ExclusiveStartKey": key("b")})),
        query(json!({
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)", "FilterExpression": "n < :n",
            "ExpressionAttributeValues": {":pk": {"S": "p"}, ":sk": {"S": "c"}, ":n": {"N": "2"}},
        })),
        query(json!({
            "IndexName": "by-time", "KeyConditionExpression": "#at = :at", "ExpressionAttributeNames": {"#at": "at"},
            "ExpressionAttributeValues": {":at": {"S": "now"}}, "Limit": 3,
        })),
        (
            "BatchGetItem",
            json!({"RequestItems": {"posts": {"Keys": [key("b"), key("a"), key("not there")], "ConsistentRead": true}}, "ReturnConsumedCapacity": "TOTAL"}),
        ),
    ]
}

async fn server(database: &Database) -> (Proxy, Server) {
    Proxy::start(database.clone()).await.unwrap()
}

#[tokio::test]
async fn a_plain_read_has_the_answer_that_the_server_gives() {
    let database = database();
    let (proxy, _server) = server(&database).await;
    for (operation, request) in plain_reads() {
        let body = request.to_string();
        let direct = read(&database, &head(operation), body.as_bytes()).unwrap_or_else(|| panic!("{operation} {request} is plain"));
        let passed_on = proxy.pass_on(&head(operation), body.into()).await.unwrap();
        assert_eq!(direct.status(), passed_on.status());
        assert_eq!(direct.headers()[CONTENT_TYPE], passed_on.headers()[CONTENT_TYPE]);
        let (length, crc) = (direct.headers().get("content-length").cloned(), direct.headers()["x-amz-crc32"].clone());
        let bytes = axum::body::to_bytes(direct.into_body(), usize::MAX).await.unwrap();
        assert_eq!(crc, HeaderValue::from(crc32fast::hash(&bytes)));
        assert!(length.is_none_or(|length| length == HeaderValue::from(bytes.len())));
        assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), faults::read(passed_on).await.unwrap(), "{operation} {request}");
    }
}

#[tokio::test]
async fn a_plain_read_needs_no_server() {
    // Nobody listens there.
    let proxy = Proxy::to("127.0.0.1:1".to_owned(), database());
    for (operation, request) in plain_reads() {
        assert_eq!(proxy.answer(&head(operation), request.to_string().into()).await.unwrap().status(), 200, "{operation} {request}");
    }
    proxy.answer(&head("GetItem"), json!({"TableName": "not there", "Key": key("a")}).to_string().into()).await.unwrap_err();
}

#[test]
fn what_the_server_may_refuse_or_answer_otherwise_is_left_to_it() {
    let database = database();
    let is_read = |head: &Parts, request: &Value| read(&database, head, request.to_string().as_bytes()).is_some();
    let get = json!({"TableName": "posts", "Key": key("a")});
    assert!(is_read(&head("GetItem"), &get));
    for (name, value) in [
        // Of the wrong type, though nothing asks for it; of the older validation; unknown to us.
        ("ExpressionAttributeValues", json!({":v": "text"})),
        ("ExpressionAttributeValues", json!({":v": {"S": "a", "N": "1"}})),
        ("ExpressionAttributeValues", json!({":v": {"BOOL": "true"}})),
        ("Limit", json!("1")),
        ("ConsistentRead", json!("true")),
        ("Expected", json!([])),
        ("AttributesToGet", json!(["n"])),
        // Refused by the database.
        ("TableName", json!("not there")),
        ("Key", json!({"pk": {"S": "p"}})),
        ("ReturnConsumedCapacity", json!("SOME")),
    ] {
        let mut request = get.clone();
        request[name] = value;
        assert!(!is_read(&head("GetItem"), &request), "{request}");
    }
    for operation in ["PutItem", "Scan", "TransactGetItems", "GetRecords", ""] {
        assert!(!is_read(&head(operation), &get), "{operation}");
    }
    for body in [r#"{"TableName": "posts", "TableName": "posts", "Key": {"pk": {"S": "p"}, "sk": {"S": "a"}}}"#, "", "[]", "{"] {
        assert!(read(&database, &head("GetItem"), body.as_bytes()).is_none(), "{body}");
    }

    let with = |change: &dyn Fn(&mut Parts)| {
        let mut head = head("GetItem");
        change(&mut head);
        is_read(&head, &get)
    };
    assert!(!with(&|head| head.method = Method::PUT));
    assert!(!with(&|head| head.uri = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256".parse().unwrap()));
    assert!(!with(&|head| head.uri = "/queue".parse().unwrap()));
    for name in ["authorization", "x-amz-date", "content-type", "x-amz-target"] {
        assert!(!with(&|head| drop(head.headers.remove(name))), "{name}");
    }
    for (name, value) in [
        ("authorization", "AWS4-HMAC-SHA256 Credential=test"),
        ("content-type", "application/json"),
        ("x-amz-target", "DynamoDBStreams_20120810.GetItem"),
        ("origin", "http://example.com"),
    ] {
        assert!(!with(&|head| drop(head.headers.insert(name, HeaderValue::from_static(value)))), "{name}: {value}");
    }
}
