//! One frame: a length of four bytes, most significant first, and so many bytes.
//!
//! **Invariants**: no memory is taken for a frame before its length was found good.

use std::io;

use bytes::Bytes;
use libp2p::futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// States why no frame was read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The other side ended the stream where a frame may end.
    #[error("the stream has ended")]
    Ended,
    /// The length is over the limit.
    #[error("a frame of {length} bytes where at most {limit} are allowed")]
    TooLarge { length: usize, limit: usize },
    /// The stream broke.
    #[error("the stream broke")]
    Broken(#[source] io::Error),
}

/// Reads a frame's length, which is at most `limit`.
pub(crate) async fn read_length(stream: &mut (impl AsyncRead + Unpin), limit: usize) -> Result<usize, ReadError> {
    let mut prefix = [0; 4];
    let mut filled = 0;
    while filled < prefix.len() {
        match stream.read(&mut prefix[filled..]).await {
            Ok(0) if filled == 0 => return Err(ReadError::Ended),
            Ok(0) => return Err(ReadError::Broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => filled += count,
            Err(error) => return Err(ReadError::Broken(error)),
        }
    }
    let length = u32::from_be_bytes(prefix) as usize;
    if length > limit { Err(ReadError::TooLarge { length, limit }) } else { Ok(length) }
}

/// Reads the bytes after a length.
pub(crate) async fn read_body(stream: &mut (impl AsyncRead + Unpin), length: usize) -> Result<Bytes, ReadError> {
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.map_err(ReadError::Broken)?;
    Ok(body.into())
}

/// Writes a frame, without a flush.
pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(bytes).await
}

#[cfg(test)]
mod tests {
    use libp2p::futures::executor::block_on;
    use libp2p::futures::io::Cursor;

    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let mut wire = Cursor::new(Vec::new());
        block_on(write(&mut wire, b"hello")).expect("a write to memory");
        assert_eq!(wire.get_ref(), b"\0\0\0\x05hello");
        wire.set_position(0);
        let length = block_on(read_length(&mut wire, 5)).expect("a length");
        assert_eq!(block_on(read_body(&mut wire, length)).expect("a body"), "hello");
        assert!(matches!(block_on(read_length(&mut wire, 5)), Err(ReadError::Ended)));
    }

    #[test]
    fn a_length_over_the_limit_is_refused_with_nothing_but_the_length_read() {
        let mut wire = Cursor::new(b"\0\x10\0\x01rest".to_vec());
        let refused = block_on(read_length(&mut wire, 1024 * 1024));
        assert!(matches!(refused, Err(ReadError::TooLarge { length: 1_048_577, limit: 1_048_576 })), "{refused:?}");
        assert_eq!(wire.position(), 4);
    }

    #[test]
    fn a_stream_that_ends_within_a_length_is_broken_and_not_ended() {
        let mut wire = Cursor::new(b"\0\0".to_vec());
        assert!(matches!(block_on(read_length(&mut wire, 9)), Err(ReadError::Broken(_))));
    }
}
