//! One person who writes without end, beside a hundred who do not.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use tertulia::load::bursts::{Burst, BurstMessage, Bursts, Person, Token};
use tertulia::load::providers::{ModelBehaviour, ProviderOptions};

use crate::bursts::judge;
use crate::support::{Bench, PATIENCE, QUIET, Server, run};

/// The person who writes without end.
const HOT: usize = 0;
/// What that person writes.
const HOT_MESSAGES: usize = 10_000;
/// Messages of that person in one webhook.
const PER_WEBHOOK: usize = 100;
/// Webhooks of that person under way at the same time.
const WEBHOOKS_AT_ONCE: usize = 4;
/// Everybody else.
const OTHERS: usize = 100;
/// How often everybody else writes, before and beside that person.
const ROUNDS: usize = 5;
/// The default of `conversation.max_messages`.
const BATCH_MAX: i64 = 20;
/// What the server's anonymous memory may grow by, the page caches of the database included, which fill meanwhile.
const GROWTH_MAX_BYTES: u64 = 32 << 20;
/// What the machine itself may add to an answer, so that a moment's pause of it is not held against the server.
const NOISE: Duration = Duration::from_millis(50);

/// The hot user's messages, webhook by webhook.
fn flood() -> Vec<Vec<BurstMessage>> {
    let message = |message: usize| {
        let token = Token { person: HOT, burst: message / PER_WEBHOOK, message: message % PER_WEBHOOK };
        let mark = token.text("hot");
        let text = format!("{mark} {}", "and another thing ".repeat(6));
        BurstMessage { id: format!("wamid.{mark}"), token, text, gap: Duration::ZERO }
    };
    let all: Vec<_> = (0..HOT_MESSAGES).map(message).collect();
    all.chunks(PER_WEBHOOK).map(<[_]>::to_vec).collect()
}

/// Plays one burst of everybody else; the time from each person's last message to the answer, longest last.
async fn round(bench: &Bench, number: usize) -> (Vec<Burst>, Vec<Duration>) {
    let made = Bursts::new(37, "cold");
    let bursts: Vec<Burst> = (1..=OTHERS).map(|person| made.burst(person, number)).collect();
    let sender = bench.sender();
    let written = join_all(bursts.iter().map(|burst| async {
        let due: Duration = burst.messages.iter().map(|message| message.gap).sum();
        let last = Instant::now() + due;
        sender.play(burst).await.expect("acknowledged");
        last
    }))
    .await;
    let wanted: usize = bursts.iter().map(|burst| burst.messages.len()).sum();
    let deadline = Instant::now() + PATIENCE;
    let answered = loop {
        let mut answered: BTreeMap<Token, Instant> = BTreeMap::new();
        for sent in bench.providers.sent() {
            let tokens = Token::find_all(&sent.text, "cold");
            answered.extend(
                tokens.into_iter().filter(|token| token.burst == number).map(|token| (token, sent.at)),
            );
        }
        if answered.len() == wanted {
            break answered;
        }
        assert!(Instant::now() < deadline, "{} of {wanted} answered: {}", answered.len(), bench.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let last = |burst: &Burst| answered[&burst.messages[burst.messages.len() - 1].token];
    let mut took: Vec<Duration> =
        bursts.iter().zip(written).map(|(burst, at)| last(burst).saturating_duration_since(at)).collect();
    took.sort();
    (bursts, took)
}

/// The time within which 99 of 100 were answered.
fn p99(took: &[Duration]) -> Duration {
    took[took.len() * 99 / 100 - 1]
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

/// Memory of the server that belongs to no file.
fn anonymous_bytes(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a figure");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1_024
}

#[test]
fn somebody_who_writes_10000_messages_at_once_slows_nobody_else_down() {
    run(async {
        let model = ModelBehaviour { latency: Duration::from_millis(10), ..ModelBehaviour::default() };
        let bench = Bench::with(ProviderOptions { model, ..ProviderOptions::default() });
        let server = bench.start().await;
        let mut cold = vec![];
        let mut without = vec![];
        for number in 0..ROUNDS {
            let (bursts, took) = round(&bench, number).await;
            cold.extend(bursts);
            without.push(p99(&took));
        }
        let before = anonymous_bytes(&server);
        let mut most = before;
        let (webhooks, person, sender) = (flood(), Person::new(HOT), bench.sender());
        let flooding = stream::iter(&webhooks).map(|messages| sender.deliver(&person, messages));
        let flooding =
            flooding.buffered(WEBHOOKS_AT_ONCE).for_each(async |delivered| delivered.expect("acknowledged"));
        let hot_pending =
            "SELECT count(*) FROM messages WHERE state = 'pending' AND provider_id LIKE '%-hot'";
        let beside = async {
            let (mut cold, mut with) = (vec![], vec![]);
            for number in ROUNDS..2 * ROUNDS {
                let (bursts, took) = round(&bench, number).await;
                assert!(bench.count(hot_pending) > 0, "the round was not beside the flood");
                cold.extend(bursts);
                with.push(p99(&took));
                most = most.max(anonymous_bytes(&server));
            }
            (cold, with)
        };
        let ((), (more, with)) = tokio::join!(flooding, beside);
        cold.extend(more);
        let hot = "SELECT count(*) FROM messages WHERE provider_id LIKE '%-hot'";
        assert_eq!(
            bench.count(hot),
            i64::try_from(HOT_MESSAGES).expect("a few"),
            "acknowledged and not durable"
        );
        bench.wait_until_idle().await;
        most = most.max(anonymous_bytes(&server));

        let (without, with) = (median(without), median(with));
        // The quiet period is waited for whatever else happens: only what comes on top of it may double.
        let (without, with) = (without.saturating_sub(QUIET), with.saturating_sub(QUIET));
        assert!(
            with <= 2 * without + NOISE,
            "{without:?} without, {with:?} with, beyond the quiet {QUIET:?}"
        );
        assert!(most <= before + GROWTH_MAX_BYTES, "{before} bytes before, {most} at the most");
        let largest = "SELECT max(n) FROM (SELECT count(*) AS n FROM messages GROUP BY turn_id)";
        assert_eq!(bench.count(largest), BATCH_MAX);
        let sent = bench.providers.sent();
        let mut answered: Vec<_> = sent
            .iter()
            .flat_map(|sent| Token::find_all(&sent.text, "hot"))
            .map(|token| token.burst * PER_WEBHOOK + token.message)
            .collect();
        answered.sort_unstable();
        assert!(answered.into_iter().eq(0..HOT_MESSAGES), "not each once");
        let verdict = judge(&cold, &sent, "cold");
        assert_eq!((verdict.unanswered, verdict.doubled), (vec![], vec![]));
        let books = bench.books();
        assert!(books.balance() && books.answered == books.received, "{books:?}");
    });
}
