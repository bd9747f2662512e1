//! How an item speaks: attribute `event` says what happened, and a fresh `event_id` that it happened just now.
//!
//! The table's stream is the outbox. `functions/event-router` forwards `event` when `event_id` changed, so that a handler writes
//! once and returns: a crash between "written" and "sent" can't be, and other writes to the item repeat nothing.

use tintype_core::{
    Time,
    event::{Event, What},
};
use tintype_telemetry as telemetry;

use crate::table::{Item, text};

/// Lets an item speak.
pub fn speak(item: &mut Item, what: What, now: Time) {
    let event = Event::new(what, now, &telemetry::trace_id());
    item.insert("event_id".to_owned(), text(event.id.to_string()));
    item.insert("event".to_owned(), text(event.to_json()));
}
