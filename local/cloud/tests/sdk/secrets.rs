use crate::host::Host;

#[tokio::test]
async fn a_secret_is_found_by_name_and_by_arn_and_stays_the_same() {
    let host = Host::start().await;
    let get = async |host: &Host, id: &str| {
        let client = aws_sdk_secretsmanager::Client::new(&host.sdk);
        client.get_secret_value().secret_id(id).send().await
    };
    let by_name = get(&host, "tintype-TokenSecret").await.unwrap();
    let by_arn = get(&host, by_name.arn().unwrap()).await.unwrap();
    assert_eq!(by_name.secret_string().unwrap().len(), 64);
    assert_eq!(by_arn.secret_string(), by_name.secret_string());
    assert!(get(&host, "nowhere").await.unwrap_err().into_service_error().is_resource_not_found_exception());

    let host = host.restart().await;
    assert_eq!(get(&host, "tintype-TokenSecret").await.unwrap().secret_string(), by_name.secret_string());
}
