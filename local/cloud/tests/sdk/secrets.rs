use aws_sdk_secretsmanager::Client;

use crate::host::Host;

const SECRET: &str = "tintype-TokenSecret";

#[tokio::test]
async fn a_secret_is_found_by_name_and_by_arn_and_stays_the_same() {
    let host = Host::start().await;
    let get = async |host: &Host, id: &str| Client::new(&host.sdk).get_secret_value().secret_id(id).send().await;
    let by_name = get(&host, SECRET).await.unwrap();
    let by_arn = get(&host, by_name.arn().unwrap()).await.unwrap();
    assert_eq!(by_name.secret_string().unwrap().len(), 64);
    assert_eq!(by_arn.secret_string(), by_name.secret_string());
    assert!(get(&host, "nowhere").await.unwrap_err().into_service_error().is_resource_not_found_exception());

    let host = host.restart().await;
    assert_eq!(get(&host, SECRET).await.unwrap().secret_string(), by_name.secret_string());
}

/// What a rotation asks, as the SDK sends it and reads the answers.
#[tokio::test]
async fn a_secret_is_rotated_by_its_stages() {
    let host = Host::start().await;
    let client = Client::new(&host.sdk);
    let at = async |client: &Client, stage: &str| {
        let answer = client.get_secret_value().secret_id(SECRET).version_stage(stage).send().await;
        answer.map(|answer| (answer.secret_string.unwrap(), answer.version_id.unwrap())).map_err(aws_sdk_secretsmanager::Error::from)
    };
    let (first, first_id) = at(&client, "AWSCURRENT").await.unwrap();
    let missing = at(&client, "AWSPENDING").await.unwrap_err();
    assert!(matches!(missing, aws_sdk_secretsmanager::Error::ResourceNotFoundException(_)), "{missing}");

    let random = client.get_random_password().password_length(64).exclude_punctuation(true).send().await.unwrap();
    let second = random.random_password().unwrap().to_owned();
    assert_eq!(second.len(), 64);
    let put = client.put_secret_value().secret_id(SECRET).secret_string(&second).version_stages("AWSPENDING").send().await.unwrap();
    let second_id = put.version_id().unwrap();
    assert_eq!(at(&client, "AWSCURRENT").await.unwrap().0, first);
    let listed = client.list_secret_version_ids().secret_id(SECRET).send().await.unwrap();
    assert_eq!(listed.versions().len(), 2);
    assert!(listed.versions().iter().all(|version| version.created_date().is_some()));

    let update = client.update_secret_version_stage().secret_id(SECRET).version_stage("AWSCURRENT");
    update.remove_from_version_id(&first_id).move_to_version_id(second_id).send().await.unwrap();
    let host = host.restart().await;
    let client = Client::new(&host.sdk);
    assert_eq!(at(&client, "AWSCURRENT").await.unwrap().0, second);
    assert_eq!(at(&client, "AWSPREVIOUS").await.unwrap(), (first, first_id));
    let described = client.describe_secret().secret_id(SECRET).send().await.unwrap();
    assert_eq!(described.version_ids_to_stages().unwrap()[second_id], ["AWSCURRENT", "AWSPENDING"]);
}
