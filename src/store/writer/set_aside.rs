//! Conversations whose rows cannot be read.

use rusqlite::params;

use super::super::error::WriteError;
use super::unit::{Unit, Write};

/// Sets a conversation aside: from now on it is not swept up, none of its parts is sent, and a person is asked for. What
/// waits in it stays pending until its rows are mended and a start tries it again.
pub(in crate::store) struct SetAside {
    /// The conversation's id as it is stored, which may itself be what cannot be read.
    pub(in crate::store) conversation: String,
    /// What cannot be read of it.
    pub(in crate::store) reason: String,
}

impl Write for SetAside {
    type Answer = ();

    fn apply(&mut self, unit: &mut Unit<'_>) -> Result<Self::Answer, WriteError> {
        Ok(set_aside(unit, &self.conversation, &self.reason)?)
    }
}

/// Marks the conversation, once.
pub(super) fn set_aside(unit: &Unit<'_>, conversation: &str, reason: &str) -> rusqlite::Result<()> {
    let marked = unit
        .conn
        .prepare_cached(
            "UPDATE conversations SET set_aside = ?2, needs_human = 1 WHERE id = ?1 AND set_aside IS NULL",
        )?
        .execute(params![conversation, reason])?;
    if marked > 0 {
        tracing::error!(
            conversation.id = conversation,
            reason,
            "a conversation cannot be read and is set aside; all others go on: run `tertulia db check`, mend it, restart"
        );
    }
    Ok(())
}
