//! The line of one conversation's parts: which is next, and when. Pure.

use std::collections::VecDeque;

use crate::domain::{OutboxPart, PartState, Tick};
use crate::ports::store::Mark;

/// What a lane can do now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Something is under way, or reserved; its end says what follows.
    Busy,
    /// The store must be read.
    Load,
    /// This part can be sent; the mark `sending` must be made first unless it carries it.
    Send(Box<OutboxPart>),
    /// Nothing before this tick.
    Wait(Tick),
    /// Nothing at all.
    Done,
}

/// The parts of one conversation that have not ended, in order.
#[derive(Debug, Default)]
pub struct Lane {
    parts: VecDeque<OutboxPart>,
    is_busy: bool,
    /// What it is busy with is a load.
    is_loading: bool,
    /// The store may have parts behind those that are here.
    is_stale: bool,
    /// Others changed the store's parts: what is here may not be what is there.
    is_changed: bool,
    /// It could send, and stands in the line of those that wait for a place.
    is_in_line: bool,
    /// A permit came back unused: a `sending` part in the store was never handed to the channel.
    is_unposted: bool,
}

impl Lane {
    /// A lane whose parts are in the store.
    #[must_use]
    pub fn stale() -> Self {
        Self { is_stale: true, ..Self::default() }
    }

    /// Whether a part could be sent right after a commit: nothing is before it.
    #[must_use]
    pub fn is_free(&self) -> bool {
        !self.is_busy && !self.is_stale && !self.is_changed && self.parts.is_empty()
    }

    /// Keeps the lane for a commit that is under way.
    pub const fn reserve(&mut self) {
        self.is_busy = true;
    }

    /// Ends a reservation whose commit may or may not have happened.
    pub const fn unreserve(&mut self) {
        self.is_busy = false;
        self.is_stale = true;
        self.is_unposted = true;
    }

    /// Nothing was sent, and whether the store has the mark is not known: what it has is settled when it is loaded.
    pub fn lost_mark(&mut self) {
        self.contradicted();
        self.is_unposted = true;
    }

    /// Appends committed parts; beyond `lane_max` they stay in the store. One that carries its `sending` mark is taken in
    /// any case: nobody else knows that it was not sent yet.
    pub fn append(&mut self, parts: Vec<OutboxPart>, lane_max: usize, ends_reservation: bool) {
        if ends_reservation {
            self.is_busy = false;
        }
        // What is being loaded may be older than these.
        self.is_changed |= self.is_loading;
        for part in parts {
            let fits = !self.is_stale && !self.is_changed && self.parts.len() < lane_max;
            if !fits && part.state != PartState::Sending {
                self.is_stale = true;
            } else {
                self.parts.push_back(part);
            }
        }
    }

    /// Hears that the store has something for this lane.
    pub fn hear(&mut self) {
        if self.parts.is_empty() {
            self.is_stale = true;
        }
        // What is being loaded may be older than this.
        self.is_changed |= self.is_loading;
    }

    /// Hears that the store was changed by others: nothing that is held is sent before it is loaded again.
    pub const fn invalidate(&mut self) {
        self.is_changed = true;
    }

    /// A load has begun; a change from now on asks for another one.
    pub const fn begin_load(&mut self) {
        self.is_busy = true;
        self.is_loading = true;
        self.is_changed = false;
    }

    /// A load failed; it is tried again later.
    pub const fn failed_to_load(&mut self) {
        self.is_busy = false;
        self.is_loading = false;
        self.is_changed = true;
    }

    /// Takes a place in the line of those that could send; false if it has one already.
    pub const fn line_up(&mut self) -> bool {
        !std::mem::replace(&mut self.is_in_line, true)
    }

    /// Leaves the line.
    pub const fn leave_line(&mut self) {
        self.is_in_line = false;
    }

    /// Takes what the store says.
    pub fn loaded(&mut self, parts: Vec<OutboxPart>, lane_max: usize) {
        self.is_busy = false;
        self.is_loading = false;
        self.is_stale = parts.len() >= lane_max.max(1);
        self.parts = parts.into();
    }

    /// What to do at `now`.
    #[must_use]
    pub fn next(&self, now: Tick) -> Next {
        if self.is_busy {
            return Next::Busy;
        }
        match self.parts.front() {
            // Its mark is made: now or never.
            Some(first) if first.state == PartState::Sending => Next::Send(Box::new(first.clone())),
            _ if self.is_changed => Next::Load,
            Some(first) if first.state == PartState::Ambiguous && first.not_before <= now => Next::Load,
            Some(first) if first.not_before > now => Next::Wait(first.not_before),
            Some(first) => Next::Send(Box::new(first.clone())),
            None if self.is_stale => Next::Load,
            None => Next::Done,
        }
    }

    /// Something has begun.
    pub const fn begin(&mut self) {
        self.is_busy = true;
    }

    /// The store was away before anything was sent: tries again later.
    pub const fn failed_to_begin(&mut self) {
        self.is_busy = false;
    }

    /// Whether the first part's `sending` mark was left by a commit whose permit came back unused.
    #[must_use]
    pub const fn is_unposted(&self) -> bool {
        self.is_unposted
    }

    /// The question of the unused permit is settled.
    pub const fn settle_unposted(&mut self) {
        self.is_unposted = false;
    }

    /// A send has ended with this mark, durable now.
    pub fn ended(&mut self, mark: &Mark) {
        self.is_busy = false;
        let Some(first) = self.parts.front_mut() else { return };
        match mark {
            Mark::Retry { not_before, .. } => {
                first.state = PartState::Pending;
                first.not_before = *not_before;
            }
            Mark::Ambiguous { hold_until, .. } => {
                first.state = PartState::Ambiguous;
                first.not_before = *hold_until;
            }
            Mark::Failed { .. } => {
                let turn = first.turn;
                self.parts.retain(|part| part.turn != turn);
            }
            Mark::Sent { .. } | Mark::Sending { .. } => {
                self.parts.pop_front();
            }
        }
    }

    /// The store refused a mark: what is here is not what is there.
    pub fn contradicted(&mut self) {
        self.is_busy = false;
        self.parts.clear();
        self.is_stale = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Account, Channel, ConversationId, PartId, Recipient, Timestamp, TurnId};
    use uuid::Uuid;

    fn part(number: u128, turn: u128, state: PartState, not_before: i64) -> OutboxPart {
        OutboxPart {
            id: PartId::new(Uuid::from_u128(number)),
            position: 1,
            conversation: ConversationId::new(Uuid::nil()),
            turn: TurnId::new(Uuid::from_u128(turn)),
            account: Account::new(Channel::Whatsapp, "1"),
            recipient: Recipient::default(),
            text: "x".into(),
            state,
            attempt: 1,
            created: Tick(0),
            not_before: Tick(not_before),
        }
    }

    fn pending(number: u128, turn: u128) -> OutboxPart {
        part(number, turn, PartState::Pending, 0)
    }

    fn sends(lane: &Lane, now: i64) -> Option<u128> {
        match lane.next(Tick(now)) {
            Next::Send(part) => Some(part.id.uuid().as_u128()),
            _ => None,
        }
    }

    fn sent(number: u128) -> Mark {
        let part = PartId::new(Uuid::from_u128(number));
        Mark::Sent { part, attempt: 1, provider_id: "w".into(), began: Timestamp(0), at: Timestamp(0) }
    }

    #[test]
    fn parts_go_one_after_another() {
        let mut lane = Lane::default();
        lane.append(vec![pending(1, 1), pending(2, 1)], 9, false);
        assert_eq!(sends(&lane, 0), Some(1));
        lane.begin();
        assert_eq!(lane.next(Tick(0)), Next::Busy);
        lane.ended(&sent(1));
        assert_eq!(sends(&lane, 0), Some(2));
        lane.ended(&sent(2));
        assert_eq!(lane.next(Tick(0)), Next::Done);
    }

    #[test]
    fn a_retry_waits_and_holds_what_is_behind_it() {
        let mut lane = Lane::default();
        lane.append(vec![pending(1, 1), pending(2, 2)], 9, false);
        let part = PartId::new(Uuid::from_u128(1));
        lane.ended(&Mark::Retry { part, attempt: 1, not_before: Tick(50), error: String::new() });
        assert_eq!(lane.next(Tick(49)), Next::Wait(Tick(50)));
        assert_eq!(sends(&lane, 50), Some(1));
    }

    #[test]
    fn an_ambiguous_part_holds_the_lane_and_is_then_left_to_the_store() {
        let mut lane = Lane::default();
        lane.append(vec![pending(1, 1), pending(2, 1)], 9, false);
        let part = PartId::new(Uuid::from_u128(1));
        lane.ended(&Mark::Ambiguous { part, attempt: 1, hold_until: Tick(50), error: String::new() });
        assert_eq!(lane.next(Tick(49)), Next::Wait(Tick(50)));
        assert_eq!(lane.next(Tick(50)), Next::Load);
        lane.loaded(vec![pending(2, 1)], 9);
        assert_eq!(sends(&lane, 50), Some(2));
    }

    #[test]
    fn a_failed_part_cancels_the_rest_of_its_reply_only() {
        let mut lane = Lane::default();
        lane.append(vec![pending(1, 1), pending(2, 1), pending(3, 2)], 9, false);
        let part = PartId::new(Uuid::from_u128(1));
        lane.ended(&Mark::Failed { part, attempt: 1, error: String::new() });
        assert_eq!(sends(&lane, 0), Some(3));
    }

    #[test]
    fn a_full_lane_leaves_the_rest_in_the_store() {
        let mut lane = Lane::default();
        lane.append(vec![pending(1, 1), pending(2, 1), pending(3, 1)], 2, false);
        lane.ended(&sent(1));
        lane.ended(&sent(2));
        assert_eq!(lane.next(Tick(0)), Next::Load);
    }

    #[test]
    fn a_reserved_lane_is_busy_until_its_commit_is_known() {
        let mut lane = Lane::default();
        assert!(lane.is_free());
        lane.reserve();
        assert!(!lane.is_free());
        lane.append(vec![part(1, 1, PartState::Sending, 0)], 9, true);
        assert_eq!(sends(&lane, 0), Some(1));
        let mut dropped = Lane::default();
        dropped.reserve();
        dropped.unreserve();
        assert_eq!(dropped.next(Tick(0)), Next::Load);
        assert!(dropped.is_unposted());
    }

    #[test]
    fn a_part_that_carries_its_mark_is_sent_whatever_was_heard_meanwhile() {
        for hear in [Lane::invalidate as fn(&mut Lane), Lane::hear as fn(&mut Lane)] {
            let mut lane = Lane::default();
            lane.reserve();
            hear(&mut lane);
            lane.append(vec![part(1, 1, PartState::Sending, 0), pending(2, 1)], 9, true);
            assert_eq!(sends(&lane, 0), Some(1));
            lane.begin();
            lane.ended(&sent(1));
            assert_eq!(lane.next(Tick(0)), Next::Load, "the rest is in the store");
        }
    }

    #[test]
    fn a_lane_that_was_changed_sends_nothing_before_it_is_loaded_again() {
        let mut lane = Lane::default();
        lane.append(vec![pending(1, 1)], 9, false);
        lane.invalidate();
        assert_eq!(lane.next(Tick(0)), Next::Load);
        lane.begin_load();
        lane.invalidate();
        lane.loaded(vec![pending(1, 1)], 9);
        assert_eq!(lane.next(Tick(0)), Next::Load, "it changed while it was loaded");
        lane.begin_load();
        lane.hear();
        lane.loaded(vec![], 9);
        assert_eq!(lane.next(Tick(0)), Next::Load, "something came while it was loaded");
        lane.begin_load();
        lane.append(vec![pending(1, 1)], 9, false);
        lane.loaded(vec![], 9);
        assert_eq!(lane.next(Tick(0)), Next::Load, "parts came while it was loaded");
        lane.begin_load();
        lane.failed_to_load();
        assert_eq!(lane.next(Tick(0)), Next::Load);
        lane.begin_load();
        lane.loaded(vec![pending(1, 1)], 9);
        assert_eq!(sends(&lane, 0), Some(1));
    }

    #[test]
    fn a_change_during_a_send_is_heard_when_the_send_has_ended() {
        let mut lane = Lane::default();
        lane.append(vec![pending(1, 1)], 9, false);
        lane.begin();
        lane.invalidate();
        assert_eq!(lane.next(Tick(0)), Next::Busy);
        let part = PartId::new(Uuid::from_u128(1));
        lane.ended(&Mark::Retry { part, attempt: 1, not_before: Tick(50), error: String::new() });
        assert_eq!(lane.next(Tick(50)), Next::Load);
    }

    #[test]
    fn a_lane_stands_in_line_once() {
        let mut lane = Lane::default();
        assert_eq!([lane.line_up(), lane.line_up()], [true, false]);
        lane.leave_line();
        assert!(lane.line_up());
    }

    #[test]
    fn a_contradicted_lane_starts_again_from_the_store() {
        let mut lane = Lane::default();
        lane.append(vec![pending(1, 1)], 9, false);
        lane.begin();
        lane.contradicted();
        assert_eq!(lane.next(Tick(0)), Next::Load);
        lane.loaded(vec![], 9);
        assert_eq!(lane.next(Tick(0)), Next::Done);
    }
}
