//! What a conversation does after a panic: nothing is lost with its value, and the message that it panics over again and
//! again is set apart.

use std::rc::Rc;

use actix::prelude::*;

use super::super::turn;
use super::{Conversation, Phase};

/// Panics in a row after which messages are read one by one.
const PANICS_TO_ISOLATE: u8 = 2;

impl Conversation {
    /// Goes on after a panic. What was panicked over too often is taken out of the way first, by a task that touches nothing
    /// of this actor.
    pub(super) fn recover(&mut self, ctx: &mut Context<Self>) {
        if matches!(self.phase, Phase::Running) {
            return;
        }
        if u32::from(self.panics) >= self.shard.turns.max_attempts {
            self.panics = 0;
            return self.run_beside(turn::give_up(Rc::clone(&self.shard), self.id), ctx);
        }
        self.proceed(ctx);
    }
}

impl Supervised for Conversation {
    fn restarting(&mut self, _: &mut Self::Context) {
        let panics = self.panics.saturating_add(u8::from(!self.is_killed));
        let phase = if matches!(self.phase, Phase::Running) { Phase::Running } else { Phase::Cold };
        *self = Self {
            phase,
            account: self.account.take(),
            language: self.language,
            handled: self.handled,
            timer_epoch: self.timer_epoch.wrapping_add(1),
            life: self.life.wrapping_add(1),
            panics,
            isolates: self.isolates || panics >= PANICS_TO_ISOLATE,
            ..Self::new(self.id, Rc::clone(&self.shard))
        };
    }
}
