//! Texts that wait together, those that fail, and those that nobody waits for any more.

use std::future::ready;

use futures_util::future::join_all;
use tokio::time::Duration;

use super::*;

/// An engine that tells of its batches, embeds a text to its length, and fails at any batch with "bad" in it.
fn service(
    settings: BatchSettings,
    batches: &Rc<RefCell<Vec<Vec<String>>>>,
    takes: Duration,
) -> EmbeddingService {
    let seen = Rc::clone(batches);
    let engine = Engine::port(move |texts: Vec<Embeddable>| {
        seen.borrow_mut().push(texts.iter().map(|text| text.text.clone()).collect());
        let is_bad = texts.iter().any(|text| text.text.contains("bad"));
        let vectors = texts.iter().map(|text| Some(vec![text.text.len() as f32].into())).collect();
        let result = if is_bad { Err(EmbedderError::Failed("bad".into())) } else { Ok(vectors) };
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            ready(result).await
        })
    });
    EmbeddingService::start(engine, settings)
}

const fn settings() -> BatchSettings {
    BatchSettings {
        texts_max: 4,
        chars_max: 1_000,
        wait: Duration::from_millis(1),
        batches_max: 1,
        cache_max: 100,
    }
}

/// Runs in an arbiter whose clock is paused.
fn run(test: impl Future<Output = ()>) {
    actix_rt::System::new().block_on(async {
        tokio::time::pause();
        test.await;
    });
}

fn length(answer: &Answer) -> f32 {
    answer.as_ref().map_or(-1.0, |vector| vector.as_ref().map_or(0.0, |vector| vector[0]))
}

#[test]
fn texts_that_wait_together_are_embedded_together_and_each_gets_its_own_vector() {
    run(async {
        let batches = Rc::default();
        let service = service(settings(), &batches, Duration::ZERO);
        let texts = ["a", "bb", "ccc", "dddd", "eeeee", "ffffff"];
        let answers = join_all(texts.map(|text| service.call(Embeddable::query(text)))).await;
        let lengths: Vec<f32> = answers.iter().map(length).collect();
        assert_eq!(lengths, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let sizes: Vec<_> = batches.borrow().iter().map(Vec::len).collect();
        assert_eq!(sizes, [4, 2]);
    });
}

#[test]
fn a_text_that_fails_costs_no_other_its_answer() {
    run(async {
        let batches = Rc::default();
        let service = service(settings(), &batches, Duration::ZERO);
        let answers =
            join_all(["good", "bad", "better"].map(|text| service.call(Embeddable::query(text)))).await;
        assert_eq!(answers.iter().map(length).collect::<Vec<_>>(), [4.0, -1.0, 6.0]);
    });
}

#[test]
fn a_text_that_was_embedded_lately_is_not_embedded_again_whatever_its_white_space() {
    run(async {
        let batches = Rc::default();
        let service = service(settings(), &batches, Duration::ZERO);
        for text in ["two  words", " two words\n", "two words"] {
            assert_eq!(length(&service.call(Embeddable::query(text)).await), 9.0);
        }
        assert_eq!(batches.borrow().len(), 1);
        assert_eq!(service.detail()["cache"], json!({"hits": 2, "texts": 1}));
        service.call(Embeddable::passage("two words")).await.unwrap();
        assert_eq!(batches.borrow().len(), 2, "another role is another text");
    });
}

#[test]
fn what_nobody_waits_for_any_more_is_not_embedded() {
    run(async {
        let batches = Rc::default();
        let service = service(settings(), &batches, Duration::from_secs(1));
        let first = service.call(Embeddable::query("first"));
        tokio::time::sleep(Duration::from_millis(10)).await;
        // The first is under way, so these gather.
        drop(service.call(Embeddable::query("gone")));
        let last = service.call(Embeddable::query("last"));
        assert_eq!((length(&first.await), length(&last.await)), (5.0, 4.0));
        assert_eq!(*batches.borrow(), [vec!["first".to_owned()], vec!["last".to_owned()]]);
    });
}

#[test]
fn the_driver_ends_with_its_service() {
    run(async {
        let service = service(settings(), &Rc::default(), Duration::ZERO);
        let bench = Rc::downgrade(&service.bench);
        let answer = service.call(Embeddable::query("a"));
        drop(service);
        assert_eq!(answer.await, Err(Fault::NoWorker));
        tokio::task::yield_now().await;
        assert!(bench.upgrade().is_none());
    });
}
