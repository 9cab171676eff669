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
