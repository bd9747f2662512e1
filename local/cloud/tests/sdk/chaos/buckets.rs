//! S3's, and those of its notifications.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_s3::{Client, error::ProvideErrorMetadata as _, presigning::PresigningConfig};
use tintype_chaos::Fault;

use super::{first_time, without_retries};
use crate::host::{Host, MEDIA, UPLOADS, eventually};

async fn is_stored(host: &Host, bucket: &str, key: &str) -> bool {
    host.s3().head_object().bucket(bucket).key(key).send().await.is_ok()
}

#[tokio::test]
async fn errors_and_throttling_are_those_of_s3_and_nothing_is_done() {
    let host = Host::start().await;
    let client = Client::new(&without_retries(&host));
    for (spec, status, code) in [("s3:error=1", 500, "InternalError"), ("s3:throttle=1", 503, "SlowDown")] {
        host.chaos.set(spec).unwrap();
        let refused = client.put_object().bucket(MEDIA).key("a").body(b"photo".to_vec().into()).send().await.unwrap_err();
        assert_eq!(refused.raw_response().unwrap().status().as_u16(), status);
        assert_eq!(refused.into_service_error().code(), Some(code));
        let refused = client.get_object().bucket(MEDIA).key("a").send().await.unwrap_err();
        assert_eq!(refused.into_service_error().code(), Some(code));
        host.buckets.object(MEDIA, "a").await.unwrap_err();
        host.chaos.set("").unwrap();
        assert!(!is_stored(&host, MEDIA, "a").await);
    }
}

#[tokio::test]
async fn the_sdk_tries_again_what_was_throttled_or_failed_or_lost() {
    let host = Host::start().await;
    for (fault, name) in [(Fault::Throttle, "throttle"), (Fault::Error, "error"), (Fault::LostAnswer, "lost_answer")] {
        host.chaos.set(&first_time("s3", fault, name)).unwrap();
        host.s3().put_object().bucket(MEDIA).key(name).body(b"photo".to_vec().into()).send().await.expect(name);
        host.chaos.set("").unwrap();
        assert!(is_stored(&host, MEDIA, name).await);
    }
}

#[tokio::test]
async fn uploads_by_ticket_fail_too_and_the_whole_file_is_read_before_the_refusal() {
    let host = Host::start().await;
    let put = host.s3().put_object().bucket(UPLOADS).key("uploads/0");
    let url = put.presigned(PresigningConfig::expires_in(Duration::from_mins(1)).unwrap()).await.unwrap().uri().to_owned();
    let upload = async || reqwest::Client::new().put(&url).body(vec![7; 3_000_000]).send().await;
    host.chaos.set("s3:throttle=1").unwrap();
    let refused = upload().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.text().await.unwrap().contains("<Code>SlowDown</Code>")), (503, true));
    assert!(host.delivered().is_empty());
    host.chaos.set("s3:lost_answer=1").unwrap();
    upload().await.unwrap_err();
    host.chaos.set("").unwrap();
    assert!(is_stored(&host, UPLOADS, "uploads/0").await);
    assert_eq!(host.delivered().len(), 1);
}

#[tokio::test]
async fn notifications_come_twice() {
    let host = Host::start().await;
    host.chaos.set("s3:duplicate=1").unwrap();
    host.s3().put_object().bucket(UPLOADS).key("uploads/0").body(b"photo".to_vec().into()).send().await.unwrap();
    let delivered = host.delivered();
    assert_eq!(delivered.len(), 2);
    assert_eq!(delivered[0], delivered[1]);
}

#[tokio::test]
async fn a_notification_is_overtaken_by_a_later_one_and_comes_all_the_same() {
    let host = Host::start().await;
    let put = async |key: &str| host.s3().put_object().bucket(UPLOADS).key(key).body(b"photo".to_vec().into()).send().await.unwrap();
    host.chaos.set(&first_time("s3", Fault::Reorder, "reorder")).unwrap();
    for key in ["uploads/0", "uploads/1", "uploads/2"] {
        put(key).await;
    }
    let keys = |host: &Host| host.events().into_iter().map(|(_, key)| key).collect::<Vec<_>>();
    assert_eq!(keys(&host), ["uploads/1", "uploads/0", "uploads/2"]);

    // Nothing comes after the last one.
    host.chaos.set("s3:reorder=1").unwrap();
    put("uploads/3").await;
    assert_eq!(host.events().len(), 3);
    eventually("it is let go", async || host.events().len() == 4).await;
}

#[tokio::test]
async fn however_notifications_are_duplicated_and_reordered_none_is_missing() {
    let host = Host::start().await;
    host.chaos.set("s3:duplicate=0.4,reorder=0.6;seed=5").unwrap();
    let sent: BTreeSet<_> = (0..30).map(|number| format!("uploads/{number:02}")).collect();
    for key in &sent {
        host.s3().put_object().bucket(UPLOADS).key(key).body(b"photo".to_vec().into()).send().await.unwrap();
    }
    let keys = || host.events().into_iter().map(|(_, key)| key).collect::<Vec<_>>();
    eventually("all are there", async || keys().into_iter().collect::<BTreeSet<_>>() == sent).await;
    assert!(keys().len() > 30 && !keys().is_sorted(), "{:?}", keys());
}
