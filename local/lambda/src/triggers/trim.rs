//! Removes stream records that are older than a day, as AWS does, once every mapping is past them.
//!
//! On AWS they go whether they were read or not. There mappings run all the time; this host may have
//! been off for a week, and what is written just before it goes off is still to be delivered.

use std::time::Duration;

use tintype_cloud::{dynamodb::Streams, say, state::Control, unix_millis};
use tintype_template::deployment::{Deployment, Trigger};
use tokio::{sync::watch, task::JoinHandle};

use super::stream;
use crate::stop::stopped;

const RETENTION: Duration = Duration::from_hours(24);

/// How often records are looked through, and how soon after the start for the first time.
const INTERVAL: Duration = Duration::from_mins(10);
const FIRST: Duration = Duration::from_mins(1);

/// A table with a stream, and the mappings that read it.
struct Table {
    name: String,
    mappings: Vec<String>,
}

pub(super) fn start(deployment: &Deployment, streams: &Streams, control: &Control, stop: &watch::Receiver<bool>) -> JoinHandle<()> {
    let tables = tables(deployment);
    let (streams, control, mut stop) = (streams.clone(), control.clone(), stop.clone());
    tokio::spawn(async move {
        let tables = std::sync::Arc::new(tables);
        let mut pause = FIRST;
        loop {
            tokio::select! {
                () = stopped(&mut stop) => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = INTERVAL;
            let (tables, streams, control) = (tables.clone(), streams.clone(), control.clone());
            // Whatever fails is tried again the next time.
            let _ = tokio::task::spawn_blocking(move || tables.iter().for_each(|table| table.trim(&streams, &control))).await;
        }
    })
}

fn tables(deployment: &Deployment) -> Vec<Table> {
    let streams = || {
        deployment.functions.iter().flat_map(|function| &function.triggers).filter_map(|trigger| match trigger {
            Trigger::Stream(stream) => Some(stream),
            Trigger::Queue(_) | Trigger::Schedule(_) => None,
        })
    };
    let with_stream = deployment.tables.iter().filter(|table| table.create["StreamSpecification"].is_object());
    with_stream
        .map(|table| Table {
            name: table.name.clone(),
            mappings: streams().filter(|stream| stream.table == table.name).map(|stream| stream.id.clone()).collect(),
        })
        .collect()
}

impl Table {
    fn trim(&self, streams: &Streams, control: &Control) {
        let positions = self.mappings.iter().map(|mapping| stream::position_of(control, mapping).ok().flatten());
        // One that has none yet has still to begin with the oldest.
        let Some(mut positions) = positions.collect::<Option<Vec<_>>>() else { return };
        positions.sort_unstable();
        let before = unix_millis() / 1000 - RETENTION.as_secs().cast_signed();
        if let Err(error) = streams.trim(&self.name, before, positions.first().map(String::as_str)) {
            say("dynamodb", &format!("old records of {}: {error}", self.name));
        }
    }
}

#[cfg(test)]
#[path = "trim_tests.rs"]
mod tests;
