//! One send of a part: mark, call, mark. Runs as a task beside the dispatcher.

use super::End;
use crate::domain::{OutboxPart, PartState, Timestamp};
use crate::failpoint;
use crate::outbox::retry::mark_of;
use crate::ports::store::Mark;
use crate::ports::{Outbound, SendTrace, StoreError, Trace};
use crate::services::ChannelService;
use crate::shard::Shard;
use crate::supervision::{CallError, FrontHandle};

/// Marks, sends, marks.
pub(super) async fn send(shard: &Shard, front: &FrontHandle<ChannelService>, mut part: OutboxPart) -> End {
    if part.state != PartState::Sending {
        part.attempt += 1;
        let recipient = part.recipient.clone();
        let mark = Mark::Sending { part: part.id, attempt: part.attempt, recipient };
        match shard.store.mark_parts(vec![mark]).await.as_deref() {
            Ok([true]) => part.state = PartState::Sending,
            Ok(_) => return End::Contradicted,
            // The mark may be on the disk for all that, and nothing was sent.
            Err(StoreError::Closed) => return End::Unposted,
            Err(_away) => return End::StoreAway,
        }
    }
    failpoint!("outbox.before_post");
    let outbound = Outbound {
        part: part.id,
        account: part.account.clone(),
        recipient: part.recipient.clone(),
        text: part.text.clone(),
    };
    let began = shard.clock.now();
    let result = front.call(Some(part.conversation), outbound).await;
    failpoint!("outbox.after_post");
    if let Err(error) = &result {
        tracing::warn!(conversation.id = %part.conversation, part.id = %part.id, %error, "a part was not sent");
    }
    let is_down = matches!(result, Err(CallError::Down { started: false, .. }));
    let now = (began, shard.clock.now(), shard.clock.tick());
    let mark = mark_of(&part, result, now, &shard.outbox, shard.entropy.fraction());
    let trace = trace_of(&part, &mark, (now.0, now.1));
    let end = match make_mark(shard, mark).await {
        End::Marked(mark) if is_down => End::ChannelDown(mark),
        end => end,
    };
    // Behind the mark, so that nothing stands between a send and what the store knows of it.
    if let Some(tracer) = &shard.tracer {
        tracer.told(trace);
    }
    end
}

/// What whoever traces learns of a send that began and ended at these times.
fn trace_of(part: &OutboxPart, mark: &Mark, (began, ended): (Timestamp, Timestamp)) -> Trace {
    let outcome = match mark {
        Mark::Sending { .. } => PartState::Sending,
        Mark::Sent { .. } => PartState::Sent,
        Mark::Retry { .. } => PartState::Pending,
        Mark::Failed { .. } => PartState::Failed,
        Mark::Ambiguous { .. } => PartState::Ambiguous,
    };
    Trace::Send(SendTrace {
        conversation: part.conversation,
        account: part.account.clone(),
        turn: part.turn,
        part: part.id,
        attempt: part.attempt,
        began,
        ended,
        outcome,
    })
}

/// Makes a mark, for as long as it takes: what happened has happened.
pub(super) async fn make_mark(shard: &Shard, mark: Mark) -> End {
    loop {
        match shard.store.mark_parts(vec![mark.clone()]).await.as_deref() {
            Ok([true]) => return End::Marked(mark),
            Ok(_) | Err(StoreError::Closed | StoreError::Refused(_) | StoreError::Corrupt(_)) => {
                return End::Contradicted;
            }
            Err(StoreError::Overloaded { .. } | StoreError::Unavailable(_)) => {
                tokio::time::sleep(shard.store.retry_after()).await;
            }
        }
    }
}
