//! Inputs that say themselves how they are cut.

/// Takes the first byte off an input; 0 where there is none.
pub(crate) fn byte(data: &mut &[u8]) -> u8 {
    match data.split_first() {
        Some((first, rest)) => {
            *data = rest;
            *first
        }
        None => 0,
    }
}

/// Takes the lengths of pieces off an input, and gives the rest in pieces of those lengths, over and over.
pub(crate) struct Pieces<'d> {
    rest: &'d [u8],
    lengths: [usize; 3],
    turn: usize,
}

impl<'d> Pieces<'d> {
    /// Of an input that begins with three lengths.
    pub(crate) fn of(mut data: &'d [u8]) -> Self {
        // Mostly short ones, and some as long as a packet.
        let length =
            |byte: u8| if byte < 200 { usize::from(byte) + 1 } else { usize::from(byte - 199) * 331 };
        let lengths = [byte(&mut data), byte(&mut data), byte(&mut data)].map(length);
        Self { rest: data, lengths, turn: 0 }
    }

    /// All of it in one piece.
    pub(crate) fn whole(&self) -> &'d [u8] {
        self.rest
    }
}

impl<'d> Iterator for Pieces<'d> {
    type Item = &'d [u8];

    fn next(&mut self) -> Option<&'d [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let length = self.lengths[self.turn % self.lengths.len()].min(self.rest.len());
        self.turn += 1;
        let (piece, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(piece)
    }
}
