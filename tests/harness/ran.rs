//! What a command came to.

/// A command that has ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The command line, for messages.
    pub command: String,
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Ran {
    /// Demands an exit code.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Demands a text in the standard output.
    ///
    /// # Panics
    /// When it is not there.
    #[track_caller]
    pub fn expect_out(&self, text: &str) -> &Self {
        assert!(self.out.contains(text), "no {text:?} in the output of {self:#?}");
        self
    }

    /// Demands a text in the standard error.
    ///
    /// # Panics
    /// When it is not there.
    #[track_caller]
    pub fn expect_err(&self, text: &str) -> &Self {
        assert!(self.err.contains(text), "no {text:?} in the errors of {self:#?}");
        self
    }

    /// The standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }
}
