//! What a command prints. A reader that has seen enough, as in `dead-letters list | head -1`, is no failure.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Prints one line on standard output. Where nobody reads it any more, there is nothing left to say.
///
/// # Errors
/// When it cannot be written for another reason, as on a full disk.
pub(super) fn say(line: impl Display) -> io::Result<()> {
    write_to(&mut io::stdout().lock(), line)
}

/// Prints one line on standard error, which is the last place to complain at.
pub(super) fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Tells on standard error how far something is, on a terminal only.
pub(super) fn bar(all: u64, template: &str) -> ProgressBar {
    let target =
        if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(all), target);
    // Without its style the bar looks otherwise and says the same.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn write_to(out: &mut impl Write, line: impl Display) -> io::Result<()> {
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place where nothing can be written.
    struct Fails(ErrorKind);

    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_failure_and_a_full_disk_is_one() {
        let mut written = vec![];
        write_to(&mut written, "a line").unwrap();
        assert_eq!(written, b"a line\n");
        assert!(write_to(&mut Fails(ErrorKind::BrokenPipe), "x").is_ok());
        let full = write_to(&mut Fails(ErrorKind::StorageFull), "x").expect_err("not written");
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }
}
