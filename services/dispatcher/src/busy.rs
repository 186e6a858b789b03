//! Conversations with a task of their own: one each, which looks once more if there was something new meanwhile.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::shared::lock;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Busy(Mutex<HashMap<String, bool>>);

impl Busy {
    /// Whether a task has to be begun; one that there is looks once more.
    pub(crate) fn begin(&self, key: &str) -> bool {
        let mut busy = lock(&self.0);
        if let Some(again) = busy.get_mut(key) {
            *again = true;
            return false;
        }
        busy.insert(key.to_owned(), false);
        true
    }

    /// Whether nothing is new since the task has begun to look; then it is no more.
    pub(crate) fn rest(&self, key: &str) -> bool {
        let mut busy = lock(&self.0);
        match busy.get_mut(key) {
            Some(again) if *again => {
                *again = false;
                false
            }
            _ => {
                busy.remove(key);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_looks_once_more_for_whatever_came_meanwhile() {
        let busy = Busy::default();
        assert!(busy.begin("a") && busy.begin("b"));
        assert!(!busy.begin("a") && !busy.begin("a"));
        assert!(!busy.rest("a") && busy.rest("a") && busy.rest("b"));
        assert!(busy.begin("a"));
    }
}
