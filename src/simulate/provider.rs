//! The provider: posts webhooks until they are acknowledged. Outlives every crash of the server. Pure.

use std::collections::{BTreeMap, BTreeSet};

use tertulia_actors::domain::Timestamp;

use super::people::{Brings, Webhook};
use crate::load::bursts::Token;

/// How long the provider waits before it posts again what was not acknowledged, in milliseconds, by attempt.
const RETRIES_MS: [i64; 5] = [1_000, 5_000, 30_000, 120_000, 300_000];

/// A post that is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Post {
    pub(super) webhook: usize,
    pub(super) attempt: u32,
}

/// What is to be posted, what is under way, and what was acknowledged.
pub(super) struct Provider {
    webhooks: Vec<Webhook>,
    /// By time, then in the order in which they were planned.
    due: BTreeSet<(Timestamp, u64, usize)>,
    planned: u64,
    attempts: BTreeMap<usize, u32>,
    /// Posts that have no answer yet, by webhook.
    under_way: BTreeMap<usize, u32>,
    acknowledged: BTreeSet<usize>,
}

impl Provider {
    pub(super) fn new(webhooks: Vec<Webhook>) -> Self {
        let (due, acknowledged) = (BTreeSet::new(), BTreeSet::new());
        let (attempts, under_way) = (BTreeMap::new(), BTreeMap::new());
        let mut provider = Self { webhooks: vec![], due, planned: 0, attempts, under_way, acknowledged };
        for webhook in webhooks {
            provider.add(webhook);
        }
        provider
    }

    /// Has one more webhook to post.
    pub(super) fn add(&mut self, webhook: Webhook) {
        let number = self.webhooks.len();
        for at in &webhook.posts {
            self.planned += 1;
            self.due.insert((*at, self.planned, number));
        }
        self.webhooks.push(webhook);
    }

    pub(super) fn webhook(&self, number: usize) -> &Webhook {
        &self.webhooks[number]
    }

    /// When the next post is due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, ..)| *at)
    }

    /// The next post that is due by now. It is under way from then on.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<Post> {
        let webhook = self.due.first().filter(|(at, ..)| *at <= now)?.2;
        self.due.pop_first();
        let attempt = self.attempts.entry(webhook).or_default();
        *attempt += 1;
        *self.under_way.entry(webhook).or_default() += 1;
        Some(Post { webhook, attempt: *attempt })
    }

    /// A post was answered, or not; what was not acknowledged is posted again.
    pub(super) fn answered(&mut self, webhook: usize, is_acknowledged: bool, now: Timestamp) {
        if let Some(posts) = self.under_way.get_mut(&webhook) {
            *posts = posts.saturating_sub(1);
            if *posts == 0 {
                self.under_way.remove(&webhook);
            }
        }
        if is_acknowledged {
            self.acknowledged.insert(webhook);
        } else if !self.acknowledged.contains(&webhook) {
            self.again(webhook, now);
        }
    }

    fn again(&mut self, webhook: usize, now: Timestamp) {
        let attempt = usize::try_from(self.attempts.get(&webhook).copied().unwrap_or(0)).unwrap_or(0);
        let wait = RETRIES_MS[attempt.saturating_sub(1).min(RETRIES_MS.len() - 1)];
        self.planned += 1;
        self.due.insert((Timestamp(now.0 + wait), self.planned, webhook));
    }

    /// The server has died: nothing that is under way is answered.
    pub(super) fn cut_off(&mut self, now: Timestamp) {
        for webhook in std::mem::take(&mut self.under_way).into_keys() {
            if !self.acknowledged.contains(&webhook) {
                self.again(webhook, now);
            }
        }
    }

    /// Nobody listens between a death and the next start: what is due then is posted again later.
    pub(super) fn refused_until(&mut self, until: Timestamp) {
        while let Some((at, planned, webhook)) = self.due.first().copied().filter(|(at, ..)| *at < until) {
            self.due.remove(&(at, planned, webhook));
            self.due.insert((Timestamp(until.0 + 1_000), planned, webhook));
        }
    }

    /// Whether everything was posted, and answered.
    pub(super) fn is_done(&self) -> bool {
        self.due.is_empty() && self.under_way.is_empty()
    }

    /// Every message, and whether it was acknowledged.
    pub(super) fn messages(&self) -> impl Iterator<Item = (Token, bool)> {
        self.webhooks.iter().enumerate().flat_map(|(number, webhook)| {
            let is_acknowledged = self.acknowledged.contains(&number);
            let tokens = match &webhook.brings {
                Brings::Messages(tokens) => tokens.as_slice(),
                Brings::Status { .. } => &[],
            };
            tokens.iter().map(move |token| (*token, is_acknowledged))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(posts: &[i64]) -> Provider {
        let posts = posts.iter().map(|at| Timestamp(*at)).collect();
        let token = Token { person: 0, burst: 0, message: 0 };
        Provider::new(vec![Webhook { body: [].into(), brings: Brings::Messages(vec![token]), posts }])
    }

    #[test]
    fn what_is_not_acknowledged_is_posted_again_and_what_is_comes_only_as_planned() {
        let mut provider = provider(&[10, 50]);
        assert_eq!((provider.next(), provider.take(Timestamp(9))), (Some(Timestamp(10)), None));
        assert_eq!(provider.take(Timestamp(10)), Some(Post { webhook: 0, attempt: 1 }));
        provider.answered(0, false, Timestamp(20));
        assert_eq!(provider.take(Timestamp(50)), Some(Post { webhook: 0, attempt: 2 }));
        provider.answered(0, true, Timestamp(60));
        assert!(!provider.is_done());
        assert_eq!(provider.take(Timestamp(1_020)), Some(Post { webhook: 0, attempt: 3 }));
        provider.answered(0, false, Timestamp(1_030));
        assert!(provider.is_done());
        assert!(provider.messages().all(|(_, is_acknowledged)| is_acknowledged));
    }

    #[test]
    fn a_death_of_the_server_answers_nothing_and_nobody_listens_until_the_next_start() {
        let mut provider = provider(&[10, 100]);
        provider.take(Timestamp(10));
        provider.cut_off(Timestamp(20));
        provider.refused_until(Timestamp(500));
        assert_eq!(provider.take(Timestamp(1_019)), None);
        let posts: Vec<_> = std::iter::from_fn(|| provider.take(Timestamp(1_500))).collect();
        assert_eq!(posts.len(), 2);
        assert!(provider.messages().all(|(_, is_acknowledged)| !is_acknowledged));
    }
}
