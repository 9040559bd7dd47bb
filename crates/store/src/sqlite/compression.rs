//! The content of incidents is stored compressed: each as one Zstandard frame without a dictionary, which any tool reads.
//! Content that a version before this one stored, or that gains nothing, is text.

use std::sync::{LazyLock, Mutex, PoisonError};

use sqlx::{Decode, Sqlite, TypeInfo, ValueRef};
use zstd::bulk::Compressor;
use zstd::zstd_safe::{CompressionLevel, get_frame_content_size};

use super::rows::Reader;
use crate::StoreError;

/// Almost as small as the default, at half its time.
const LEVEL: CompressionLevel = 1;
/// No content is as large.
const MAX_CONTENT: u64 = 64 * 1024 * 1024;

/// One for all, because it has large tables. Mostly the writer uses it.
static COMPRESSOR: LazyLock<Mutex<Option<Compressor<'static>>>> =
    LazyLock::new(|| Mutex::new(Compressor::new(LEVEL).ok()));

/// The text compressed, if that is shorter.
pub(super) fn compress(text: &str) -> Option<Vec<u8>> {
    let mut compressor = COMPRESSOR.lock().unwrap_or_else(PoisonError::into_inner);
    let frame = compressor.as_mut()?.compress(text.as_bytes()).ok()?;
    (frame.len() < text.len()).then_some(frame)
}

/// The text of a column, whether it is compressed or not.
pub(super) fn text(row: &Reader<'_>, column: &'static str) -> Result<String, StoreError> {
    text_if(row, column)?.ok_or_else(|| row.bad(column, &"there is none"))
}

/// The same, or `None`.
pub(super) fn text_if(row: &Reader<'_>, column: &'static str) -> Result<Option<String>, StoreError> {
    let value = row.raw(column)?;
    if value.type_info().name() != "BLOB" {
        return row.get(column);
    }
    let frame = <&[u8] as Decode<'_, Sqlite>>::decode(value).map_err(|error| row.bad(column, &error))?;
    let size = get_frame_content_size(frame).ok().flatten().filter(|size| *size <= MAX_CONTENT);
    let size = size.and_then(|size| usize::try_from(size).ok());
    let size = size.ok_or_else(|| row.bad(column, &"it is not one Zstandard frame of known size"))?;
    let text = zstd::bulk::decompress(frame, size).map_err(|error| row.bad(column, &error))?;
    String::from_utf8(text).map(Some).map_err(|error| row.bad(column, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compresses_what_becomes_shorter() {
        let text = "{\"name\":\"value\"},".repeat(50);
        let frame = compress(&text).unwrap();
        assert!(frame.len() < text.len() / 4);
        assert_eq!(zstd::stream::decode_all(frame.as_slice()).unwrap(), text.as_bytes());
        assert_eq!(compress("{}"), None);
    }
}
