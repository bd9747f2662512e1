//! What queues do, in memory and as simply as it can be said: the store is tested against it.

use super::store::{Counts, Millis};

pub(super) const WORK: &str = "work";
pub(super) const DEAD: &str = "dead";
pub(super) const MAX_RECEIVES: u32 = 2;
pub(super) const VISIBILITY: Millis = 300;
pub(super) const RETENTION: Millis = 5_000;
pub(super) const DELAY: Millis = 100;

/// A message as the model keeps it.
#[derive(Debug, Clone)]
pub(super) struct Modelled {
    order: usize,
    pub queue: &'static str,
    /// Unknown if a task has moved it, which gave it a new one.
    pub message_id: Option<String>,
    group: Option<&'static str>,
    sent: Millis,
    pub visible: Millis,
    pub receives: u32,
    /// Index into the handles.
    pub handle: Option<usize>,
    came_from_work: bool,
}

/// A task that moves messages out of [`DEAD`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub id: i64,
    pub to_work: bool,
    pub rate: Option<u32>,
    started: Millis,
    to_move: u64,
    pub moved: u64,
    pub status: &'static str,
}

#[derive(Default)]
pub(super) struct Model {
    pub now: Millis,
    pub messages: Vec<Modelled>,
    sent: usize,
    /// The queue and text of each handle given out.
    pub handles: Vec<(&'static str, String)>,
    pub tasks: Vec<Task>,
}

impl Model {
    pub(super) fn send(&mut self, queue: &'static str, message_id: String, group: Option<&'static str>, delay: Millis) {
        self.sent += 1;
        self.messages.push(Modelled {
            order: self.sent,
            queue,
            message_id: Some(message_id),
            group,
            sent: self.now,
            visible: self.now + delay,
            receives: 0,
            handle: None,
            came_from_work: false,
        });
    }

    fn expire(&mut self, queue: &str) {
        let now = self.now;
        self.messages.retain(|message| message.queue != queue || message.sent + RETENTION > now);
    }

    /// Where the messages stand that a receive must return, in order.
    pub(super) fn receive(&mut self, queue: &'static str, max: usize, visibility: Option<Millis>) -> Vec<usize> {
        self.expire(queue);
        for message in &mut self.messages {
            if queue == WORK && message.queue == WORK && message.visible <= self.now && message.receives >= MAX_RECEIVES {
                *message = Modelled { queue: DEAD, visible: self.now, receives: 0, handle: None, came_from_work: true, ..message.clone() };
            }
        }
        let mut taken: Vec<usize> = Vec::new();
        while taken.len() < max {
            let waits = |at: &usize| {
                let message = &self.messages[*at];
                message.queue == queue && message.visible <= self.now && !taken.contains(at)
            };
            let turn = |at: &usize| (self.in_flight(*at, &taken), self.messages[*at].visible, self.messages[*at].order);
            let Some(next) = (0..self.messages.len()).filter(waits).min_by_key(turn) else { break };
            taken.push(next);
        }
        let until = self.now + visibility.unwrap_or(VISIBILITY);
        for at in &taken {
            self.messages[*at].receives += 1;
            self.messages[*at].visible = until;
        }
        taken
    }

    /// How many messages the tenant of a message has in flight, with those that are taken.
    fn in_flight(&self, at: usize, taken: &[usize]) -> usize {
        let Modelled { queue, group, .. } = self.messages[at];
        if group.is_none() {
            return 0;
        }
        let of_tenant = |message: &Modelled| message.queue == queue && message.group == group;
        let in_flight = self.messages.iter().filter(|message| of_tenant(message) && message.visible > self.now && message.handle.is_some());
        in_flight.count() + taken.iter().filter(|at| of_tenant(&self.messages[**at])).count()
    }

    pub(super) fn of_handle(&self, queue: &str, handle: usize) -> Option<usize> {
        self.messages.iter().position(|message| message.queue == queue && message.handle == Some(handle))
    }

    pub(super) fn show_received(&mut self, queue: &str) {
        let now = self.now;
        for message in self.messages.iter_mut().filter(|message| message.queue == queue && message.handle.is_some()) {
            message.visible = message.visible.min(now);
        }
    }

    pub(super) fn counts(&mut self, queue: &str) -> Counts {
        self.expire(queue);
        self.advance();
        let count = |wanted: &dyn Fn(&Modelled) -> bool| self.messages.iter().filter(|m| m.queue == queue && wanted(m)).count() as u64;
        Counts {
            visible: count(&|message| message.visible <= self.now),
            in_flight: count(&|message| message.visible > self.now && message.handle.is_some()),
            delayed: count(&|message| message.visible > self.now && message.handle.is_none()),
        }
    }

    pub(super) fn is_moving(&self) -> bool {
        self.tasks.last().is_some_and(|task| task.status == "RUNNING")
    }

    pub(super) fn start_move(&mut self, id: i64, to_work: bool, rate: Option<u32>) {
        self.expire(DEAD);
        let to_move = self.messages.iter().filter(|message| message.queue == DEAD && message.visible <= self.now).count() as u64;
        self.tasks.push(Task { id, to_work, rate, started: self.now, to_move, moved: 0, status: "RUNNING" });
    }

    /// Moves as many messages as the running task should have moved by now, the oldest first.
    fn advance(&mut self) {
        if !self.is_moving() {
            return;
        }
        self.expire(DEAD);
        let Some(mut task) = self.tasks.pop() else { return };
        let now = self.now;
        let due =
            task.rate.map_or(task.to_move, |rate| (1 + u64::from(rate) * (now - task.started).unsigned_abs() / 1000).min(task.to_move));
        let mut stuck = false;
        while task.moved < due && !stuck {
            let may_move =
                |message: &&mut Modelled| message.queue == DEAD && message.visible <= now && (task.to_work || message.came_from_work);
            let next = self.messages.iter_mut().filter(may_move).min_by_key(|message| (message.visible, message.order));
            match next {
                Some(message) => {
                    *message = Modelled {
                        queue: WORK,
                        message_id: None,
                        sent: now,
                        visible: now,
                        receives: 0,
                        handle: None,
                        came_from_work: false,
                        ..message.clone()
                    };
                    task.moved += 1;
                }
                None => stuck = true,
            }
        }
        if stuck || task.moved >= task.to_move {
            let left = self.messages.iter().any(|message| message.queue == DEAD && message.visible <= now && !message.came_from_work);
            task.status = if left && !task.to_work { "FAILED" } else { "COMPLETED" };
        }
        self.tasks.push(task);
    }
}
