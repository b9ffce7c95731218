//! Strangers who crowd the door of a node and never say who they are, while members share changes.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long a slow one takes for each byte.
const SLOWLY: Duration = Duration::from_millis(50);
/// What a node says first, up to where both must prove their keys.
const GREETING: &[u8] = b"\x13/multistream/1.0.0\n\x07/noise\n";

/// Says nothing, says it slowly, closes one way, begins as a node does, or talks nonsense; and stays for as long as it may.
pub async fn stay(mut stream: TcpStream, number: usize) -> std::io::Result<()> {
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
