//! Grows the tree from what stands at its paths. Pure.

use std::collections::BTreeMap;

use super::events::Path;
use super::snapshot::{Kind, Node, Snapshot, State};
use crate::domain::Timestamp;

/// The root's name.
const ROOT: &str = "tertulia";

/// The last part of a path.
pub(super) fn name_of(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// The tree of `nodes`; paths that nothing stands at, and that others stand below, are groups. Children are in the order of
/// their paths, numbers by their value.
pub(super) fn grow(nodes: Vec<Node>, since: Timestamp) -> Node {
    let mut root =
        Branch { node: Some(group(Path::from(""), ROOT.to_owned(), since)), below: BTreeMap::new() };
    for node in nodes {
        let path = Path::clone(&node.path);
        let mut branch = &mut root;
        let mut so_far = String::new();
        for part in path.split('/') {
            if !so_far.is_empty() {
                so_far.push('/');
            }
            so_far.push_str(part);
            let here = Path::from(so_far.as_str());
            branch = branch.below.entry(Key::of(part)).or_insert_with(|| Branch {
                node: Some(group(here, part.to_owned(), since)),
                below: BTreeMap::new(),
            });
        }
        branch.node = Some(node);
    }
    root.into_node()
}

/// The name of a child: numbers go by their value.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(u64),
    Text(String),
}

impl Key {
    fn of(part: &str) -> Self {
        part.parse().map_or_else(|_| Self::Text(part.to_owned()), Self::Number)
    }
}

struct Branch {
    node: Option<Node>,
    below: BTreeMap<Key, Branch>,
}

impl Branch {
    fn into_node(self) -> Node {
        let since = Timestamp(0);
        let mut node = self.node.unwrap_or_else(|| group(Path::from(""), String::new(), since));
        node.children = self.below.into_values().map(Self::into_node).collect();
        // A thread that works is as what runs on it, and a front as the threads that work for it.
        let is_as_they_are = match node.kind {
            Kind::Group => true,
            Kind::Thread | Kind::Front => node.state == State::Running && !node.children.is_empty(),
            Kind::Actor | Kind::Conversations | Kind::Conversation => false,
        };
        if is_as_they_are {
            node.state = of_group(&node.children);
            node.since = node.children.iter().map(|child| child.since).max().unwrap_or(node.since);
        }
        node
    }
}

/// A group is as its worst member is, so that a look at the root tells whether to look further.
fn of_group(children: &[Node]) -> State {
    const WORST_FIRST: [State; 7] = [
        State::Frozen,
        State::Down,
        State::Restarting,
        State::Stopped,
        State::Probing,
        State::Draining,
        State::Paused,
    ];
    let has = |state: &State| children.iter().any(|child| child.state == *state);
    WORST_FIRST.into_iter().find(has).unwrap_or(State::Running)
}

fn group(path: Path, name: String, since: Timestamp) -> Node {
    Node {
        path,
        name,
        kind: Kind::Group,
        state: State::Running,
        since,
        restarts: BTreeMap::new(),
        restarted_at: None,
        last_reason: None,
        actions: vec![],
        snapshot: Snapshot::default(),
        children: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(path: &str, state: State) -> Node {
        Node {
            kind: Kind::Actor,
            state,
            ..group(Path::from(path), name_of(path), Timestamp(path.len().try_into().expect("short")))
        }
    }

    fn outline(node: &Node, depth: usize, out: &mut Vec<String>) {
        out.push(format!("{}{} {:?} {:?}", " ".repeat(depth), node.name, node.kind, node.state));
        for child in &node.children {
            outline(child, depth + 1, out);
        }
    }

    #[test]
    fn paths_become_a_tree_whose_groups_are_as_their_worst_member_is() {
        let nodes = vec![
            node("shards/10/router", State::Running),
            node("shards/2/router", State::Paused),
            node("services/query", State::Down),
            node("services/query/threads/0", State::Running),
            node("sweep", State::Running),
        ];
        let mut lines = vec![];
        outline(&grow(nodes, Timestamp(7)), 0, &mut lines);
        assert_eq!(
            lines,
            [
                "tertulia Group Down",
                " services Group Down",
                "  query Actor Down",
                "   threads Group Running",
                "    0 Actor Running",
                " shards Group Paused",
                "  2 Group Paused",
                "   router Actor Paused",
                "  10 Group Running",
                "   router Actor Running",
                " sweep Actor Running",
            ]
        );
    }

    #[test]
    fn a_front_is_as_its_threads_are_unless_it_has_something_to_say_itself() {
        for (own, below, expected) in [
            (State::Running, State::Running, State::Running),
            (State::Running, State::Frozen, State::Frozen),
            (State::Running, State::Down, State::Down),
            (State::Paused, State::Frozen, State::Paused),
            (State::Down, State::Running, State::Down),
        ] {
            let front = Node { kind: Kind::Front, ..node("services/query", own) };
            let threads = [("services/query/threads/0", State::Running), ("services/query/threads/1", below)];
            let nodes = threads.map(|(path, state)| Node { kind: Kind::Thread, ..node(path, state) });
            let root = grow([vec![front], nodes.to_vec()].concat(), Timestamp(7));
            assert_eq!(root.children[0].children[0].state, expected, "{own:?} {below:?}");
            // The root tells whether to look further.
            assert_eq!(root.state, expected);
        }
    }

    #[test]
    fn a_thread_is_as_what_runs_on_it_unless_it_is_frozen_itself() {
        for (own, below, expected) in [
            (State::Running, State::Running, State::Running),
            (State::Running, State::Down, State::Down),
            (State::Frozen, State::Running, State::Frozen),
        ] {
            let thread = Node { kind: Kind::Thread, ..node("shards/0", own) };
            let root = grow(vec![thread, node("shards/0/router", below)], Timestamp(7));
            assert_eq!(root.children[0].children[0].state, expected, "{own:?} {below:?}");
        }
    }

    #[test]
    fn nothing_is_a_root_alone() {
        let root = grow(vec![], Timestamp(7));
        assert_eq!(
            (root.name.as_str(), root.state, root.since, root.children.len()),
            ("tertulia", State::Running, Timestamp(7), 0)
        );
    }
}
