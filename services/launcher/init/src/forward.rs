//! Where no descriptor can leave the bottle (gVisor): init listens on the sidecars' ports itself and forwards what comes to
//! Unix sockets of the sidecars, byte for byte, both ways and with both ends' closing.
//!
//! It is one thread, which the agent can no more reach than the rest of init. How many connections there are at once is
//! bounded; further ones wait in the kernel. A side that does not read stops only its own connection.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use boundary::order::Forwarded;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::{bind, sys};

/// Connections at once on each port.
const PLACES: usize = 256;
/// After an accept that failed, most likely for want of descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a client may stay that its sidecar has closed, and that says nothing.
const LINGER: Duration = Duration::from_secs(30);
/// Bytes that wait in each direction of a connection.
const WAITING: usize = 32 * 1024;

/// Listens on each address and begins to forward.
///
/// # Errors
/// As [`bind::bind`]; or no thread can be had.
pub(crate) fn start(ports: &[Forwarded]) -> Result<(), String> {
    let addresses: Vec<SocketAddr> = ports.iter().map(|port| port.address).collect();
    let listeners = bind::bind(&addresses)?;
    let sockets = ports.iter().map(|port| PathBuf::from(&port.socket));
    let ports: Vec<Port> = listeners.into_iter().zip(sockets).map(|(l, s)| Port::new(l, s)).collect();
    let failed = |error: io::Error| format!("cannot forward the sidecars' ports: {error}");
    ports.iter().try_for_each(|port| port.listener.set_nonblocking(true)).map_err(failed)?;
    // A signal is for the thread that waits for it.
    sys::without_signals(|| std::thread::Builder::new().spawn(move || forward(ports, LINGER)))
        .map(drop)
        .map_err(failed)
}

struct Port {
    listener: TcpListener,
    socket: PathBuf,
    connections: Vec<Connection>,
    places: usize,
}

impl Port {
    fn new(listener: TcpListener, socket: PathBuf) -> Self {
        Self { listener, socket, connections: Vec::new(), places: PLACES }
    }

    fn accept(&mut self) {
        match self.listener.accept() {
            Ok((inside, _)) => self.connections.extend(Connection::open(inside, &self.socket)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// A client inside, and the sidecar outside.
struct Connection {
    inside: TcpStream,
    outside: UnixStream,
    out: Direction,
    back: Direction,
    /// Since when its sidecar has nothing more to say.
    closed: Option<Instant>,
}

impl Connection {
    /// Nothing when the sidecar is not there: the client sees its connection closed.
    fn open(inside: TcpStream, socket: &PathBuf) -> Option<Self> {
        let outside = UnixStream::connect(socket).ok()?;
        inside.set_nodelay(true).ok()?;
        inside.set_nonblocking(true).ok()?;
        outside.set_nonblocking(true).ok()?;
        Some(Self { inside, outside, out: Direction::default(), back: Direction::default(), closed: None })
    }

    /// What is waited for inside and outside.
    fn wanted(&self) -> [PollFlags; 2] {
        [wanted(&self.out, &self.back), wanted(&self.back, &self.out)]
    }

    fn pump(&mut self, [inside, outside]: [PollFlags; 2]) {
        self.out.pump(
            (self.inside.as_fd(), !inside.is_empty()),
            (self.outside.as_fd(), || self.outside.shutdown(Shutdown::Write)),
        );
        self.back.pump(
            (self.outside.as_fd(), !outside.is_empty()),
            (self.inside.as_fd(), || self.inside.shutdown(Shutdown::Write)),
        );
        if self.back.closed && self.closed.is_none() {
            self.closed = Some(Instant::now());
        }
    }

    fn is_over(&self, linger: Duration) -> bool {
        self.back.closed && (self.out.closed || self.closed.is_some_and(|since| since.elapsed() >= linger))
    }
}

fn wanted(from: &Direction, to: &Direction) -> PollFlags {
    let mut wanted = PollFlags::empty();
    wanted.set(PollFlags::IN, !from.ended && from.has_room());
    wanted.set(PollFlags::OUT, !to.bytes.is_empty());
    wanted
}

/// Bytes on their way from one side to the other.
#[derive(Default)]
pub(crate) struct Direction {
    pub(crate) bytes: Vec<u8>,
    /// The one side has said all.
    pub(crate) ended: bool,
    /// And the other has been told, or is not there any more.
    pub(crate) closed: bool,
}

impl Direction {
    pub(crate) fn has_room(&self) -> bool {
        self.bytes.len() < WAITING
    }

    /// Takes what there is and passes on what goes.
    fn pump(
        &mut self,
        (from, is_ready): (BorrowedFd<'_>, bool),
        (to, close): (BorrowedFd<'_>, impl Fn() -> io::Result<()>),
    ) {
        if is_ready {
            self.take(from);
        }
        if !self.pass(to) {
            // Whoever does not listen any more may still have something to say.
            *self = Self { bytes: Vec::new(), ended: true, closed: true };
        }
        if self.ended && self.bytes.is_empty() && !self.closed {
            let _ = close();
            self.closed = true;
        }
    }

    pub(crate) fn take(&mut self, from: BorrowedFd<'_>) {
        if self.ended || !self.has_room() {
            return;
        }
        let mut room = [0; WAITING];
        let room = &mut room[..WAITING - self.bytes.len()];
        match rustix::io::read(from, &mut *room) {
            Ok(0) => self.ended = true,
            Ok(count) => self.bytes.extend_from_slice(&room[..count]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.ended = true,
        }
    }

    /// Returns whether the other side is still there.
    pub(crate) fn pass(&mut self, to: BorrowedFd<'_>) -> bool {
        if self.bytes.is_empty() {
            return true;
        }
        match rustix::io::write(to, &self.bytes) {
            Ok(count) => drop(self.bytes.drain(..count)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return false,
        }
        true
    }
}

/// Forwards for as long as init lives.
fn forward(mut ports: Vec<Port>, linger: Duration) {
    loop {
        let ready = wait(&ports);
        let mut ready = ready.into_iter();
        for port in &mut ports {
            let has_client = ready.next().is_some_and(|flags| !flags.is_empty());
            for connection in &mut port.connections {
                let flags = [ready.next(), ready.next()].map(|flags| flags.unwrap_or(PollFlags::empty()));
                connection.pump(flags);
            }
            port.connections.retain(|connection| !connection.is_over(linger));
            if has_client {
                port.accept();
            }
        }
    }
}

/// What has happened, in the order of the ports: to each port itself, then to each of its connections inside and outside.
fn wait(ports: &[Port]) -> Vec<PollFlags> {
    let mut asked = Vec::new();
    let mut places = Vec::new();
    let mut count = 0;
    let mut ask = |descriptor, wanted: PollFlags| {
        // The system tells of an end even where nothing was asked for, again and again.
        if !wanted.is_empty() {
            asked.push(PollFd::from_borrowed_fd(descriptor, wanted));
            places.push(count);
        }
        count += 1;
    };
    for port in ports {
        let has_place = port.connections.len() < port.places;
        ask(port.listener.as_fd(), if has_place { PollFlags::IN } else { PollFlags::empty() });
        for connection in &port.connections {
            let [inside, outside] = connection.wanted();
            ask(connection.inside.as_fd(), inside);
            ask(connection.outside.as_fd(), outside);
        }
    }
    let lingers = ports.iter().flat_map(|port| &port.connections).any(|one| one.closed.is_some());
    let tick = Timespec { tv_sec: 1, tv_nsec: 0 };
    let mut ready = vec![PollFlags::empty(); count];
    if poll(&mut asked, lingers.then_some(&tick)).is_ok() {
        for (place, asked) in places.into_iter().zip(asked) {
            ready[place] = asked.revents();
        }
    }
    ready
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::Ipv4Addr;
    use std::os::unix::net::UnixListener;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A port that is forwarded to a sidecar of the test's own.
    struct Bottle {
        port: SocketAddr,
        sidecar: UnixListener,
        directory: PathBuf,
    }

    impl Bottle {
        fn new(places: usize, linger: Duration) -> Self {
            static NUMBER: AtomicUsize = AtomicUsize::new(0);
            let name = format!(
                "bot-bottle-forward-{}-{}",
                std::process::id(),
                NUMBER.fetch_add(1, Ordering::Relaxed)
            );
            let directory = std::env::temp_dir().join(name);
            std::fs::create_dir(&directory).unwrap();
            let socket = directory.join("socket");
            let sidecar = UnixListener::bind(&socket).unwrap();
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.set_nonblocking(true).unwrap();
            let port = listener.local_addr().unwrap();
            let forwarded = Port { places, ..Port::new(listener, socket) };
            std::thread::spawn(move || forward(vec![forwarded], linger));
            Self { port, sidecar, directory }
        }

        fn client(&self) -> TcpStream {
            let client = TcpStream::connect(self.port).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            client
        }

        fn pair(&self) -> (TcpStream, UnixStream) {
            let client = self.client();
            let sidecar = self.sidecar.accept().unwrap().0;
            sidecar.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            (client, sidecar)
        }
    }

    impl Drop for Bottle {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }

    fn all(mut stream: impl io::Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn each_side_may_close_its_half_and_go_on_listening() {
        let bottle = Bottle::new(PLACES, LINGER);
        let (mut client, mut sidecar) = bottle.pair();
        client.write_all(b"asked").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(all(&sidecar), b"asked");
        sidecar.write_all(b"answered").unwrap();
        drop(sidecar);
        assert_eq!(all(&client), b"answered");

        let (mut client, mut sidecar) = bottle.pair();
        sidecar.write_all(b"greeting").unwrap();
        sidecar.shutdown(Shutdown::Write).unwrap();
        assert_eq!(all(&client), b"greeting");
        client.write_all(b"still heard").unwrap();
        drop(client);
        assert_eq!(all(&sidecar), b"still heard");
    }

    #[test]
    fn who_does_not_read_stops_nobody_else_and_loses_nothing() {
        let bottle = Bottle::new(PLACES, LINGER);
        let (client, mut sidecar) = bottle.pair();
        let sent: Vec<u8> = (0..40_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let expected = sent.clone();
        let sending = std::thread::spawn(move || {
            sidecar.write_all(&sent).unwrap();
        });
        for number in 0..40_u8 {
            let (mut other, mut answering) = bottle.pair();
            other.write_all(&[number]).unwrap();
            let mut byte = [0];
            answering.read_exact(&mut byte).unwrap();
            answering.write_all(&byte).unwrap();
            other.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [number]);
        }
        assert!(!sending.is_finished(), "a client that does not read holds its sidecar back");
        assert_eq!(all(&client), expected);
        sending.join().unwrap();
    }

    #[test]
    fn there_are_no_more_at_once_than_places() {
        let bottle = Bottle::new(2, LINGER);
        let (first, _second) = (bottle.pair(), bottle.pair());
        let mut third = bottle.client();
        third.write_all(b"waits").unwrap();
        bottle.sidecar.set_nonblocking(true).unwrap();
        // What is asked on another connection afterwards has been answered before it could have been let in.
        let (mut client, mut sidecar) = first;
        client.write_all(b"x").unwrap();
        sidecar.read_exact(&mut [0]).unwrap();
        assert!(bottle.sidecar.accept().is_err());
        bottle.sidecar.set_nonblocking(false).unwrap();
        drop((client, sidecar));
        let mut let_in = bottle.sidecar.accept().unwrap().0;
        let mut bytes = [0; 5];
        let_in.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"waits");
    }

    #[test]
    fn an_early_answer_is_heard_and_a_silent_client_of_a_closed_sidecar_goes() {
        let bottle = Bottle::new(PLACES, Duration::from_millis(10));
        let (mut client, mut sidecar) = bottle.pair();
        // The sidecar answers without having read what was sent, and is gone.
        client.write_all(&vec![7; 1 << 20][..200_000]).unwrap();
        sidecar.write_all(b"too much").unwrap();
        drop(sidecar);
        let mut answer = [0; 8];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"too much");

        // One that says nothing gives its place away.
        let bottle = Bottle::new(1, Duration::from_millis(10));
        let (mut silent, sidecar) = bottle.pair();
        drop(sidecar);
        assert_eq!(silent.read(&mut [0]).unwrap(), 0);
        let _next = bottle.client();
        bottle.sidecar.set_nonblocking(true).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while bottle.sidecar.accept().is_err() {
            assert!(Instant::now() < until, "its place is held for ever");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_sidecar_that_is_not_there_is_a_closed_connection() {
        let bottle = Bottle::new(PLACES, LINGER);
        std::fs::remove_file(bottle.directory.join("socket")).unwrap();
        assert_eq!(bottle.client().read(&mut [0]).unwrap_or(0), 0);
    }
}
