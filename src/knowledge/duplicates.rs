//! Entries that say the same, or nearly.

use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;
use tertulia_actors::domain::Entry;

use super::entries::{KnowledgeError, entry};
use super::search::nearest::Nearest;
use super::text::words::words;
use super::vectors::read;

/// Near entries that are looked at of each one; a larger group is found by way of its members.
const NEAR_MAX: usize = 16;

/// Entries that say the same, or nearly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Whether they say just the same to just the same people, so that all but one of them can go.
    pub is_same: bool,
    /// Two at least, in the order of id and language.
    pub entries: Vec<Entry>,
}

/// An entry with the vectors of its questions, as they are stored: their bytes, and how many they are.
type Known = (Entry, Option<(Vec<u8>, i64)>);

/// Groups of entries that are the same after what differs only in writing is left out; then, where a model has embedded them,
/// groups of those whose cosine is `near` at least. Only entries of one language are compared, and no two versions of one id.
///
/// # Errors
/// The database failed.
pub fn groups(conn: &Connection, model: Option<&str>, near: f32) -> Result<Vec<Group>, KnowledgeError> {
    let known = load(conn, model)?;
    let mut groups = same(&known);
    groups.extend(alike(&known, near));
    Ok(groups)
}

fn load(conn: &Connection, model: Option<&str>) -> Result<Vec<Known>, KnowledgeError> {
    let mut select = conn.prepare(
        "SELECT knowledge.*, vector, ways FROM knowledge
         LEFT JOIN knowledge_vectors ON entry = knowledge.rowid AND model = ?1 ORDER BY id, language",
    )?;
    let known = select.query_map([model], |row| {
        let vector: Option<Vec<u8>> = row.get("vector")?;
        let ways: Option<i64> = row.get("ways")?;
        Ok((entry(row)?, vector.zip(ways)))
    })?;
    Ok(known.collect::<Result<_, _>>()?)
}

/// What two entries must have in common to be the same. Of questions the words count; of answers every letter, since an address may
/// differ in one.
fn key(entry: &Entry) -> impl Ord + use<> {
    let asked = |text: &str| match words(text) {
        none if none.is_empty() => text.trim().to_owned(),
        words => words.join(" "),
    };
    let mut questions: Vec<String> = entry.questions().map(asked).collect();
    questions.sort_unstable();
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort_unstable();
        names
    };
    let answer = entry.answer.split_whitespace().collect::<Vec<_>>().join(" ");
    let times = [entry.valid_from, entry.valid_until].map(|time| time.map(|time| time.0));
    (entry.language.to_string(), questions, answer, sorted(&entry.tags), sorted(&entry.accounts), times)
}

fn same(known: &[Known]) -> Vec<Group> {
    let mut by_key = BTreeMap::new();
    for (entry, _) in known {
        by_key.entry(key(entry)).or_insert_with(Vec::new).push(entry.clone());
    }
    let groups = by_key.into_values().filter(|entries| entries.len() > 1);
    let mut groups: Vec<Group> = groups.map(|entries| Group { is_same: true, entries }).collect();
    groups.sort_by(|one, other| one.entries[0].id.cmp(&other.entries[0].id));
    groups
}

/// Groups of near entries; one that consists of the same only is told already.
fn alike(known: &[Known], near: f32) -> Vec<Group> {
    let mut nearest = Nearest::default();
    let mut vectors = HashMap::new();
    for (place, (_, stored)) in (0_i64..).zip(known) {
        let Some((bytes, ways)) = stored else { continue };
        let ways = usize::try_from(*ways).unwrap_or_default();
        if let Some(found) = read(bytes, ways)
            && nearest.put(place, &found, ways)
        {
            vectors.insert(place, (found, ways));
        }
    }
    let entry =
        |place: i64| usize::try_from(place).ok().and_then(|place| known.get(place)).map(|(entry, _)| entry);
    let mut groups = Groups::of(known.len());
    for (place, (found, ways)) in &vectors {
        let Some(one) = entry(*place) else { continue };
        let is_comparable = |other: i64| {
            entry(other).is_some_and(|other| other.language == one.language && other.id != one.id)
        };
        for vector in found.chunks_exact(found.len() / ways) {
            let best = nearest.best(vector, NEAR_MAX, is_comparable);
            for (other, _) in best.into_iter().filter(|(_, cosine)| *cosine >= near) {
                groups.join(*place, other);
            }
        }
    }
    let of_entries = |places: Vec<usize>| {
        let entries: Vec<Entry> = places.iter().map(|place| known[*place].0.clone()).collect();
        let keys: Vec<_> = entries.iter().map(key).collect();
        (!keys.windows(2).all(|two| two[0] == two[1])).then_some(Group { is_same: false, entries })
    };
    groups.all().into_iter().filter_map(of_entries).collect()
}

/// Sets of places that grow together.
struct Groups(Vec<usize>);

impl Groups {
    fn of(count: usize) -> Self {
        Self((0..count).collect())
    }

    /// The first place of a place's set.
    fn first(&mut self, mut place: usize) -> usize {
        while self.0[place] != place {
            self.0[place] = self.0[self.0[place]];
            place = self.0[place];
        }
        place
    }

    fn join(&mut self, one: i64, other: i64) {
        let [Ok(one), Ok(other)] = [one, other].map(usize::try_from) else { return };
        let (one, other) = (self.first(one), self.first(other));
        self.0[one.max(other)] = one.min(other);
    }

    /// The sets of two and more, each in order.
    fn all(mut self) -> Vec<Vec<usize>> {
        let mut all: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for place in 0..self.0.len() {
            let first = self.first(place);
            all.entry(first).or_default().push(place);
        }
        all.into_values().filter(|places| places.len() > 1).collect()
    }
}

#[cfg(test)]
mod tests {
    use tertulia_actors::domain::{Language, Timestamp};
    use tertulia_actors::ports::Embedded;

    use super::super::vectors::{put, unembedded};
    use super::super::{KNOWLEDGE_MIGRATION, entries::import};
    use super::*;

    fn base(entries: &[Entry]) -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(KNOWLEDGE_MIGRATION).unwrap();
        import(&conn, entries, Timestamp(1)).unwrap();
        conn
    }

    fn entry(id: &str, question: &str, answer: &str) -> Entry {
        Entry::new(id, Language::ENGLISH, question, answer)
    }

    /// The ids of the groups, with whether each is of the same entries.
    fn found(conn: &Connection, model: Option<&str>) -> Vec<(bool, Vec<String>)> {
        let ids = |group: Group| (group.is_same, group.entries.into_iter().map(|entry| entry.id).collect());
        groups(conn, model, 0.95).unwrap().into_iter().map(ids).collect()
    }

    #[test]
    fn what_differs_only_in_writing_is_the_same() {
        let tagged = Entry { tags: vec!["t".into()], ..entry("g", "Do you deliver?", "Yes.") };
        let conn = base(&[
            entry("a", "Do you deliver?", "Yes."),
            entry("b", "do you  DELIVER", "Yes. "),
            entry("c", "Do you deliver?", "No."),
            entry("d", "Do you deliver?", "yes."),
            Entry::new("e", Language::ARABIC, "Do you deliver?", "Yes."),
            entry("f", "Do you open?", "Yes."),
            tagged,
            entry("h", "👍", "Yes."),
            entry("i", "👎", "Yes."),
        ]);
        assert_eq!(found(&conn, None), [(true, vec!["a".to_owned(), "b".into()])]);
    }

    #[test]
    fn near_entries_are_found_by_their_vectors_across_a_chain_and_not_across_languages() {
        let entries = [
            entry("a", "one", "1"),
            entry("b", "two", "2"),
            entry("c", "three", "3"),
            entry("d", "four", "4"),
            Entry::new("a", Language::ARABIC, "واحد", "1"),
            Entry::new("e", Language::ARABIC, "خمسة", "5"),
        ];
        let conn = base(&entries);
        let angle = |text: &str| match text {
            "one" | "واحد" => 0.0_f32,
            "two" => 0.25,
            "three" | "خمسة" => 0.5,
            _ => 2.0,
        };
        let embedded = unembedded(&conn, "m", 0, 99).unwrap().into_iter().map(|entry| {
            let angle = angle(&entry.texts[0].text);
            let vectors = vec![Some(vec![angle.cos(), angle.sin()].into())];
            Embedded { row: entry.row, texts: entry.texts, vectors }
        });
        put(&conn, "m", &embedded.collect::<Vec<_>>()).unwrap();
        assert_eq!(found(&conn, Some("m")), [(false, vec!["a".to_owned(), "b".into(), "c".into()])]);
        assert_eq!(found(&conn, Some("another")), []);
        assert_eq!(found(&conn, None), []);
    }
}
