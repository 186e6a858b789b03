//! Taking connections: as many at once as may be, each a task of the lifecycle's, until that stops.

mod socket;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

pub use self::socket::{Connection, Listener};
use crate::lifecycle::Lifecycle;

/// After an accept that failed, most likely for want of descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Takes connections until the lifecycle stops, and serves each with `serve`. `places` bounds how many there are at once:
/// further ones wait in the listener's own queue.
pub async fn accept<F>(
    listener: impl Into<Listener>,
    places: Arc<Semaphore>,
    life: Lifecycle,
    serve: impl Fn(Connection, Lifecycle) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = listener.into();
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            () = life.stopping() => return,
        };
        let Ok(stream) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let serving = serve(stream, life.clone());
        life.spawn(async move {
            serving.await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn there_are_no_more_at_once_than_places_and_none_after_the_stop() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (life, places) = (Lifecycle::new(), Arc::new(Semaphore::new(1)));
        let (taken, mut next) = tokio::sync::mpsc::channel(4);
        let serve = move |mut stream: Connection, _| {
            let taken = taken.clone();
            async move {
                taken.send(()).await.unwrap();
                // Until the client goes.
                drop(stream.read(&mut [0]).await);
            }
        };
        let accepting = life.spawn(accept(listener, places.clone(), life.clone(), serve));
        let first = TcpStream::connect(address).await.unwrap();
        let _second = TcpStream::connect(address).await.unwrap();
        next.recv().await.unwrap();
        assert!(next.try_recv().is_err() && places.available_permits() == 0);
        drop(first);
        next.recv().await.unwrap();
        life.stop();
        tokio::time::timeout(Duration::from_secs(10), accepting).await.unwrap().unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
