//! Callers of the API who take their time, while others want their answers.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::http::Endpoint;

/// How long one takes for each byte.
const SLOWLY: Duration = Duration::from_millis(50);
/// The body that one announces: within what the API takes.
const BODY: usize = 100_000;

/// Says nothing, a head byte by byte, a whole head and its body byte by byte, takes an answer byte by byte, or keeps a
/// connection open whose answer it has had; and stays for as long as it may. All but the first two have the node's token.
pub async fn stay(mut stream: TcpStream, number: usize, node: &Endpoint) -> std::io::Result<()> {
    let (host, token) = (node.host(), node.token());
    let head = |method: &str, path: &str, more: &str| {
        format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n{more}\r\n")
    };
    match number % 5 {
        0 => {}
        1 => dribble(&mut stream, head("GET", "/api/v1/tasks", "x-slow: yes\r\n").as_bytes()).await?,
        2 => {
            let announced = format!("content-type: application/json\r\ncontent-length: {BODY}\r\n");
            stream.write_all(head("POST", "/api/v1/tasks", &announced).as_bytes()).await?;
            dribble(&mut stream, &[b' '; BODY]).await?;
        }
        3 => {
            stream.write_all(head("GET", "/api/v1/tasks?limit=50&scope=quiet", "").as_bytes()).await?;
            while stream.read(&mut [0; 1]).await? > 0 {
                tokio::time::sleep(SLOWLY).await;
            }
        }
        _ => stream.write_all(head("GET", "/api/health", "").as_bytes()).await?,
    }
    let mut answer = [0; 256];
    while stream.read(&mut answer).await? > 0 {}
    Ok(())
}

async fn dribble(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes {
        stream.write_all(std::slice::from_ref(byte)).await?;
        tokio::time::sleep(SLOWLY).await;
    }
    Ok(())
}
