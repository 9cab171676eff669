//! What a conversation does after a panic: nothing is lost with its value, and the message that it panics over again and
//! again is set apart.

use std::rc::Rc;

use actix::prelude::*;

use super::super::turn;
use super::{Conversation, Phase};
use crate::failpoint;

impl Conversation {
    /// Goes on after a panic. After `turns.max_attempts` in a row messages are read one by one; after as many again, what is
    /// panicked over is taken out of the way first, by a task that touches nothing of this actor.
    pub(super) fn recover(&mut self, ctx: &mut Context<Self>) {
        failpoint!("conversation.recover");
        if matches!(self.phase, Phase::Running) {
            return;
        }
        let is_exhausted = self.panics >= self.shard.turns.max_attempts;
        if is_exhausted {
            self.panics = 0;
        }
        if is_exhausted && std::mem::replace(&mut self.isolates, true) {
            return self.run_beside(turn::give_up(Rc::clone(&self.shard), self.id, self.is_at_turn), ctx);
        }
        self.proceed(ctx);
    }
}

impl Supervised for Conversation {
    fn restarting(&mut self, _: &mut Self::Context) {
        let phase = if matches!(self.phase, Phase::Running) { Phase::Running } else { Phase::Cold };
        *self = Self {
            phase,
            account: self.account.take(),
            language: self.language,
            handled: self.handled,
            timer_epoch: self.timer_epoch.wrapping_add(1),
            life: self.life.wrapping_add(1),
            panics: self.panics.saturating_add(u32::from(!self.is_excused)),
            is_at_turn: self.is_at_turn,
            isolates: self.isolates,
            ..Self::new(self.id, Rc::clone(&self.shard))
        };
    }
}
