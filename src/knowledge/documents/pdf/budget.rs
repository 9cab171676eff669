//! What a file may become in memory, all of its parts together: each part alone may be small and unpack to much.

use std::cell::Cell;
use std::mem::size_of;

use lopdf::{DecompressError, Dictionary, Document, Error, LoadOptions, Object, ObjectId};

/// What all parts of a file may become, in bytes: some thousands of pages.
const ALL_BYTES_MAX: usize = 512 * 1024 * 1024;

/// What one compressed part may become that is read with the file: objects and their places. Those of usual files have less than a
/// tenth of it; what is made of them is larger.
const LOADED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What the content of one page, or the table of one font, may become.
const PART_BYTES_MAX: usize = 32 * 1024 * 1024;

thread_local! {
    /// What is left to the file that is loaded on this thread. The library's filter is a plain function, which has no other place
    /// to keep it; every file is read on a thread of its own.
    static LEFT: Cell<usize> = const { Cell::new(0) };
}

/// What a file may still become.
pub(super) struct Budget {
    left: usize,
}

impl Budget {
    /// Of a whole file.
    pub(super) const fn new() -> Self {
        Self { left: ALL_BYTES_MAX }
    }

    #[cfg(test)]
    pub(super) const fn of(left: usize) -> Self {
        Self { left }
    }

    /// What the next part may become.
    pub(super) fn part(&self) -> usize {
        self.left.min(PART_BYTES_MAX)
    }

    /// Takes note of what a part became.
    ///
    /// # Errors
    /// All of them became too much.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), String> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or_else(too_large)?;
        Ok(())
    }

    /// Loads a file. What has no text is not kept.
    ///
    /// # Errors
    /// It is damaged or too large.
    pub(super) fn load(&mut self, bytes: &[u8]) -> Result<Document, String> {
        let has_pages = |document: &Document| document.page_iter().next().is_some();
        let first = self.load_once(bytes, false)?;
        // Where places are wrong, the pages may be found by looking for all objects; with a filter the library does not by itself.
        if first.as_ref().is_ok_and(has_pages) {
            return first.map_err(told);
        }
        match self.load_once(bytes, true)? {
            Ok(again) if has_pages(&again) => Ok(again),
            _ => first.map_err(told),
        }
    }

    fn load_once(
        &mut self,
        bytes: &[u8],
        force_reconstruct: bool,
    ) -> Result<Result<Document, Error>, String> {
        LEFT.set(self.left);
        let options = LoadOptions {
            filter: Some(kept),
            max_decompressed_size: Some(LOADED_BYTES_MAX),
            force_reconstruct,
            ..LoadOptions::default()
        };
        let loaded = Document::load_mem_with_options(bytes, options);
        match (LEFT.get(), &loaded) {
            (0, _) => Err(too_large()),
            // The library asks no filter of a file that was encrypted, if only against changes: it is weighed afterwards.
            (left, Ok(document)) if left == self.left => {
                self.spend(document.objects.values().map(weight).sum())?;
                Ok(loaded)
            }
            (left, _) => {
                self.left = left;
                Ok(loaded)
            }
        }
    }
}

/// Keeps an object while there is room for it, unless it is a picture.
fn kept(id: ObjectId, object: &mut Object) -> Option<(ObjectId, Object)> {
    if object.as_stream().is_ok_and(|stream| stream.dict.get(b"Subtype").is_ok_and(is_picture)) {
        return None;
    }
    let left = LEFT.get().saturating_sub(weight(object));
    LEFT.set(left);
    // Only of an object from within another one, which is no stream, the library takes what it is given here; else it keeps its own.
    let given = if object.as_stream().is_ok() { Object::Null } else { object.clone() };
    (left > 0).then_some((id, given))
}

fn is_picture(subtype: &Object) -> bool {
    subtype.as_name().is_ok_and(|name| name == b"Image")
}

/// What an object takes in memory, about. The library bounds how deep objects are nested.
fn weight(object: &Object) -> usize {
    let more = match object {
        Object::Name(bytes) | Object::String(bytes, _) => bytes.len(),
        Object::Array(items) => items.iter().map(weight).sum(),
        Object::Dictionary(entries) => entries_weight(entries),
        Object::Stream(stream) => stream.content.len() + entries_weight(&stream.dict),
        _ => 0,
    };
    size_of::<Object>() + more
}

fn entries_weight(entries: &Dictionary) -> usize {
    entries.iter().map(|(key, value)| size_of::<Vec<u8>>() + key.len() + weight(value)).sum()
}

fn too_large() -> String {
    format!("its parts unpack to more than {ALL_BYTES_MAX} bytes together: divide it, or save it as text")
}

/// What the library's error means, and what to do.
pub(super) fn told(error: Error) -> String {
    match error {
        Error::InvalidPassword => "it is locked by a password: save it without".into(),
        Error::Decompress(DecompressError::MemoryLimitExceeded { limit })
            if limit == PART_BYTES_MAX || limit == LOADED_BYTES_MAX =>
        {
            format!("a part of it unpacks to more than {limit} bytes: divide it, or save it as text")
        }
        Error::Decompress(DecompressError::MemoryLimitExceeded { .. }) => too_large(),
        error => error.to_string(),
    }
}

/// Whether an error is of the size of what is read, and not of one page alone.
pub(super) const fn is_of_size(error: &Error) -> bool {
    matches!(error, Error::Decompress(DecompressError::MemoryLimitExceeded { .. }))
}
