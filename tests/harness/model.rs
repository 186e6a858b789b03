//! A model's API on loopback that plays scripts to real agent clients, and remembers what they sent.
//!
//! It speaks Anthropic's Messages, OpenAI's Responses and OpenAI's chat completions, over TLS with an authority of its own.
//! One script serves all three: each request of an agent's loop takes the next turn. Requests without tools are a client's
//! own (titles, summaries); they take none and are told a word.

mod answer;
mod chat;
mod messages;
mod offered;
mod responses;
mod script;
mod seen;
mod serve;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::lifecycle::Lifecycle;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub use script::{Failure, Gate, Turn};
pub use seen::Asked;

/// The hosts that its certificate names: those of the vendors' APIs, and one of nobody.
const HOSTS: [&str; 5] =
    ["api.anthropic.com", "api.openai.com", "chatgpt.com", "model.example.com", "127.0.0.1"];

#[derive(Debug, Default)]
struct Memory {
    turns: VecDeque<Turn>,
    asked: Vec<Asked>,
}

/// See the module. It ends with its lifecycle.
#[derive(Clone, Debug)]
pub struct Model {
    /// Where it listens: a free port on 127.0.0.1.
    pub address: SocketAddr,
    /// The certificate (PEM) of the authority that signed its own.
    pub authority: String,
    memory: Arc<Mutex<Memory>>,
}

impl Model {
    /// Starts it with a script; it ends with `lifecycle`.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start(turns: impl IntoIterator<Item = Turn>, lifecycle: &Lifecycle) -> Self {
        let (authority, tls) =
            cli::demo::origin::certificate(&HOSTS).unwrap_or_else(|error| panic!("no certificate: {error}"));
        let listener =
            TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("cannot listen: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}"));
        let model = Self { address, authority, memory: Arc::default() };
        model.play(turns);
        lifecycle.spawn(serve::accept(model.clone(), listener, TlsAcceptor::from(tls), lifecycle.clone()));
        model
    }

    /// Adds turns to the script.
    pub fn play(&self, turns: impl IntoIterator<Item = Turn>) {
        self.memory().turns.extend(turns);
    }

    /// The turns that were not played.
    #[must_use]
    pub fn left(&self) -> usize {
        self.memory().turns.len()
    }

    /// Every request so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.memory().asked.clone()
    }

    /// The requests that took a turn, each of an agent's loop.
    #[must_use]
    pub fn steps(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.took_turn).collect()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
