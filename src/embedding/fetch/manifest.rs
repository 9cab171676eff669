//! What a folder says of its model: where its files are from, and the hash of each. `sha256sum -c files.sha256` reads it
//! too.

use std::fmt::{self, Write};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::sink::Sink;
use crate::secret::hex;

/// The name of the file.
pub const MANIFEST: &str = "files.sha256";

/// Where a model's files are from, and the hash of each.
///
/// Its first line is `# origin revision`, with the branch or tag that was asked for behind it, where that is another word;
/// each further line is one of `sha256sum`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// The hub's repository as `owner/name`, or the package as `pypi:name`.
    pub origin: String,
    /// The commit, or the package's version.
    pub revision: String,
    /// The branch or tag that was asked for.
    pub asked: Option<String>,
    /// Paths inside of the folder with the SHA-256 of each, in hexadecimal digits.
    pub files: Vec<(String, String)>,
}

/// Why it is not known where a model is from.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// There is no such file.
    #[error("it has no {MANIFEST}, so that it was not fetched by `tertulia model fetch`")]
    None,
    /// A file cannot be read or written.
    #[error("cannot use '{}': {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is not what it should be.
    #[error("line {line} of its {MANIFEST} is not what `tertulia model fetch` writes")]
    Line {
        /// Which line, counted from 1.
        line: usize,
    },
}

/// How a file is not as it was fetched.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Difference {
    /// It is gone.
    #[error("{0} is missing")]
    Missing(String),
    /// It has another hash.
    #[error("{0} has another sha256")]
    Changed(String),
}

impl Manifest {
    /// Reads that of a model's folder.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(folder: &Path) -> Result<Self, ManifestError> {
        let path = folder.join(MANIFEST);
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(ManifestError::None),
            Err(source) => Err(ManifestError::File { path, source }),
        }
    }

    /// Reads a manifest's text.
    ///
    /// # Errors
    /// Names the first line that is not as it is written; also one whose path leaves the folder.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let mut lines = text.lines().enumerate();
        let head = lines.next().and_then(|(_, line)| line.strip_prefix("# ")).unwrap_or_default();
        let (origin, revision, asked) = match *head.split(' ').collect::<Vec<_>>() {
            [origin, revision] => (origin, revision, None),
            [origin, revision, asked] => (origin, revision, Some(asked.to_owned())),
            _ => return Err(ManifestError::Line { line: 1 }),
        };
        let files = lines
            .map(|(n, line)| file(line).ok_or(ManifestError::Line { line: n + 1 }))
            .collect::<Result<Vec<_>, _>>()?;
        if files.is_empty() {
            return Err(ManifestError::Line { line: 2 });
        }
        Ok(Self { origin: origin.into(), revision: revision.into(), asked, files })
    }

    /// Writes it into a model's folder, down to the disk.
    pub(super) fn write(&self, folder: &Path) -> Result<(), super::FetchError> {
        let mut sink = Sink::create(folder, MANIFEST)?;
        sink.write(self.to_string().as_bytes())?;
        sink.finish().map(drop)
    }

    /// Whether it is of a revision, which may be a branch or tag, or the beginning of a commit.
    #[must_use]
    pub fn is_of(&self, revision: &str) -> bool {
        // As short as Git itself abbreviates.
        let begins = revision.len() >= 7 && self.revision.starts_with(revision);
        begins || revision == self.revision || self.asked.as_deref() == Some(revision)
    }

    /// Reads the files of a model's folder and says which are not as they were fetched.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn differences(&self, folder: &Path) -> Result<Vec<Difference>, ManifestError> {
        let mut differences = vec![];
        for (name, expected) in &self.files {
            let path = folder.join(name);
            match sha256(&path) {
                Ok(found) if found == *expected => {}
                Ok(_) => differences.push(Difference::Changed(name.clone())),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    differences.push(Difference::Missing(name.clone()));
                }
                Err(source) => return Err(ManifestError::File { path, source }),
            }
        }
        Ok(differences)
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "# {} {}", self.origin, self.revision)?;
        if let Some(asked) = &self.asked {
            write!(f, " {asked}")?;
        }
        f.write_char('\n')?;
        self.files.iter().try_for_each(|(name, hash)| writeln!(f, "{hash}  {name}"))
    }
}

/// The path and hash of one line.
fn file(line: &str) -> Option<(String, String)> {
    let (hash, name) = line.split_once("  ")?;
    let stays = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    (is_sha256(hash) && stays && !name.is_empty()).then(|| (name.to_owned(), hash.to_owned()))
}

/// Whether a text is a SHA-256 in small hexadecimal digits.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// The SHA-256 of a file.
pub(super) fn sha256(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut piece = vec![0; 1024 * 1024];
    loop {
        match io::Read::read(&mut file, &mut piece) {
            Ok(0) => return Ok(hex(&hash.finalize())),
            Ok(n) => hash.update(&piece[..n]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The SHA-256 of "abc" (FIPS 180-4's example).
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn manifest(asked: Option<&str>) -> Manifest {
        Manifest {
            origin: "owner/name".into(),
            revision: "1110a243fdf4706b".into(),
            asked: asked.map(str::to_owned),
            files: vec![("config.json".into(), ABC.into()), ("1_Pooling/config.json".into(), ABC.into())],
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = manifest(None).to_string();
        assert_eq!(
            text,
            format!("# owner/name 1110a243fdf4706b\n{ABC}  config.json\n{ABC}  1_Pooling/config.json\n")
        );
        for asked in [None, Some("main")] {
            assert_eq!(Manifest::parse(&manifest(asked).to_string()).unwrap(), manifest(asked));
        }
    }

    #[test]
    fn a_line_that_was_not_written_is_named() {
        let of = |line: &str| format!("# a/b main\n{ABC}  config.json\n{line}\n");
        for (text, line) in [
            (String::new(), 1),
            (format!("{ABC}  config.json\n"), 1),
            ("# a/b\n".to_owned(), 1),
            ("# a/b c d e\n".to_owned(), 1),
            ("# a/b main\n".to_owned(), 2),
            (of(""), 3),
            (of("# a comment"), 3),
            (of(&format!("{ABC} config.json")), 3),
            (of(&format!("{ABC}  ")), 3),
            (of(&format!("{ABC}  ../config.json")), 3),
            (of(&format!("{ABC}  /etc/passwd")), 3),
            (of(&format!("{}  a", &ABC[1..])), 3),
            (of(&format!("{}  a", ABC.to_uppercase())), 3),
        ] {
            let found = Manifest::parse(&text);
            assert!(matches!(found, Err(ManifestError::Line { line: n }) if n == line), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_revision_is_a_commit_its_beginning_or_what_was_asked_for() {
        for (revision, expected) in [
            ("1110a243fdf4706b", true),
            ("1110a24", true),
            ("1110a2", false),
            ("main", true),
            ("v1", false),
            ("2110a24", false),
        ] {
            assert_eq!(manifest(Some("main")).is_of(revision), expected, "{revision}");
        }
    }

    #[test]
    fn a_file_that_is_gone_or_changed_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Manifest::read(folder.path()), Err(ManifestError::None)));
        fs::create_dir(folder.path().join("1_Pooling")).unwrap();
        for (name, _) in manifest(None).files {
            fs::write(folder.path().join(name), "abc").unwrap();
        }
        manifest(None).write(folder.path()).unwrap();
        let read = Manifest::read(folder.path()).unwrap();
        assert_eq!(read.differences(folder.path()).unwrap(), []);
        fs::write(folder.path().join("config.json"), "abd").unwrap();
        fs::remove_file(folder.path().join("1_Pooling/config.json")).unwrap();
        assert_eq!(
            read.differences(folder.path()).unwrap(),
            [Difference::Changed("config.json".into()), Difference::Missing("1_Pooling/config.json".into())]
        );
    }
}
