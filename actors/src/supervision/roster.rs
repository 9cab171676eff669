//! The roster of a service's threads: which one works, which one is frozen, when one that failed is replaced. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::events::EventKind;
use super::policy::{Reason, RestartPolicy, Restarts, Verdict};

/// One thread of all that a roster ever knew.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct ThreadId(u64);

/// The limits of a roster.
#[derive(Clone, Copy, Debug)]
pub(super) struct RosterSettings {
    /// Places, each with one thread; at least one.
    pub(super) threads: usize,
    /// A thread that works at one thing for this long is frozen.
    pub(super) heartbeat: Duration,
    /// Frozen threads that are replaced; while there are more, their places stay empty.
    pub(super) abandoned_max: usize,
    /// How often and how fast threads are replaced.
    pub(super) policy: RestartPolicy,
}

/// What to tell of a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct News {
    pub(super) place: usize,
    pub(super) kind: EventKind,
    pub(super) reason: Option<Reason>,
}

/// How many there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Counts {
    /// Threads at a place, that is all that are not left behind.
    pub(super) threads: usize,
    /// Those of them that work.
    pub(super) busy: usize,
    /// Frozen threads that were left behind.
    pub(super) abandoned: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// It has no thread; one is started then.
    Due(Instant),
    /// Its thread has been making its worker since then.
    Starting(ThreadId, Instant),
    Idle(ThreadId),
    /// Its thread has worked at one thing since then.
    Busy(ThreadId, Instant),
    /// It has no thread, and gets one when an abandoned one comes back.
    Empty,
}

struct Place {
    state: State,
    restarts: Restarts,
    /// Why its last thread is gone; none before the first one is ready.
    failed: Option<Reason>,
    /// Since when there has been no room for its thread.
    held_since: Option<Instant>,
    /// Restarts did not help: until its next thread is ready, nobody counts on this place.
    is_given_up: bool,
}

/// Knows every thread of a pool.
pub(super) struct Roster {
    settings: RosterSettings,
    places: Vec<Place>,
    abandoned: BTreeSet<ThreadId>,
    last_id: u64,
    news: Vec<News>,
}

impl Roster {
    /// A roster whose places all want a thread.
    pub(super) fn new(settings: RosterSettings, now: Instant) -> Self {
        let place = || Place {
            state: State::Due(now),
            restarts: Restarts::default(),
            failed: None,
            held_since: None,
            is_given_up: false,
        };
        let places = (0..settings.threads.max(1)).map(|_| place()).collect();
        Self { settings, places, abandoned: BTreeSet::new(), last_id: 0, news: vec![] }
    }

    /// A place that gets a thread now, and which.
    pub(super) fn start(&mut self, now: Instant) -> Option<(usize, ThreadId)> {
        let is_due = |place: &Place| matches!(place.state, State::Due(at) if at <= now);
        let place = self.places.iter().position(is_due)?;
        self.last_id += 1;
        let id = ThreadId(self.last_id);
        self.places[place].state = State::Starting(id, now);
        self.places[place].held_since = None;
        Some((place, id))
    }

    /// There is no room for the threads that are due, as those of an earlier service are left. They become due again after
    /// `pause`; once that has lasted for as long as a thread may be silent, their places count as given up.
    pub(super) fn hold_back(&mut self, pause: Duration, now: Instant) {
        for (index, place) in self.places.iter_mut().enumerate() {
            if !matches!(place.state, State::Due(at) if at <= now) {
                continue;
            }
            place.state = State::Due(now + pause);
            let since = *place.held_since.get_or_insert(now);
            let is_long = now.saturating_duration_since(since) >= self.settings.heartbeat;
            if is_long && !std::mem::replace(&mut place.is_given_up, true) {
                let reason = Some(Reason::Error("too many threads are left behind".into()));
                self.news.push(News { place: index, kind: EventKind::GaveUp, reason });
            }
        }
    }

    /// A thread has made its worker.
    pub(super) fn ready(&mut self, id: ThreadId) {
        let Some(index) = self.place_of(id) else { return };
        let place = &mut self.places[index];
        place.state = State::Idle(id);
        place.is_given_up = false;
        let kind = if place.failed.is_some() { EventKind::Restarted } else { EventKind::Started };
        let reason = place.failed.take();
        self.news.push(News { place: index, kind, reason });
    }

    /// An idle thread, which works from now on.
    pub(super) fn take(&mut self, now: Instant) -> Option<usize> {
        let idle = self.places.iter_mut().enumerate().find_map(|(index, place)| match place.state {
            State::Idle(id) => Some((index, id, place)),
            _ => None,
        });
        let (index, id, place) = idle?;
        place.state = State::Busy(id, now);
        Some(index)
    }

    /// A thread is idle again, after it has worked; `has_worked` is false if there was nothing to do any more.
    pub(super) fn done(&mut self, id: ThreadId, has_worked: bool) {
        let Some(index) = self.place_of(id) else { return };
        let place = &mut self.places[index];
        place.state = State::Idle(id);
        if has_worked {
            place.restarts.succeeded();
        }
    }

    /// A thread has ended by a panic, or was not started. `jitter` as in [`Restarts::failed`].
    pub(super) fn failed(&mut self, id: ThreadId, reason: &Reason, now: Instant, jitter: f64) {
        if let Some(index) = self.place_of(id) {
            let at = self.replace(index, reason, now, jitter);
            self.places[index].state = State::Due(at);
        }
    }

    /// A thread that has worked at one thing for too long, and for how long.
    pub(super) fn frozen(&self, now: Instant) -> Option<(ThreadId, Duration)> {
        self.places.iter().find_map(|place| {
            let (id, since) = place.state.works()?;
            let silent = now.saturating_duration_since(since);
            (silent >= self.settings.heartbeat).then_some((id, silent))
        })
    }

    /// A thread that is silent for so long is left behind. Its place gets another one, unless too many were left behind.
    pub(super) fn abandon(&mut self, id: ThreadId, silent: Duration, now: Instant, jitter: f64) {
        if let Some(index) = self.place_of(id) {
            self.abandoned.insert(id);
            let at = self.replace(index, &Reason::Frozen(silent), now, jitter);
            let is_replaced = self.abandoned.len() <= self.settings.abandoned_max;
            self.places[index].state = if is_replaced { State::Due(at) } else { State::Empty };
        }
    }

    /// Something was heard of a thread that was left behind: it ends, and an empty place gets a thread.
    pub(super) fn came_back(&mut self, id: ThreadId, now: Instant) {
        if self.abandoned.remove(&id)
            && let Some(place) = self.places.iter_mut().find(|place| place.state == State::Empty)
        {
            place.state = State::Due(now);
        }
    }

    /// Whoever asks this roster stood still, and so perhaps did the whole process: everybody's silence counts from now on.
    pub(super) fn forgive(&mut self, now: Instant) {
        for place in &mut self.places {
            if let State::Starting(_, since) | State::Busy(_, since) = &mut place.state {
                *since = now;
            }
        }
    }

    /// When there is something to do, if nothing else happens.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = |place: &Place| match place.state {
            State::Due(at) => Some(at),
            state => state.works().map(|(_, since)| since + self.settings.heartbeat),
        };
        self.places.iter().filter_map(due).min()
    }

    /// The place of a thread that was not left behind.
    pub(super) fn place_of(&self, id: ThreadId) -> Option<usize> {
        self.places.iter().position(|place| place.state.thread() == Some(id))
    }

    /// Whether a call that waits will find a thread before long.
    pub(super) fn is_any_left(&self) -> bool {
        self.places.iter().any(|place| !place.is_given_up && place.state != State::Empty)
    }

    /// How many there are.
    pub(super) fn counts(&self) -> Counts {
        let count = |is: fn(&State) -> bool| self.places.iter().filter(|place| is(&place.state)).count();
        Counts {
            threads: count(|state| state.thread().is_some()),
            busy: count(|state| matches!(state, State::Busy(..))),
            abandoned: self.abandoned.len(),
        }
    }

    /// What has happened since this was asked the last time.
    pub(super) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// A place has lost its thread; when it may get another one.
    fn replace(&mut self, index: usize, reason: &Reason, now: Instant, jitter: f64) -> Instant {
        let place = &mut self.places[index];
        place.failed = Some(reason.clone());
        let news = |kind| News { place: index, kind, reason: Some(reason.clone()) };
        self.news.push(news(EventKind::Failed));
        match place.restarts.failed(&self.settings.policy, now, jitter) {
            Verdict::Restart(wait) => now + wait,
            Verdict::GiveUp(wait) => {
                if !std::mem::replace(&mut place.is_given_up, true) {
                    self.news.push(news(EventKind::GaveUp));
                }
                now + wait
            }
        }
    }
}

impl State {
    /// A thread that must show a sign of life, and since when.
    const fn works(self) -> Option<(ThreadId, Instant)> {
        match self {
            Self::Starting(id, since) | Self::Busy(id, since) => Some((id, since)),
            Self::Due(_) | Self::Idle(_) | Self::Empty => None,
        }
    }

    const fn thread(self) -> Option<ThreadId> {
        match self {
            Self::Starting(id, _) | Self::Idle(id) | Self::Busy(id, _) => Some(id),
            Self::Due(_) | Self::Empty => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEARTBEAT: Duration = Duration::from_secs(5);

    fn settings(threads: usize, abandoned_max: usize) -> RosterSettings {
        let policy = RestartPolicy {
            restarts_max: 2,
            window: Duration::from_secs(60),
            backoff_base: Duration::from_millis(100),
            backoff_max: Duration::from_secs(3),
        };
        RosterSettings { threads, heartbeat: HEARTBEAT, abandoned_max, policy }
    }

    struct Bench {
        begin: Instant,
        roster: Roster,
    }

    impl Bench {
        /// A roster whose threads are all ready.
        fn new(threads: usize, abandoned_max: usize) -> Self {
            let begin = Instant::now();
            let mut bench = Self { begin, roster: Roster::new(settings(threads, abandoned_max), begin) };
            assert_eq!(bench.start(0).len(), threads);
            bench.told();
            bench
        }

        fn at(&self, ms: u64) -> Instant {
            self.begin + Duration::from_millis(ms)
        }

        /// Starts every thread that is due, and lets it get ready at once.
        fn start(&mut self, ms: u64) -> Vec<ThreadId> {
            let now = self.at(ms);
            let started: Vec<_> =
                std::iter::from_fn(|| self.roster.start(now).map(|(_, thread)| thread)).collect();
            started.iter().for_each(|thread| self.roster.ready(*thread));
            started
        }

        /// The thread that takes work.
        fn take(&mut self, ms: u64) -> Option<ThreadId> {
            let place = self.roster.take(self.at(ms))?;
            self.roster.places[place].state.thread()
        }

        /// Leaves every frozen thread behind.
        fn freeze(&mut self, ms: u64) -> usize {
            let now = self.at(ms);
            let mut count = 0;
            while let Some((thread, silent)) = self.roster.frozen(now) {
                self.roster.abandon(thread, silent, now, 0.0);
                count += 1;
            }
            count
        }

        fn panics(&mut self, thread: ThreadId, ms: u64) {
            self.roster.failed(thread, &Reason::Panic("boom".into()), self.at(ms), 0.0);
        }

        fn due_in(&self, ms: u64) -> Option<u128> {
            let due = self.roster.next_due()?;
            Some(due.saturating_duration_since(self.at(ms)).as_millis())
        }

        fn told(&mut self) -> String {
            let news = self.roster.take_news();
            let told = news.iter().map(|news| format!("{} {:?}", news.place, news.kind));
            told.collect::<Vec<_>>().join(", ")
        }

        fn counts(&self) -> (usize, usize, usize) {
            let Counts { threads, busy, abandoned } = self.roster.counts();
            (threads, busy, abandoned)
        }
    }

    #[test]
    fn only_idle_threads_take_work_and_each_takes_one_piece() {
        let mut bench = Bench::new(2, 1);
        let (one, two) = (bench.take(0), bench.take(0));
        assert!(one.is_some() && two.is_some() && one != two);
        assert_eq!((bench.take(0), bench.counts()), (None, (2, 2, 0)));
        bench.roster.done(one.expect("taken"), true);
        assert_eq!(bench.take(1), one);
    }

    #[test]
    fn a_thread_that_is_not_ready_takes_no_work_and_may_freeze_over_its_worker() {
        let begin = Instant::now();
        let mut bench = Bench { begin, roster: Roster::new(settings(1, 1), begin) };
        let (_, thread) = bench.roster.start(begin).expect("due");
        assert_eq!((bench.take(0), bench.freeze(4_999)), (None, 0));
        assert_eq!(bench.freeze(5_000), 1);
        bench.roster.ready(thread);
        assert_eq!(bench.take(5_000), None, "one that was left behind is never used");
    }

    #[test]
    fn a_thread_that_panicked_is_replaced_at_once_then_later_then_given_up_and_tried_again() {
        let mut bench = Bench::new(1, 1);
        let mut waits = vec![];
        for told in [
            "0 Failed, 0 Restarted",
            "0 Failed, 0 Restarted",
            "0 Failed, 0 GaveUp, 0 Restarted",
            "0 Failed, 0 GaveUp, 0 Restarted",
        ] {
            let thread = bench.take(0).expect("idle");
            bench.panics(thread, 0);
            let wait = u64::try_from(bench.due_in(0).expect("due")).expect("short");
            waits.push((wait, bench.roster.is_any_left()));
            assert_eq!(bench.start(wait).len(), 1);
            assert_eq!(bench.told(), told);
        }
        assert_eq!(waits, [(0, true), (100, true), (3_000, false), (3_000, false)]);
        assert!(bench.roster.is_any_left(), "it is ready again");
    }

    #[test]
    fn a_place_that_is_given_up_says_so_once_until_it_is_ready_again() {
        let mut bench = Bench::new(1, 1);
        let thread = bench.take(0).expect("idle");
        bench.panics(thread, 0);
        for ms in [0, 100, 3_100, 6_100] {
            let (_, thread) = bench.roster.start(bench.at(ms)).expect("due");
            bench.panics(thread, ms);
        }
        assert_eq!(bench.told(), "0 Failed, 0 Failed, 0 Failed, 0 GaveUp, 0 Failed, 0 Failed");
    }

    #[test]
    fn work_that_is_done_forgives_a_failure_and_work_that_was_skipped_does_not() {
        for (has_worked, waits) in [(true, [0, 0, 0, 0]), (false, [0, 100, 3_000, 3_000])] {
            let mut bench = Bench::new(1, 1);
            for wait in waits {
                let thread = bench.take(0).expect("idle");
                bench.panics(thread, 0);
                assert_eq!(bench.due_in(0), Some(wait));
                bench.start(3_000);
                let thread = bench.take(0).expect("idle");
                bench.roster.done(thread, has_worked);
            }
        }
    }

    #[test]
    fn frozen_threads_are_replaced_as_long_as_few_are_left_behind() {
        let mut bench = Bench::new(2, 1);
        let frozen = [bench.take(0), bench.take(0)].map(|thread| thread.expect("idle"));
        assert_eq!(bench.due_in(1_000), Some(4_000));
        assert_eq!((bench.freeze(4_999), bench.freeze(5_000)), (0, 2));
        assert_eq!((bench.counts(), bench.start(5_000).len()), ((0, 0, 2), 1), "one place stays empty");
        let third = bench.take(5_000).expect("idle");
        assert_eq!((bench.freeze(10_000), bench.counts()), (1, (0, 0, 3)));
        assert_eq!((bench.roster.is_any_left(), bench.due_in(10_000)), (false, None));
        // The first comes back into a crowd, the next ones make room.
        for (thread, counts, left) in
            [(frozen[0], (1, 0, 2), true), (third, (2, 0, 1), true), (frozen[1], (2, 0, 0), true)]
        {
            bench.roster.came_back(thread, bench.at(11_000));
            bench.start(11_000);
            assert_eq!((bench.counts(), bench.roster.is_any_left()), (counts, left));
        }
        bench.roster.came_back(third, bench.at(11_000));
        assert_eq!(bench.start(11_000).len(), 0, "nobody comes back twice");
    }

    #[test]
    fn where_nothing_may_be_left_behind_a_frozen_thread_is_not_replaced() {
        let mut bench = Bench::new(1, 0);
        let thread = bench.take(0).expect("idle");
        assert_eq!((bench.freeze(5_000), bench.start(60_000).len()), (1, 0));
        bench.roster.came_back(thread, bench.at(60_000));
        assert_eq!(bench.start(60_000).len(), 1);
        assert_eq!(bench.told(), "0 Failed, 0 Restarted");
    }

    #[test]
    fn what_an_abandoned_thread_says_changes_nothing_of_its_place() {
        let mut bench = Bench::new(1, 1);
        let thread = bench.take(0).expect("idle");
        bench.freeze(5_000);
        bench.start(5_000);
        bench.take(5_000);
        bench.roster.done(thread, true);
        bench.panics(thread, 5_000);
        assert_eq!((bench.counts(), bench.roster.place_of(thread)), ((1, 1, 1), None));
    }

    #[test]
    fn a_time_in_which_nobody_could_say_anything_is_nobodys_silence() {
        let mut bench = Bench::new(1, 1);
        bench.take(0);
        bench.roster.forgive(bench.at(60_000));
        assert_eq!((bench.freeze(64_999), bench.freeze(65_000)), (0, 1));
    }
}
