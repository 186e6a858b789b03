//! A value that cannot be printed (invariant 2).

use zeroize::Zeroizing;

/// A secret string: a token, a password, the text of a private key.
///
/// It has neither `Debug` nor `Display` nor `Serialize`, so a struct that holds one cannot be logged,
/// formatted into an error or sent over the bus by accident: such code does not compile. Its memory is wiped
/// when it is dropped. [`Secret::expose`] is the one way in, and easy to search for.
///
/// ```compile_fail
/// println!("{:?}", base::Secret::new(String::new()));
/// ```
/// ```compile_fail
/// println!("{}", base::Secret::new(String::new()));
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of the value.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
