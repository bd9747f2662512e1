use std::sync::{Arc, Mutex};

use super::*;
use crate::fake::{self, Answer, until};

#[tokio::test]
async fn a_function_is_invoked_soon_after_the_start_and_then_at_the_rate() {
    let state = fake::state(&[]);
    let events: Arc<Mutex<Vec<Value>>> = Arc::default();
    let noted = Arc::clone(&events);
    let spawn = fake::workers(move |call| {
        noted.lock().unwrap().push(call.event);
        async { Answer::Succeed(Value::Null) }
    });
    let janitor = fake::function("janitor");
    let lambda = Lambda::with_spawn(
        std::slice::from_ref(&janitor),
        state.dir.control(),
        state.queues.clone(),
        spawn,
        &tintype_chaos::Chaos::new([]),
    )
    .await
    .unwrap();
    lambda.deliver_pending();
    let (stop, stopping) = watch::channel(false);
    let trigger = ScheduleTrigger { name: "every-moment".to_owned(), every: Duration::from_millis(50) };
    let task = start(&trigger, &janitor, &lambda, &stopping);
    until("it has run thrice", || events.lock().unwrap().len() >= 3).await;
    stop.send_replace(true);
    task.await.unwrap();
    let event = events.lock().unwrap()[0].clone();
    assert_eq!(event["source"], "aws.events");
    assert_eq!(event["detail-type"], "Scheduled Event");
    assert_eq!(event["resources"], json!(["arn:aws:events:us-east-1:000000000000:rule/every-moment"]));
    assert!(event["time"].as_str().unwrap().parse::<Timestamp>().is_ok());
}
