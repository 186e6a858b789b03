//! Who is attached to a terminal, and which request of theirs is next. Pure.

use base::id::ClientId;

/// The most that are known at a time; whoever was silent longest is forgotten, and may attach again.
const MOST: usize = 16;

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the next one.
    Do,
    /// It was done already: only the answer was lost.
    Done,
    /// Nobody of this name is attached.
    Unknown,
    /// Another one is next.
    OutOfOrder { next: u64 },
}

/// Those who are attached, the last to have done something at the end.
#[derive(Debug, Default)]
pub(super) struct Clients {
    /// With the sequence that is next.
    known: Vec<(ClientId, u64)>,
    /// Whether anybody was ever attached.
    pub(super) had_any: bool,
}

impl Clients {
    pub(super) fn judge(&self, client: &ClientId, sequence: u64) -> Verdict {
        match self.known.iter().find(|(known, _)| known == client) {
            None => Verdict::Unknown,
            Some((_, next)) if sequence == *next => Verdict::Do,
            Some((_, next)) if sequence + 1 == *next => Verdict::Done,
            Some((_, next)) => Verdict::OutOfOrder { next: *next },
        }
    }

    /// Joins, or begins anew.
    pub(super) fn attach(&mut self, client: &ClientId, sequence: u64) {
        self.detach(client);
        if self.known.len() == MOST {
            self.known.remove(0);
        }
        self.known.push((client.clone(), sequence + 1));
        self.had_any = true;
    }

    pub(super) fn detach(&mut self, client: &ClientId) {
        self.known.retain(|(known, _)| known != client);
    }

    /// A request was done. `leads` if the client is in front of the program from now on: it typed, for instance.
    pub(super) fn done(&mut self, client: &ClientId, leads: bool) {
        let Some(place) = self.known.iter().position(|(known, _)| known == client) else { return };
        self.known[place].1 += 1;
        if leads {
            let it = self.known.remove(place);
            self.known.push(it);
        }
    }

    /// Whether its terminal answers the program's questions.
    pub(super) fn leads(&self, client: &ClientId) -> bool {
        self.known.last().is_some_and(|(last, _)| last == client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client(number: usize) -> ClientId {
        format!("c{number}").parse().unwrap()
    }

    #[test]
    fn a_lost_answer_does_nothing_twice() {
        let mut clients = Clients::default();
        assert_eq!(clients.judge(&client(1), 0), Verdict::Unknown);
        clients.attach(&client(1), 0);
        assert_eq!(clients.judge(&client(1), 1), Verdict::Do);
        clients.done(&client(1), true);
        assert_eq!(clients.judge(&client(1), 1), Verdict::Done);
        assert_eq!(clients.judge(&client(1), 3), Verdict::OutOfOrder { next: 2 });
        assert_eq!(clients.judge(&client(1), 0), Verdict::OutOfOrder { next: 2 });
        clients.detach(&client(1));
        assert_eq!(clients.judge(&client(1), 2), Verdict::Unknown);
    }

    #[test]
    fn whoever_did_something_last_leads() {
        let mut clients = Clients::default();
        clients.attach(&client(1), 0);
        clients.attach(&client(2), 0);
        assert!(clients.leads(&client(2)) && !clients.leads(&client(1)));
        clients.done(&client(1), false);
        assert!(clients.leads(&client(2)));
        clients.done(&client(1), true);
        assert!(clients.leads(&client(1)) && !clients.leads(&client(2)));
    }

    proptest! {
        #[test]
        fn there_are_never_too_many_and_the_silent_one_goes(order in prop::collection::vec(0..40_usize, 0..80)) {
            let mut clients = Clients::default();
            for number in &order {
                clients.attach(&client(*number), 0);
                prop_assert!(clients.known.len() <= MOST && clients.leads(&client(*number)));
            }
        }
    }
}
