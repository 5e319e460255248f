//! Choosing one of a few things by the name that users select it by.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The one of `all` that has this name, `names` giving the names of each, its own first.
///
/// # Errors
/// If none has it; `what` says in the message what was looked for.
pub fn by_name<T: Copy, const N: usize>(
    what: &'static str,
    name: &str,
    all: &[T],
    names: impl Fn(T) -> [&'static str; N],
) -> Result<T, UnknownName> {
    let found = all.iter().copied().find(|&one| names(one).contains(&name));
    found.ok_or_else(|| {
        let known = all.iter().filter_map(|&one| names(one).first().copied()).collect();
        UnknownName { what, name: name.to_owned(), known }
    })
}

/// Nothing has this name; the message lists those there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// What was looked for.
    pub what: &'static str,
    /// The name that was asked for.
    pub name: String,
    /// The names there are.
    pub known: Vec<&'static str>,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown {} {:?}: choose one of {}", self.what, self.name, self.known.join(", "))
    }
}

impl core::error::Error for UnknownName {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        let find =
            |name: &str| by_name("colour", name, &[1, 2], |n| [["red", "r"], ["blue", "b"]][n - 1]);
        assert_eq!((find("red"), find("b")), (Ok(1), Ok(2)));
        let error = find("green").expect_err("not among them");
        assert_eq!(error.to_string(), "unknown colour \"green\": choose one of red, blue");
    }
}
