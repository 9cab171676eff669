//! Faults of the language model: it refuses, is silent, slow, or talks nonsense.

use std::time::Duration;

use tertulia::load::providers::{ModelBehaviour, ModelFault, ProviderOptions};

use super::{Recovery, bursts, check_database, check_promises, forget_peak, memory, play, written};
use crate::support::{Bench, run};

/// People who write while the model fails.
const PEOPLE: usize = 20;

/// A bench whose model fails, and whose turns try again soon.
fn bench(model: ModelBehaviour) -> Bench {
    let mut bench = Bench::with(ProviderOptions { model, ..ProviderOptions::default() });
    bench.set("query.llm.timeout_ms", "500");
    bench.set("turns.unavailable_retry_ms", "100");
    bench.set("turns.retry_base_ms", "20");
    bench.set("turns.retry_max_ms", "100");
    bench
}

/// While the model is away every turn waits and tries again; when it is back, all are answered, and no turn has failed.
fn is_waited_for(name: &'static str, fault: ModelFault) {
    run(async {
        let bench = bench(ModelBehaviour::failing(fault));
        let _server = bench.start().await;
        let some = bursts("away", PEOPLE, 0);
        play(&bench, &some).await;
        // Everybody's turn has met the fault, and tries again.
        bench.wait_for("SELECT count(*) > 0 AND min(attempt) >= 2 FROM turns", 1).await;
        assert_eq!(bench.providers.sent_count(), 0);
        bench.providers.set_model(ModelBehaviour::default());
        let recovery = Recovery::from(name);
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(10));
        check_promises(&bench, &some, "away");
        assert_eq!(bench.count("SELECT sum(failures + interruptions) FROM turns"), 0);
    });
}

#[test]
fn a_model_that_asks_to_come_again_later_is_waited_for() {
    is_waited_for("model answers 429", ModelFault::Status { status: 429, retry_after_s: Some(1) });
}

#[test]
fn a_model_that_answers_500_is_waited_for() {
    is_waited_for("model answers 500", ModelFault::Status { status: 500, retry_after_s: None });
}

#[test]
fn a_model_that_never_answers_is_waited_for() {
    is_waited_for("model never answers", ModelFault::Silence);
}

#[test]
fn a_model_that_sends_one_byte_a_second_is_waited_for() {
    is_waited_for("model sends one byte a second", ModelFault::Trickle(Duration::from_secs(1)));
}

#[test]
fn a_model_that_stays_away_is_not_waited_for_longer_than_the_patience() {
    run(async {
        let mut bench = bench(ModelBehaviour::failing(ModelFault::Silence));
        bench.set("turns.patience_ms", "1500");
        bench.set("phrases.fallback.en", "a colleague will reply");
        bench.set("phrases.fallback.ar", "a colleague will reply");
        let _server = bench.start().await;
        let some = bursts("patience", PEOPLE, 0);
        let recovery = Recovery::from("model stays away");
        play(&bench, &some).await;
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(15));
        let sent = bench.providers.sent();
        assert_eq!(sent.len(), PEOPLE);
        assert!(sent.iter().all(|sent| sent.text == "a colleague will reply"), "{sent:?}");
        assert_eq!(bench.count("SELECT count(*) FROM conversations WHERE needs_human = 1"), 20);
        let books = bench.books();
        assert!(books.balance() && books.answered == written(&some), "{books:?}");
    });
}

#[test]
fn a_model_that_talks_nonsense_twice_costs_a_turn_two_attempts_and_not_its_answer() {
    run(async {
        let model = ModelBehaviour { fault_first: Some(2), ..ModelBehaviour::failing(ModelFault::Garbage) };
        let bench = bench(model);
        let _server = bench.start().await;
        let one = bursts("nonsense", 1, 0);
        let recovery = Recovery::from("model talks nonsense twice");
        play(&bench, &one).await;
        bench.wait_until_idle().await;
        recovery.within(Duration::from_secs(5));
        check_promises(&bench, &one, "nonsense");
        assert_eq!(bench.count("SELECT failures FROM turns"), 2);
    });
}

/// A model that keeps talking nonsense: its turns are given up after a limit of attempts, each message with a phrase to the
/// customer and a person asked for; whoever writes when it is mended is answered.
async fn is_given_up(bench: &mut Bench, name: &'static str) {
    for language in ["en", "ar"] {
        bench.set(&format!("phrases.dead_letter.{language}"), "we could not answer this");
    }
    let server = bench.start().await;
    let before = memory(&server, "RssAnon");
    forget_peak(&server);
    let some = bursts("given-up", PEOPLE, 0);
    play(bench, &some).await;
    bench.wait_until_idle().await;
    let grown = memory(&server, "VmHWM").saturating_sub(before);
    // An answer is read up to 1 MiB. Twice that while a buffer grows, of all people at once, and what the rest of the server
    // needs; read to the end it would be a gigabyte.
    assert!(grown < 128 << 20, "{} MiB more at the peak", grown >> 20);
    let books = bench.books();
    assert!(books.balance(), "{books:?}");
    assert_eq!((books.dead_lettered, books.answered), (written(&some), 0), "{books:?}");
    assert_eq!(bench.count("SELECT count(*) FROM conversations WHERE needs_human = 1"), 20);
    let sent = bench.providers.sent();
    assert!(sent.iter().all(|sent| sent.text == "we could not answer this"), "{sent:?}");
    assert_eq!(i64::try_from(sent.len()), Ok(written(&some)));
    // Three times together, then three times alone; a burst of one message is alone from the start.
    let asked = 3 * some.len() + 3 * some.iter().map(|burst| burst.messages.len()).sum::<usize>();
    assert!(bench.providers.prompts().len() <= asked, "{} prompts", bench.providers.prompts().len());
    bench.providers.set_model(ModelBehaviour::default());
    let recovery = Recovery::from(name);
    let more = bursts("given-up", PEOPLE, 1);
    play(bench, &more).await;
    bench.wait_until_idle().await;
    recovery.within(Duration::from_secs(10));
    let answered = bench.books();
    assert_eq!((answered.answered, answered.dead_lettered), (written(&more), written(&some)));
    check_database(bench);
}

#[test]
fn a_model_that_keeps_talking_nonsense_is_given_up_and_a_person_asked_for() {
    run(is_given_up(&mut bench(ModelBehaviour::failing(ModelFault::Garbage)), "model talks nonsense"));
}

#[test]
fn an_answer_of_50_mb_is_not_read_and_its_turn_is_given_up() {
    run(is_given_up(&mut bench(ModelBehaviour::failing(ModelFault::Huge(50 << 20))), "model sends 50 MB"));
}
