//! Since when something does not answer. The tree tells when the state began that its events tell; that something is silent it finds out
//! by asking, and one look may come at a bad moment. Pure.

use std::collections::HashMap;

use tertulia_actors::domain::Timestamp;
use tertulia_actors::supervision::events::Path;
use tertulia_actors::supervision::snapshot::{Node, State};

use super::figures::nodes;

/// What was silent at the last look.
#[derive(Clone, Debug, Default)]
pub struct Silences(HashMap<Path, Silence>);

#[derive(Clone, Copy, Debug)]
struct Silence {
    since: Timestamp,
    looks: u32,
}

impl Silences {
    /// Takes note of a look.
    pub fn look(&mut self, tree: Option<&Node>, now: Timestamp) {
        let Some(tree) = tree else { return };
        let before = std::mem::take(&mut self.0);
        for node in nodes(tree).into_iter().filter(|node| is_silent(node.state)) {
            let begun = before.get(&node.path).copied();
            let Silence { since, looks } = begun.unwrap_or(Silence { since: now, looks: 0 });
            self.0.insert(Path::clone(&node.path), Silence { since, looks: looks.saturating_add(1) });
        }
    }

    /// Since when it has been silent, if that is sure: it was so at two looks in a row, or an event says so.
    #[must_use]
    pub fn since(&self, node: &Node) -> Option<Timestamp> {
        let silence = self.0.get(&node.path)?;
        let told = node.last_reason.is_some() && node.since >= silence.since;
        (silence.looks >= 2 || told).then_some(silence.since)
    }
}

const fn is_silent(state: State) -> bool {
    matches!(state, State::Frozen | State::Stopped)
}

#[cfg(test)]
mod tests {
    use tertulia_actors::supervision::snapshot::Kind;

    use super::super::warnings::tests::node;
    use super::*;

    #[test]
    fn one_silent_look_is_no_silence_and_a_second_one_counts_from_the_first() {
        let (silent, well) =
            (node("store", Kind::Front, State::Frozen), node("store", Kind::Front, State::Running));
        let mut silences = Silences::default();
        silences.look(Some(&silent), Timestamp(1_000));
        assert_eq!(silences.since(&silent), None);
        silences.look(None, Timestamp(1_500));
        silences.look(Some(&silent), Timestamp(2_000));
        assert_eq!(silences.since(&silent), Some(Timestamp(1_000)));
        silences.look(Some(&well), Timestamp(3_000));
        silences.look(Some(&silent), Timestamp(4_000));
        assert_eq!(silences.since(&silent), None, "it begins anew");
    }
}
