//! What a call of a service costs: one that is answered on the thread of the fronts, and one that goes to a thread of its own
//! and back. One at a time, and many.

use std::cell::Cell;
use std::future::ready;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::System;
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::future::join_all;
use tertulia_actors::domain::Class;
use tertulia_actors::ports::{Classifiable, Classification, ClassifierError, Compute, Entropy};
use tertulia_actors::services::{ClassifierService, Engine};
use tertulia_actors::settings::{FrontSettings, SupervisionSettings};
use tertulia_actors::supervision::events::Reporter;
use tertulia_actors::supervision::policy::{RestartPolicy, Strategy};
use tertulia_actors::supervision::supervised::Keeper;
use tertulia_actors::supervision::{Crew, Front, FrontHandle, Threads};
use uuid::Uuid;

/// Callers at the same time; no more, since all of them are one asker, who has no more places in the queue.
const CALLERS: u64 = 16;

struct NoChance;

impl Entropy for NoChance {
    fn uuid(&self) -> Uuid {
        Uuid::nil()
    }

    fn fraction(&self) -> f64 {
        0.0
    }
}

/// Answers after it has worked for a time.
#[derive(Clone, Copy)]
struct Works(Duration);

impl Compute for Works {
    type Request = Classifiable;
    type Response = Classification;
    type Error = ClassifierError;

    fn compute(&mut self, _: Classifiable) -> Result<Classification, ClassifierError> {
        let begun = Instant::now();
        while begun.elapsed() < self.0 {
            std::hint::spin_loop();
        }
        Ok(Classification { class: Class::Other, confidence: 1.0, scope: 1.0, language: None })
    }
}

fn front(is_threaded: bool, works: Works) -> FrontHandle<ClassifierService> {
    let limits = SupervisionSettings::default();
    let keeper = Rc::new(Keeper {
        policy: RestartPolicy::from(&limits),
        strategy: Strategy::MarkDown,
        reporter: Reporter::silent("services/classifier"),
        entropy: Arc::new(NoChance),
        end_process: Arc::new(|_| {}),
        alive: Cell::new(0),
        tasks: Cell::new(0),
    });
    let in_flight_max = if is_threaded { 1 } else { 64 };
    let settings = FrontSettings { in_flight_max, queue_max: 4_096, deadline_ms: 2_000 };
    let (kept, limited) = (Rc::clone(&keeper), limits.clone());
    let make = move || {
        ClassifierService(match is_threaded {
            true => Engine::Threads(Threads::start(&kept, &limited, &Crew::of(1), move || works)),
            false => Engine::port(move |text| {
                let mut works = works;
                Box::pin(ready(works.compute(text)))
            }),
        })
    };
    Front::start_with(make, settings, &limits, &keeper)
}

/// The time that so many calls take, all of them by so many callers.
fn time(is_threaded: bool, works: Works, callers: u64, calls: u64) -> Duration {
    System::new().block_on(async {
        let front = front(is_threaded, works);
        let text = || ("Do you deliver on Friday?".to_owned(), None);
        front.call(None, text()).await.expect("an answer");
        let begun = Instant::now();
        let caller = || async {
            for _ in 0..calls.div_ceil(callers) {
                front.call(None, text()).await.expect("an answer");
            }
        };
        join_all((0..callers).map(|_| caller())).await;
        begun.elapsed()
    })
}

fn threads(criterion: &mut Criterion) {
    for (us, callers) in [(0, 1), (20, 1), (0, CALLERS), (20, CALLERS)] {
        for is_threaded in [false, true] {
            let place = if is_threaded { "on a thread of its own" } else { "where the fronts are" };
            let name = format!("a call of {us} us by {callers} at a time, {place}");
            let works = Works(Duration::from_micros(us));
            criterion.bench_function(&name, |bencher| {
                bencher.iter_custom(|calls| time(is_threaded, works, callers, calls));
            });
        }
    }
}

criterion_group!(benches, threads);
criterion_main!(benches);
