//! What goes over the line to a Chroma server and comes back. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a record says beside its document: texts, numbers and truth values by their keys.
pub(super) type Metadata = Map<String, Value>;

/// What is read of a record.
pub(super) const ALL: &[&str] = &["documents", "metadatas"];
/// Where only the ids of records matter.
pub(super) const IDS: &[&str] = &[];
/// What is read of a record that was found.
const FOUND: &[&str] = &["documents", "metadatas", "distances"];

/// How far two vectors are from each other, as a collection measures it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Space {
    /// The square of the Euclidean distance.
    #[default]
    L2,
    /// One less the cosine.
    Cosine,
    /// One less the product.
    Ip,
}

impl Space {
    /// The cosine of two vectors of unit length that are so far from each other. Source of what each distance is:
    /// <https://docs.trychroma.com/docs/collections/configure>.
    pub(super) fn cosine(self, distance: f32) -> f32 {
        match self {
            Self::L2 => 1.0 - distance / 2.0,
            Self::Cosine | Self::Ip => 1.0 - distance,
        }
    }
}

/// A collection, as far as it matters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Collection {
    pub(super) id: String,
    pub(super) space: Space,
    /// The length of its vectors; none before it has the first one.
    pub(super) dimension: Option<usize>,
}

#[derive(Deserialize)]
struct Described {
    id: String,
    dimension: Option<usize>,
    #[serde(default)]
    configuration_json: Configuration,
}

/// One of its indexes has a configuration: that of a server of one's own, or that of the cloud.
#[derive(Deserialize, Default)]
struct Configuration {
    hnsw: Option<Index>,
    spann: Option<Index>,
}

#[derive(Deserialize)]
struct Index {
    space: Option<Space>,
}

/// Reads how a server describes a collection.
pub(super) fn collection(body: &[u8]) -> Result<Collection, String> {
    let Described { id, dimension, configuration_json: Configuration { hnsw, spann } } = read(body)?;
    let space = [hnsw, spann].into_iter().flatten().find_map(|index| index.space).unwrap_or_default();
    Ok(Collection { id, space, dimension })
}

/// Asks for the nearest records.
#[derive(Serialize)]
pub(super) struct Query<'a> {
    query_embeddings: [&'a [f32]; 1],
    n_results: usize,
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    condition: Option<Value>,
    include: &'static [&'static str],
}

impl<'a> Query<'a> {
    pub(super) const fn new(vector: &'a [f32], n_results: usize, condition: Option<Value>) -> Self {
        Self { query_embeddings: [vector], n_results, condition, include: FOUND }
    }
}

/// Asks for records: those with these ids, those whose metadata is so, or a page of all.
#[derive(Serialize, Default)]
pub(super) struct Get<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ids: Option<&'a [String]>,
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub(super) condition: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limit: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offset: Option<usize>,
    pub(super) include: &'static [&'static str],
}

/// Adds records, or changes those of the same ids; keys of metadata that it does not name stay.
#[derive(Serialize, Default)]
pub(super) struct Upsert<'a> {
    pub(super) ids: Vec<&'a str>,
    pub(super) embeddings: Vec<&'a [f32]>,
    pub(super) documents: Vec<&'a str>,
    pub(super) metadatas: Vec<&'a Metadata>,
}

/// Removes records.
#[derive(Serialize)]
pub(super) struct Delete<'a> {
    pub(super) ids: &'a [String],
}

/// A record, without its vector.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) document: Option<String>,
    pub(super) metadata: Metadata,
}

#[derive(Deserialize)]
struct Got {
    ids: Vec<String>,
    documents: Option<Vec<Option<String>>>,
    metadatas: Option<Vec<Option<Metadata>>>,
}

/// Each list has another one for each vector that was asked for, here one.
#[derive(Deserialize)]
struct Found {
    ids: [Vec<String>; 1],
    documents: Option<[Vec<Option<String>>; 1]>,
    metadatas: Option<[Vec<Option<Metadata>>; 1]>,
    distances: Option<[Vec<Option<f32>>; 1]>,
}

/// Reads records.
pub(super) fn records(body: &[u8]) -> Result<Vec<Record>, String> {
    let Got { ids, documents, metadatas } = read(body)?;
    joined(ids, documents, metadatas)
}

/// Reads records that were found, with their distances; one without a distance is left out.
pub(super) fn found(body: &[u8]) -> Result<Vec<(Record, f32)>, String> {
    let Found { ids: [ids], documents, metadatas, distances } = read(body)?;
    let distances = distances.map(|[list]| list).unwrap_or_default();
    let records = joined(ids, documents.map(|[list]| list), metadatas.map(|[list]| list))?;
    if distances.len() != records.len() {
        return Err(format!("{} distances came for {} records", distances.len(), records.len()));
    }
    Ok(records
        .into_iter()
        .zip(distances)
        .filter_map(|(record, distance)| Some((record, distance?)))
        .collect())
}

/// Reads a number of records.
pub(super) fn count(body: &[u8]) -> Result<usize, String> {
    read(body)
}

/// Puts together what the server gives in lists of the same length.
fn joined(
    ids: Vec<String>,
    documents: Option<Vec<Option<String>>>,
    metadatas: Option<Vec<Option<Metadata>>>,
) -> Result<Vec<Record>, String> {
    let count = ids.len();
    let documents = documents.unwrap_or_else(|| vec![None; count]);
    let metadatas = metadatas.unwrap_or_else(|| vec![None; count]);
    if documents.len() != count || metadatas.len() != count {
        let (documents, metadatas) = (documents.len(), metadatas.len());
        return Err(format!("{documents} documents and {metadatas} metadatas came for {count} ids"));
    }
    let rest = documents.into_iter().zip(metadatas);
    let record = |(id, (document, metadata)): (String, (_, Option<_>))| Record {
        id,
        document,
        metadata: metadata.unwrap_or_default(),
    };
    Ok(ids.into_iter().zip(rest).map(record).collect())
}

/// The error of serde would quote the body, which is not ours to show.
fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body)
        .map_err(|error| format!("its answer is not as expected, at byte {}", error.column()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_cosine_is_what_the_space_of_the_collection_makes_of_the_distance() {
        // Of (1, 0) and (0.6, 0.8), as the server gave them.
        for (space, distance) in [(Space::L2, 0.8), (Space::Cosine, 0.4), (Space::Ip, 0.4)] {
            assert!((space.cosine(distance) - 0.6).abs() < 1e-6, "{space:?}");
        }
    }

    #[test]
    fn a_collection_measures_as_either_index_says_and_squares_where_none_does() {
        let described = |configuration: Value| {
            let body =
                json!({"id": "x", "name": "kb", "dimension": 384, "configuration_json": configuration});
            collection(body.to_string().as_bytes()).unwrap()
        };
        for (configuration, space) in [
            (json!({"hnsw": {"space": "cosine", "ef_search": 100}, "spann": null}), Space::Cosine),
            (json!({"hnsw": null, "spann": {"space": "ip"}}), Space::Ip),
            (json!({"hnsw": {"space": "l2"}}), Space::L2),
            (json!({}), Space::L2),
        ] {
            let expected = Collection { id: "x".into(), space, dimension: Some(384) };
            assert_eq!(described(configuration.clone()), expected, "{configuration}");
        }
        let empty = collection(br#"{"id": "x", "dimension": null}"#).unwrap();
        assert_eq!((empty.space, empty.dimension), (Space::L2, None));
    }

    #[test]
    fn records_are_put_together_from_their_lists() {
        let body = json!({"ids": [["a", "b", "c"]], "documents": [["q", null, "s"]], "metadatas": [[{"answer": "x"}, null, null]],
                          "distances": [[0.5, 1.0, null]], "include": [], "uris": null});
        let found = found(body.to_string().as_bytes()).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|(record, distance)| (&*record.id, record.document.as_deref(), *distance))
            .collect();
        assert_eq!(told, [("a", Some("q"), 0.5), ("b", None, 1.0)]);
        assert_eq!(found[0].0.metadata["answer"], "x");
        let bare = records(br#"{"ids": ["a"], "documents": null, "metadatas": null}"#).unwrap();
        assert_eq!(bare, [Record { id: "a".into(), ..Record::default() }]);
    }

    #[test]
    fn what_is_no_answer_is_refused_and_never_quoted() {
        for (body, expected) in [
            (json!("secret").to_string(), "not as expected"),
            ("secret".into(), "not as expected"),
            (json!({"ids": [["a"], ["b"]]}).to_string(), "not as expected"),
            (json!({"ids": [["a"]], "distances": [[]]}).to_string(), "0 distances came for 1 records"),
            (
                json!({"ids": [["a"]], "documents": [[]], "distances": [[1]]}).to_string(),
                "0 documents and 1 metadatas",
            ),
        ] {
            let told = found(body.as_bytes()).unwrap_err();
            assert!(told.contains(expected) && !told.contains("secret"), "{body}: {told}");
        }
    }

    #[test]
    fn what_is_asked_for_is_written_without_what_is_not() {
        let asked = serde_json::to_string(&Query::new(&[0.1, 1.0], 3, None)).unwrap();
        assert_eq!(
            asked,
            r#"{"query_embeddings":[[0.1,1.0]],"n_results":3,"include":["documents","metadatas","distances"]}"#
        );
        let page = Get { limit: Some(2), offset: Some(4), include: ALL, ..Get::default() };
        let asked = serde_json::to_string(&page).unwrap();
        assert_eq!(asked, r#"{"limit":2,"offset":4,"include":["documents","metadatas"]}"#);
    }
}
