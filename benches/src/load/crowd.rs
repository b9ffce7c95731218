//! Many connections that are not measured, at a door behind which others are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;

/// How long one stays away after it was thrown out.
const AWAY: Duration = Duration::from_secs(1);
/// How often it is looked whether all are there, or all are to go.
const GLANCE: Duration = Duration::from_millis(50);

/// Connections on a thread of their own, each of which is opened again when it is closed. They are closed when this is dropped.
pub struct Crowd {
    opened: Arc<AtomicUsize>,
    gone: Arc<AtomicBool>,
}

impl Crowd {
    /// Opens so many connections to a door, and waits until all have been there once. What each does there is told by its number.
    pub async fn gather<S>(
        count: usize,
        door: SocketAddr,
        stay: impl Fn(TcpStream, usize) -> S + Send + Sync + 'static,
    ) -> std::io::Result<Self>
    where
        S: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let crowd = Self { opened: Arc::default(), gone: Arc::default() };
        let (counter, left, stay) = (crowd.opened.clone(), crowd.gone.clone(), Arc::new(stay));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("crowd".to_owned()).spawn(move || {
            runtime.block_on(async move {
                for number in 0..count {
                    tokio::spawn(come(door, number, stay.clone(), counter.clone()));
                }
                while !left.load(Ordering::Relaxed) {
                    tokio::time::sleep(GLANCE).await;
                }
            });
        })?;
        while crowd.opened() < count {
            tokio::time::sleep(GLANCE).await;
        }
        Ok(crowd)
    }

    /// Returns how many connections were opened so far.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

async fn come<S>(door: SocketAddr, number: usize, stay: Arc<impl Fn(TcpStream, usize) -> S>, opened: Arc<AtomicUsize>)
where
    S: Future<Output = std::io::Result<()>>,
{
    loop {
        if let Ok(stream) = TcpStream::connect(door).await {
            opened.fetch_add(1, Ordering::Relaxed);
            // However it ends, it comes again.
            let _ = stay(stream, number).await;
        }
        tokio::time::sleep(AWAY).await;
    }
}
