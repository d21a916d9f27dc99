//! The limit: nothing but bytes on one libp2p stream.

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::Error;

/// Bytes written or read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Read how many bytes are wanted, and write so many.
pub async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), Error> {
    let mut wanted = [0; 8];
    stream.read_exact(&mut wanted).await?;
    let mut left = u64::from_be_bytes(wanted);
    let chunk = vec![0x5a; CHUNK_BYTES];
    while left > 0 {
        let bytes = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        stream.write_all(&chunk[..bytes]).await?;
        left -= u64::try_from(bytes)?;
    }
    Ok(stream.close().await?)
}

/// Ask for `bytes` and read them.
pub async fn fetch(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    bytes: u64,
) -> Result<(), Error> {
    stream.write_all(&bytes.to_be_bytes()).await?;
    stream.flush().await?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut got = 0;
    loop {
        match stream.read(&mut chunk).await? {
            0 if got == bytes => return Ok(()),
            0 => return Err(format!("expected {bytes} bytes, got {got}").into()),
            read => got += u64::try_from(read)?,
        }
    }
}
