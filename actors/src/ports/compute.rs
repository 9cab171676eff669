//! Work that takes the processor.

/// Work that takes the processor and waits for nobody: it is done on a thread of its own, by one value that no other
/// thread sees.
///
/// May panic, which costs the call and the value, or never return, which costs the call and the thread.
pub trait Compute: 'static {
    /// What is asked.
    type Request: Send + 'static;
    /// What is answered.
    type Response: Send + 'static;
    /// How it fails.
    type Error: Send + 'static;

    /// Does one piece of work. The next one finds the value as this one left it.
    ///
    /// # Errors
    /// As the kind of work says. The value is used again.
    fn compute(&mut self, request: Self::Request) -> Result<Self::Response, Self::Error>;
}
