//! What a release cannot be made to do: a build without the feature `failpoints` has none of them.

use super::*;

/// The variables that a test build reads.
const VARIABLES: [&str; 2] = ["TERTULIA_FAILPOINTS", "TERTULIA_FAILPOINTS_FILE"];

/// The names of the places, as the code has them.
fn places(files: &[Source]) -> Vec<String> {
    let start = "failpoint!(\"";
    let lines = files.iter().flat_map(|file| code(file).map(|(_, line)| line));
    let named = lines.filter_map(|line| line.trim_start().strip_prefix(start)?.split('"').next());
    named.map(str::to_owned).collect()
}

/// This same test passes in both builds, so that it cannot pass by looking for the wrong thing.
#[test]
fn a_plain_build_has_no_failpoint_and_a_test_build_has_them_all() {
    let program = fs::read(env!("CARGO_BIN_EXE_tertulia")).expect("the binary");
    let has = |word: &str| program.windows(word.len()).any(|bytes| bytes == word.as_bytes());
    let places = places(&shipped());
    assert!(places.len() >= 8, "{places:?}");
    for word in places.iter().map(String::as_str).chain(VARIABLES) {
        assert_eq!(has(word), cfg!(feature = "failpoints"), "{word} in the binary");
    }
}
