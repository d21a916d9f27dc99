//! The log before the tables: one short write and one sync make a record durable, where a commit of
//! the tables writes seven pages.
//!
//! The file is a sequence of entries: length of what follows the checksum (2 bytes), XXH3-64 of that
//! (8 bytes), one record. Numbers are big endian. The checksum's seed is the *generation*, which
//! the tables keep: it advances in the commit that takes the log's entries over, so that from then on
//! none of them passes for an entry any more, and the file is written anew from its beginning. Whatever
//! doesn't pass ends the log: it was being written when the node died, and nobody was told of it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use twox_hash::XxHash3_64;

use super::entry::Write;

/// Length and checksum in front of a record.
const HEAD_BYTES: usize = 10;

/// Entries appended one after the other.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    generation: u64,
    length: u64,
    buffer: Vec<u8>,
}

impl Log {
    /// Open or create the log at `path`, with what was appended in this generation.
    pub(super) fn open(path: &Path, generation: u64) -> io::Result<(Self, Vec<Write>)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if let Some(directory) = path.parent() {
            // Else a power cut could take a new file away, and with it what was synced into it.
            File::open(directory)?.sync_all()?;
        }
        let (mut rest, mut entries) = (bytes.as_slice(), Vec::new());
        while let Some((entry, behind)) = next_entry(rest, generation) {
            entries.push(entry);
            rest = behind;
        }
        let length = u64::try_from(bytes.len() - rest.len()).map_err(io::Error::other)?;
        Ok((Self { file, generation, length, buffer: Vec::new() }, entries))
    }

    /// Append all of these, and return once they are durable.
    pub(super) fn append(&mut self, entries: impl Iterator<Item = Write>) -> io::Result<()> {
        self.buffer.clear();
        for entry in entries {
            let start = self.buffer.len();
            self.buffer.extend_from_slice(&[0; HEAD_BYTES]);
            entry.encode(&mut self.buffer);
            let (head, body) = self.buffer[start..].split_at_mut(HEAD_BYTES);
            let length = u16::try_from(body.len()).map_err(io::Error::other)?;
            head[..2].copy_from_slice(&length.to_be_bytes());
            head[2..].copy_from_slice(&checksum(body, self.generation).to_be_bytes());
        }
        self.file.write_all_at(&self.buffer, self.length)?;
        self.file.sync_data()?;
        self.length += u64::try_from(self.buffer.len()).map_err(io::Error::other)?;
        Ok(())
    }

    /// Bytes of entries.
    pub(super) fn length_bytes(&self) -> u64 {
        self.length
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Forget what was appended: the tables have it, and say so by this generation.
    pub(super) fn begin(&mut self, generation: u64) {
        (self.generation, self.length) = (generation, 0);
    }
}

fn checksum(body: &[u8], generation: u64) -> u64 {
    XxHash3_64::oneshot_with_seed(generation, body)
}

fn next_entry(bytes: &[u8], generation: u64) -> Option<(Write, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let (body, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    if checksum(body, generation) != u64::from_be_bytes(*sum) {
        return None;
    }
    Some((Write::decode(body)?, rest))
}
