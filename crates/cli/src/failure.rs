//! How a command fails: what is said, and the exit code.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

/// Why a command ends without success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Wrong usage, or a privilege, interface, address or file that is missing: exit code 2. The
    /// text says what to do.
    Usage(String),
    /// What was asked for was tried and failed: exit code 1.
    Failed(String),
}

impl Failure {
    /// The exit code of the process.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        }
    }

    /// A failure of the operation `what`, with everything that the error knows.
    pub(crate) fn failed(what: impl Display, error: &dyn Error) -> Self {
        Self::Failed(format!("{what}: {}", chain(error)))
    }

    /// A wrong argument or a missing precondition, with everything that the error knows.
    pub(crate) fn usage(what: impl Display, error: &dyn Error) -> Self {
        Self::Usage(format!("{what}: {}", chain(error)))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (Self::Usage(text) | Self::Failed(text)) = self;
        f.write_str(text)
    }
}

/// An error and its causes on one line; a cause that its error quotes is not said twice.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug)]
    struct Outer(io::Error);

    impl Display for Outer {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            f.write_str("cannot\nopen")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn causes_are_told_on_one_line() {
        let error = Outer(io::Error::other("no such device"));
        let failure = Failure::usage("--path eth9", &error);
        assert_eq!(failure.to_string(), "--path eth9: cannot open: no such device");
        assert_eq!(failure.code(), 2);
    }
}
