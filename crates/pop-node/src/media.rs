//! What a file's first bytes and name say about it: media type and playing time.
//!
//! Only hints: a wrong one costs nothing but a worse pace or segment length.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Boxes that are looked at before giving up on an MP4 file.
const BOXES_MAX: usize = 64;

/// RFC 6838 type by the file name's extension; octet-stream if it is not one of media.
#[must_use]
pub fn media_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|it| it.to_str()).unwrap_or("").to_ascii_lowercase();
    match extension.as_str() {
        "mp4" | "m4v" => "video/mp4",
        "webm" => "video/webm",
        "mkv" => "video/x-matroska",
        "mov" => "video/quicktime",
        "mp3" => "audio/mpeg",
        "m4a" => "audio/mp4",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "flac" => "audio/flac",
        "wav" => "audio/wav",
        _ => "application/octet-stream",
    }
}

/// Playing time in milliseconds of an MP4 file (ISO/IEC 14496-12 §8.2.2, `moov/mvhd`); `None` for
/// every other file and for a broken one.
///
/// # Errors
/// The file can't be read at all.
pub fn duration_ms(path: &Path) -> io::Result<Option<u64>> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let Some((start, moov_end)) = find_box(&mut file, 0, end, *b"moov")? else { return Ok(None) };
    let Some((start, mvhd_end)) = find_box(&mut file, start, moov_end, *b"mvhd")? else {
        return Ok(None);
    };
    let mut header = [0; 32];
    if mvhd_end.saturating_sub(start) < 32 {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut header)?;
    Ok(duration_of(&header))
}

/// Time scale and duration stand behind two dates of 4 bytes each, or of 8 in version 1.
fn duration_of(header: &[u8; 32]) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| {
        header[range].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let (scale, duration) = match header[0] {
        0 => (number(12..16), number(16..20)),
        1 => (number(20..24), number(24..32)),
        _ => return None,
    };
    duration.checked_mul(1000)?.checked_div(scale).filter(|milliseconds| *milliseconds > 0)
}

/// Where the content of the first box of `kind` lies between `start` and `end`.
fn find_box(
    file: &mut File,
    mut start: u64,
    end: u64,
    kind: [u8; 4],
) -> io::Result<Option<(u64, u64)>> {
    for _ in 0..BOXES_MAX {
        if end.saturating_sub(start) < 8 {
            break;
        }
        let mut header = [0; 16];
        let available = if end - start < 16 { 8 } else { 16 };
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut header[..available])?;
        let small = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
        let mut large = [0; 8];
        large.copy_from_slice(&header[8..]);
        let (size, header_bytes) = match small {
            0 => (end - start, 8),
            1 => (u64::from_be_bytes(large), 16),
            size => (u64::from(size), 8),
        };
        let Some(box_end) = start.checked_add(size).filter(|it| *it <= end) else { break };
        if size < header_bytes {
            break;
        }
        if header[4..8] == kind {
            return Ok(Some((start + header_bytes, box_end)));
        }
        start = box_end;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_clip_tells_its_duration() {
        let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/big-buck-bunny.mp4");
        let duration = duration_ms(&clip).unwrap().expect("an MP4 file has a duration");
        assert!((40_000..300_000).contains(&duration), "{duration}");
        assert_eq!(media_type(&clip), "video/mp4");
    }

    #[test]
    fn files_that_are_no_mp4_have_no_duration() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("noise");
        let cases: [&[u8]; 4] =
            [b"", b"short", &[0xff; 100], b"\0\0\0\x10moov\0\0\0\x08mvhd\0\0\0\0"];
        for bytes in cases {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(duration_ms(&path).unwrap(), None);
        }
    }
}
