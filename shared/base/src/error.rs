//! One way to print an error: what was being done, then each cause, once.

use std::error::Error;

/// The error and all its causes on one line, outermost first, joined by `: `.
///
/// Each level names its own operation and keeps its cause in `source()`; a level that repeats its cause in its own
/// text would print it twice, so a cause that the level before already ends with is passed over.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        next = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the settings")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn prints_each_level_once() {
        let error = Outer(std::io::Error::other("the disk is gone"));
        assert_eq!(chain(&error), "cannot read the settings: the disk is gone");
    }
}
