//! Who writes when: users who wait for their answers, and bursts at a rate whatever comes back.

use std::rc::Rc;
use std::time::Duration;

use tokio::task::{JoinSet, spawn_local};

use super::desk::Desk;
use super::plan::{Arrival, Moment};
use super::prng::Prng;
use super::profile::{Profile, StagePlan};

/// The first number of people who are not of the roster: those of stages with users, then one who writes without end.
const USERS_FROM: usize = 20_000_000;
/// The one who writes without end.
const HOT_USER: usize = 90_000_000;

/// The people of a run.
pub struct People {
    desk: Rc<Desk>,
    think_ms: [u64; 2],
    patience: Duration,
    seed: u64,
    next_user: usize,
    hot_bursts: usize,
}

impl People {
    /// The people of a profile.
    #[must_use]
    pub const fn new(desk: Rc<Desk>, profile: &Profile, seed: u64) -> Self {
        Self {
            desk,
            think_ms: profile.people.think_ms,
            patience: Duration::from_millis(profile.limits.answer_ms),
            seed,
            next_user: USERS_FROM,
            hot_bursts: 0,
        }
    }

    /// Lets them write for a stage; ends when it does. `arrivals` are the bursts of a stage with a rate.
    pub async fn play(&mut self, stage: &StagePlan, arrivals: Vec<Arrival>, from: Moment) {
        let until = from + (stage.seconds * 1_000_000.0) as Moment;
        let mut users = JoinSet::new();
        for number in 0..stage.users {
            let ramp = stage.ramp_ms * 1_000 * number as u64 / stage.users as u64;
            users.spawn_local(self.user(self.next_user + number, from + ramp, until));
        }
        self.next_user += stage.users;
        if stage.hot_bursts > 0 {
            spawn_local(hot_user(Rc::clone(&self.desk), stage.hot_bursts, self.hot_bursts, (from, until)));
            self.hot_bursts += stage.hot_bursts;
        }
        for Arrival { at, person, burst } in arrivals {
            self.desk.until(from + at).await;
            // Nobody waits for this answer but the record.
            drop(self.desk.write(person, burst, from + at));
        }
        self.desk.until(until).await;
        // Who still waits for an answer is counted by the record, and writes no more.
        users.detach_all();
    }

    /// Writes, waits for the answer, thinks, and writes again.
    fn user(&self, person: usize, from: Moment, until: Moment) -> impl Future<Output = ()> + 'static {
        let desk = Rc::clone(&self.desk);
        let mut prng = Prng::derived(self.seed, person as u64);
        let ([shortest, longest], patience) = (self.think_ms, self.patience);
        async move {
            let mut at = from;
            let mut number = 0;
            while at < until {
                desk.until(at).await;
                let answered = desk.write(person, number, at);
                // After that long somebody gives up waiting, and writes something else.
                let _ = tokio::time::timeout(patience, answered).await;
                number += 1;
                at = desk.now() + prng.between(shortest, longest) * 1_000;
            }
        }
    }
}

/// One person who writes so many bursts, evenly, whatever comes back.
async fn hot_user(desk: Rc<Desk>, bursts: usize, first: usize, (from, until): (Moment, Moment)) {
    for number in 0..bursts {
        let at = from + (until - from) * number as u64 / bursts as u64;
        desk.until(at).await;
        drop(desk.write(HOT_USER, first + number, at));
    }
}
