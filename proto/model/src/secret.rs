//! Key material: wiped when it is let go of, and never printed.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// Bytes that nobody may read by accident. Formatting shows nothing of them, not even their length,
/// and dropping overwrites them. The wire body they came in is the caller's to guard.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes charge of `value`.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// What is kept: for cryptography only, never for output.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl<T: Zeroize> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_a_secret_shows_anything_of_it() {
        let secret = Secret::new(b"ABC".to_vec());
        assert_eq!(
            format!("{secret} {secret:?} {secret:#?}"),
            "<secret> <secret> <secret>"
        );
        assert_eq!(secret.expose(), b"ABC");
    }
}
