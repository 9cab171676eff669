//! Watches the threads of actors: one that neither answers nor yields is reported, and in the end ends the process, whose
//! manager starts it again.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_rt::ArbiterHandle;

use super::events::{EventKind, Reporter};
use super::policy::Reason;
use super::snapshot::Kind;
use super::supervised::EndProcess;
use crate::settings::SupervisionSettings;

/// How often within a heartbeat a thread is asked for a sign of life.
const BEATS: u32 = 4;

/// A thread to watch.
pub struct Watched {
    /// Tells of it.
    pub reporter: Reporter,
    /// Asks it for a sign of life.
    pub arbiter: ArbiterHandle,
    /// Nothing else stands at its place of the tree.
    pub has_no_place: bool,
}

/// What a silence means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Judgement {
    /// Nothing yet.
    Fine,
    /// It is frozen; told once.
    Frozen,
    /// It answers again.
    Thawed,
    /// It is frozen for too long.
    Over,
}

/// What the silence of a thread means that was found to be frozen before, or was not. Pure.
fn judge(silent: Option<Duration>, was_frozen: bool, limits: &SupervisionSettings) -> Judgement {
    let (heartbeat, exit) = (limits.heartbeat_ms, limits.frozen_exit_ms);
    match silent {
        Some(silent) if silent >= Duration::from_millis(exit.max(heartbeat)) => Judgement::Over,
        Some(silent) if silent >= Duration::from_millis(heartbeat) && !was_frozen => Judgement::Frozen,
        Some(_) => Judgement::Fine,
        None if was_frozen => Judgement::Thawed,
        None => Judgement::Fine,
    }
}

/// The watching thread. Ends when it is dropped or told to.
pub struct Watchdog {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watchdog {
    /// Starts to watch.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        watched: Vec<Watched>,
        limits: SupervisionSettings,
        end_process: EndProcess,
    ) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let dog = Dog::new(watched, limits, end_process);
        let thread = std::thread::Builder::new().name("watchdog".into()).spawn(move || dog.run(&stopped))?;
        Ok(Self { stop, thread })
    }

    /// Stops watching, and waits until the thread has ended.
    pub fn stop(self) {
        drop(self.stop);
        // It panicked, and so watches no longer either.
        let _ = self.thread.join();
    }
}

/// A thread and its last sign of life.
struct Beat {
    watched: Watched,
    /// When it was asked and has not answered yet.
    asked: Option<Instant>,
    is_frozen: bool,
}

struct Dog {
    beats: Vec<Beat>,
    limits: SupervisionSettings,
    end_process: EndProcess,
    answer: Sender<usize>,
    answers: Receiver<usize>,
}

impl Dog {
    fn new(watched: Vec<Watched>, limits: SupervisionSettings, end_process: EndProcess) -> Self {
        for watched in watched.iter().filter(|watched| watched.has_no_place) {
            watched.reporter.register_below(Kind::Thread);
        }
        let beats =
            watched.into_iter().map(|watched| Beat { watched, asked: None, is_frozen: false }).collect();
        let (answer, answers) = channel();
        Self { beats, limits, end_process, answer, answers }
    }

    fn run(mut self, stopped: &Receiver<()>) {
        let pause = Duration::from_millis(self.limits.heartbeat_ms) / BEATS;
        let mut last = Instant::now();
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(pause) {
            let slept = last.elapsed();
            last = Instant::now();
            if slept > pause * 2 {
                // The whole process stood still, this thread included: that is nobody's silence.
                self.forgive(slept);
            }
            self.look(last);
        }
    }

    fn forgive(&mut self, slept: Duration) {
        for asked in self.beats.iter_mut().filter_map(|beat| beat.asked.as_mut()) {
            *asked += slept;
        }
    }

    /// Hears who answered, judges the others, and asks again.
    fn look(&mut self, now: Instant) {
        for answered in self.answers.try_iter() {
            self.beats[answered].asked = None;
        }
        for (index, beat) in self.beats.iter_mut().enumerate() {
            let silent = beat.asked.map(|asked| now.saturating_duration_since(asked));
            let reason = Reason::Frozen(silent.unwrap_or_default());
            let reporter = &beat.watched.reporter;
            match judge(silent, beat.is_frozen, &self.limits) {
                Judgement::Fine => {}
                Judgement::Frozen => {
                    beat.is_frozen = true;
                    reporter.tell_why(EventKind::Failed, reason);
                }
                Judgement::Thawed => {
                    beat.is_frozen = false;
                    reporter.tell(EventKind::Recovered);
                }
                Judgement::Over => (self.end_process)(&format!("{} is {reason}", reporter.path())),
            }
            if beat.asked.is_none() {
                beat.asked = Some(now);
                let answer = self.answer.clone();
                let is_alive = beat.watched.arbiter.spawn_fn(move || {
                    // Nobody hears the answer once this thread has ended.
                    let _ = answer.send(index);
                });
                if !is_alive {
                    (self.end_process)(&format!("the thread of {} has ended", reporter.path()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::supervision::arbiter::arbiter;

    #[test]
    fn silence_is_reported_once_and_ends_the_process_when_it_lasts() {
        let limits =
            SupervisionSettings { heartbeat_ms: 100, frozen_exit_ms: 300, ..SupervisionSettings::default() };
        for (silent, was_frozen, expected) in [
            (None, false, Judgement::Fine),
            (Some(0), false, Judgement::Fine),
            (Some(99), false, Judgement::Fine),
            (Some(100), false, Judgement::Frozen),
            (Some(100), true, Judgement::Fine),
            (None, true, Judgement::Thawed),
            (Some(299), true, Judgement::Fine),
            (Some(300), true, Judgement::Over),
            (Some(300), false, Judgement::Over),
        ] {
            let silence = silent.map(Duration::from_millis);
            assert_eq!(judge(silence, was_frozen, &limits), expected, "{silent:?} {was_frozen}");
        }
    }

    /// Watches one arbiter with short limits until the process would end, or `act` says that it is enough.
    fn watch(act: impl FnOnce(&ArbiterHandle) -> Duration) -> Vec<String> {
        let _system = actix_rt::System::new();
        let arbiter = arbiter();
        let limits = SupervisionSettings { heartbeat_ms: 40, frozen_exit_ms: 120, ..Default::default() };
        let (told, ends) = channel();
        let told = Mutex::new(told);
        let end = Arc::new(move |why: &str| drop(told.lock().unwrap().send(why.to_owned())));
        let watched = vec![Watched {
            reporter: Reporter::silent("shards/0"),
            arbiter: arbiter.handle(),
            has_no_place: true,
        }];
        let watchdog = Watchdog::start(watched, limits, end).unwrap();
        let patience = act(&arbiter.handle());
        let first = ends.recv_timeout(patience);
        watchdog.stop();
        arbiter.stop();
        arbiter.join().unwrap();
        first.into_iter().collect()
    }

    #[test]
    fn a_thread_that_never_yields_ends_the_process_and_one_that_answers_does_not() {
        let ended = watch(|arbiter| {
            arbiter.spawn_fn(|| std::thread::sleep(Duration::from_secs(2)));
            Duration::from_secs(60)
        });
        assert!(ended.len() == 1 && ended[0].starts_with("shards/0 is frozen for "), "{ended:?}");
        let quiet = watch(|_| Duration::from_millis(400));
        assert!(quiet.is_empty(), "{quiet:?}");
    }

    #[test]
    fn a_thread_that_has_ended_ends_the_process() {
        let ended = watch(|arbiter| {
            arbiter.stop();
            Duration::from_secs(60)
        });
        assert_eq!(ended, ["the thread of shards/0 has ended"]);
    }
}
