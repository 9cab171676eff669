use proptest::prelude::*;
use tertulia_actors::domain::*;
use tertulia_actors::ports::store::*;

use super::bench::*;

/// Something that happens to one of a few people.
#[derive(Clone, Debug)]
enum Act {
    Say { who: u8, what: u8, suppressed: bool },
    Answer { who: u8, parts: u8, ending: u8, sending: bool },
    Send { who: u8 },
    End { who: u8, how: u8 },
    Status { who: u8, status: u8 },
    Replay,
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let who = 0..3_u8;
    let act = prop_oneof![
        4 => (who.clone(), 0..40_u8, prop::bool::weighted(0.2)).prop_map(|(who, what, suppressed)| Act::Say { who, what, suppressed }),
        4 => (who.clone(), 0..3_u8, 0..4_u8, any::<bool>()).prop_map(|(who, parts, ending, sending)| Act::Answer { who, parts, ending, sending }),
        3 => who.clone().prop_map(|who| Act::Send { who }),
        3 => (who.clone(), 0..4_u8).prop_map(|(who, how)| Act::End { who, how }),
        2 => (who, 0..4_u8).prop_map(|(who, status)| Act::Status { who, status }),
        1 => Just(Act::Replay),
        1 => Just(Act::Restart),
    ];
    prop::collection::vec(act, 1..40)
}

struct Town {
    bench: Bench,
    people: [Option<ConversationId>; 3],
}

impl Town {
    fn act(&mut self, act: &Act) {
        match *act {
            Act::Say { who, what, suppressed } => {
                let mut message = message(&what.to_string(), &who.to_string());
                message.suppressed = suppressed.then_some("stale");
                let stored = self.bench.admit(vec![message])[0];
                if !stored.duplicate {
                    self.people[usize::from(who)] = Some(stored.conversation);
                }
            }
            Act::Answer { who, parts, ending, sending } => self.answer(who, parts, ending, sending),
            Act::Send { who } => {
                if let Some(part) = self.first_part(who) {
                    self.bench.sending(&part, part.attempt + 1);
                }
            }
            Act::End { who, how } => self.end(who, how),
            Act::Status { who, status } => self.status(who, status),
            Act::Replay => {
                let letters = self.bench.wait(self.bench.store().dead_letters(0, 2)).unwrap();
                let ids = letters.iter().map(|letter| letter.id).collect();
                self.bench.wait(self.bench.store().replay(ids)).unwrap();
            }
            Act::Restart => self.bench.restart(),
        }
    }

    fn answer(&self, who: u8, parts: u8, ending: u8, sending: bool) {
        let Some(conversation) = self.people[usize::from(who)] else { return };
        let state = self.bench.load(conversation);
        let seqs: Vec<_> = state.pending.iter().map(|message| message.seq).collect();
        if seqs.is_empty() {
            return;
        }
        let start = self.bench.turn(conversation, &seqs);
        if ending == 3 {
            let release = ReleaseTurn {
                conversation,
                epoch: start.epoch,
                turn: start.turn,
                attempt: 1,
                failed: true,
                reason: "x".into(),
                not_before: Tick(0),
                split: true,
            };
            assert!(self.bench.wait(self.bench.store().release_turn(release)).unwrap());
            return;
        }
        let disposition = match ending {
            0 => Disposition::Answered,
            1 => Disposition::Suppressed("ok".into()),
            _ => Disposition::DeadLettered("x".into()),
        };
        let texts = vec!["part"; usize::from(parts)];
        let commit =
            CommitTurn { disposition, first_is_sending: sending, ..self.bench.commit_of(&start, &texts) };
        assert_ne!(self.bench.commit(commit), CommitOutcome::Fenced);
    }

    fn first_part(&self, who: u8) -> Option<OutboxPart> {
        let lane = self.bench.lane(self.people[usize::from(who)]?);
        lane.into_iter().next()
    }

    fn end(&self, who: u8, how: u8) {
        let Some(OutboxPart { id: part, attempt, .. }) = self.first_part(who) else { return };
        let error = String::from("x");
        self.bench.mark(match how {
            0 => Mark::Sent {
                part,
                attempt,
                provider_id: format!("w{part}"),
                began: Timestamp(1),
                at: Timestamp(1),
            },
            1 => Mark::Retry { part, attempt, not_before: Tick(0), error },
            2 => Mark::Failed { part, attempt, error },
            _ => Mark::Ambiguous { part, attempt, hold_until: Tick(i64::MAX), error },
        });
    }

    fn status(&self, who: u8, status: u8) {
        let Some(OutboxPart { id, .. }) = self.first_part(who) else { return };
        let status = match status {
            0 => DeliveryStatus::Sent,
            1 => DeliveryStatus::Delivered,
            2 => DeliveryStatus::Read,
            _ => DeliveryStatus::Failed,
        };
        self.bench.status(status_of(Some(id), &format!("w{id}"), status));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_stored_books_are_what_the_rows_add_up_to_whatever_happens(acts in acts()) {
        let mut town = Town { bench: Bench::new(), people: [None; 3] };
        for act in &acts {
            town.act(act);
        }
        let books = town.bench.books();
        let published = town.bench.store().books();
        let waiting = town.bench.number("SELECT COALESCE(SUM(pending), 0) FROM conversations");
        prop_assert_eq!(waiting, books.pending);
        let asleep = town.bench.number("SELECT count(*) FROM conversations WHERE (pending > 0) <> (wake_at IS NOT NULL)");
        prop_assert_eq!(asleep, 0, "a pending message has a deadline");
        // Callers are answered before the books are published: only a writer that has ended has published its last.
        town.bench.shutdown();
        prop_assert_eq!(*published.borrow(), books);
        let findings = super::super::db::check(&town.bench.settings.path).unwrap();
        prop_assert!(findings.is_empty(), "{:?}", findings);
    }
}
