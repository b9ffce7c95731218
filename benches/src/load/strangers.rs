//! Strangers who crowd the door of a node and never say who they are, while members share changes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long a stranger stays away after it was thrown out.
const AWAY: Duration = Duration::from_secs(1);
/// How long a slow one takes for each byte.
const SLOWLY: Duration = Duration::from_millis(50);
/// What a node says first, up to where both must prove their keys.
const GREETING: &[u8] = b"\x13/multistream/1.0.0\n\x07/noise\n";

/// Strangers on a thread of their own, each of whom comes back when it is thrown out. They leave when this is dropped.
pub struct Strangers {
    opened: Arc<AtomicUsize>,
    gone: Arc<AtomicBool>,
}

impl Strangers {
    /// Sends so many strangers to a door, and waits until all have been there once.
    pub async fn crowd(count: usize, door: SocketAddr) -> std::io::Result<Self> {
        let crowd = Self { opened: Arc::default(), gone: Arc::default() };
        let (counter, left) = (crowd.opened.clone(), crowd.gone.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("strangers".to_owned()).spawn(move || {
            runtime.block_on(async move {
                for number in 0..count {
                    tokio::spawn(come(door, number, counter.clone()));
                }
                while !left.load(Ordering::Relaxed) {
                    tokio::time::sleep(SLOWLY).await;
                }
            });
        })?;
        while crowd.opened() < count {
            tokio::time::sleep(SLOWLY).await;
        }
        Ok(crowd)
    }

    /// Returns how many connections they have opened so far.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

async fn come(door: SocketAddr, number: usize, opened: Arc<AtomicUsize>) {
    loop {
        if let Ok(stream) = TcpStream::connect(door).await {
            opened.fetch_add(1, Ordering::Relaxed);
            // However it ends, it comes again.
            let _ = stay(stream, number).await;
        }
        tokio::time::sleep(AWAY).await;
    }
}

/// Says nothing, says it slowly, closes one way, begins as a node does, or talks nonsense; and stays for as long as it may.
async fn stay(mut stream: TcpStream, number: usize) -> std::io::Result<()> {
    match number % 5 {
        0 => {}
        1 => {
            for byte in GREETING {
                stream.write_all(std::slice::from_ref(byte)).await?;
                tokio::time::sleep(SLOWLY).await;
            }
        }
        2 => stream.shutdown().await?,
        3 => stream.write_all(GREETING).await?,
        _ => stream.write_all(&[0xff; 4096]).await?,
    }
    let mut answer = [0; 256];
    while stream.read(&mut answer).await? > 0 {}
    Ok(())
}
