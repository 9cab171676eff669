//! A front whose service has threads, and the end of the arbiter that both are on.

use std::cell::Cell;
use std::future::pending;

use actix::System;
use tokio::time::{pause, resume, timeout};

use super::super::arbiter::arbiter;
use super::super::call::{CallError, FrontHandle};
use super::super::front::Front;
use super::super::policy::Strategy;
use super::super::service::{Blame, Service};
use super::super::snapshot::{Act, Action, Inspect};
use super::tests::{Ask, Bench, PATIENCE, limits};
use super::*;
use crate::settings::FrontSettings;
use crate::testkit::keeper;

/// Doubles a number, and panics over 0.
struct Doubles;

impl Compute for Doubles {
    type Request = u64;
    type Response = u64;
    type Error = &'static str;

    fn compute(&mut self, number: u64) -> Result<u64, &'static str> {
        assert!(number > 0, "it panics");
        Ok(2 * number)
    }
}

struct Doubling(Threads<u64, u64, &'static str>);

impl Service for Doubling {
    type Request = u64;
    type Response = u64;
    type Error = &'static str;
    const NAME: &'static str = "doubling";

    fn call(&self, number: u64) -> Work<u64, &'static str> {
        self.0.call(number)
    }

    fn blame(_: &&'static str) -> Blame {
        Blame::Service
    }

    fn detail(&self) -> Map<String, Value> {
        self.0.detail()
    }
}

/// How many threads all values of the service have.
type Alive = Rc<RefCell<Vec<Depth>>>;

fn front(threads: usize) -> (FrontHandle<Doubling>, Rc<Cell<usize>>, Alive) {
    let limits = SupervisionSettings::default();
    let keeper = keeper("services/doubling", &limits, Strategy::MarkDown);
    let (made, alive) = (Rc::new(Cell::new(0)), Alive::default());
    let (count, counts) = (Rc::clone(&made), Rc::clone(&alive));
    let (above, limited, crew) = (Rc::clone(&keeper), limits.clone(), Crew::of(threads));
    let make = move || {
        count.set(count.get() + 1);
        let pool = Threads::start(&above, &limited, &crew, || Doubles);
        counts.borrow_mut().push(pool.alive());
        Doubling(pool)
    };
    let settings = FrontSettings { in_flight_max: threads, queue_max: 64, deadline_ms: 30_000 };
    (Front::start_with(make, settings, &limits, &keeper), made, alive)
}

#[test]
fn a_front_says_how_its_threads_are_and_stays_when_one_of_them_panics() {
    System::new().block_on(async {
        let (front, made, _) = front(2);
        assert_eq!(front.call(None, 21).await, Ok(42));
        let down = CallError::Down { service: "doubling", started: true };
        assert_eq!(front.call(None, 0).await, Err(down));
        assert_eq!((front.call(None, 4).await, made.get()), (Ok(8), 1));
        let detail = front.front.send(Inspect).await.expect("alive").detail;
        let count = |name: &str| detail[name].as_u64();
        assert_eq!((count("busy"), count("abandoned")), (Some(0), Some(0)));
        assert!(count("threads").is_some_and(|threads| (1..=2).contains(&threads)), "{detail}");
        assert_eq!(
            (&detail["limits"]["in_flight_max"], &detail["failures"]["panic"]),
            (&json!(2), &json!(1))
        );
    });
}

#[test]
fn a_front_that_is_restarted_has_new_threads_and_the_old_ones_end() {
    System::new().block_on(async {
        let (front, made, alive) = front(3);
        assert_eq!(front.call(None, 1).await, Ok(2));
        front.front.do_send(Act(Action::Restart));
        assert_eq!((front.call(None, 2).await, made.get()), (Ok(4), 2));
        let ended = async {
            while alive.borrow()[0].get() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(60), ended).await.expect("they end");
        assert_eq!(alive.borrow()[1].get(), 3);
    });
}

#[test]
fn threads_that_earlier_values_of_a_service_left_behind_leave_room_for_no_more() {
    System::new().block_on(async {
        let (limits, crew) = (limits(), Crew::of(1));
        let keeper = keeper("services/hand", &limits, Strategy::MarkDown);
        let mut standing = vec![];
        // One may be left behind, and another one works for the next value.
        for _value in 0..2 {
            let value = Bench::kept(&crew, &limits, &keeper);
            value.call(Ask::Tell).await.expect("an answer");
            standing.push(value.freeze().await);
        }
        let third = Bench::kept(&crew, &limits, &keeper);
        pause();
        let answer = third.call(Ask::Tell).await;
        resume();
        assert!(matches!(answer, Err(Fault::NoWorker)), "{answer:?}");
        assert_eq!((third.made(), crew.living(), third.counts()), (0, 2, (0, 0, 2)));
        // They come back, and make room.
        drop(standing);
        let served = async {
            while third.call(Ask::Tell).await.is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, served).await.expect("it works again");
        assert_eq!((third.made(), crew.living(), third.counts()), (1, 1, (1, 0, 0)));
    });
}

#[test]
fn threads_end_with_the_arbiter_of_their_front() {
    let _system = System::new();
    let arbiter = arbiter();
    let (tell, told) = channel();
    arbiter.spawn_fn(move || {
        let (front, _, alive) = front(2);
        tell.send(alive.borrow()[0].clone()).expect("the test waits");
        actix_rt::spawn(async move {
            let _front = front;
            pending::<()>().await;
        });
    });
    let alive = told.recv_timeout(Duration::from_secs(60)).expect("a front");
    assert_eq!(alive.get(), 2);
    arbiter.stop();
    arbiter.join().expect("it ends");
    let begun = std::time::Instant::now();
    while alive.get() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} threads do not end", alive.get());
        std::thread::yield_now();
    }
}
