use tertulia_actors::domain::Timestamp;
use tertulia_actors::ports::store::*;

use super::bench::*;

fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        who: "ana".into(),
        role: "operator".into(),
        action: action.into(),
        target: "shards/0/turns".into(),
        reason: Some("deploy".into()),
    }
}

#[test]
fn what_was_done_is_kept_with_its_outcome_which_is_written_once() {
    let mut bench = Bench::new();
    let store = bench.store();
    let ids =
        ["pause", "resume", "restart"].map(|action| bench.wait(store.begin_audit(entry(action))).unwrap());
    bench.wait(store.end_audit(ids[0], "done".into())).unwrap();
    bench.wait(store.end_audit(ids[0], "undone".into())).unwrap();
    bench.wait(store.end_audit(ids[2], "it does not answer".into())).unwrap();
    drop(store);
    bench.restart();
    let store = bench.store();
    let page = bench.wait(store.audit_entries(None, 2)).unwrap();
    let told: Vec<_> =
        page.iter().map(|view| (view.id, view.action.as_str(), view.outcome.as_deref())).collect();
    assert_eq!(told, [(ids[2], "restart", Some("it does not answer")), (ids[1], "resume", None)]);
    let rest = bench.wait(store.audit_entries(Some(ids[1]), 9)).unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!((rest[0].outcome.as_deref(), rest[0].reason.as_deref()), (Some("done"), Some("deploy")));
}

#[test]
fn a_session_that_was_signed_out_of_is_kept_until_it_would_have_ended() {
    let mut bench = Bench::new();
    let store = bench.store();
    let ended = |session: &str, ends_at| SignedOut { session: session.into(), ends_at: Timestamp(ends_at) };
    bench.wait(store.sign_out(ended("past", 1))).unwrap();
    for _ in 0..2 {
        bench.wait(store.sign_out(ended("future", i64::MAX))).unwrap();
    }
    drop(store);
    bench.restart();
    let store = bench.store();
    assert_eq!(bench.wait(store.signed_out()).unwrap(), [ended("future", i64::MAX)]);
}
