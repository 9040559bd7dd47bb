//! Decodes the bytes of a reply: byte order marks, and compression that was not requested.
//!
//! No request accepts compression, yet some gateways compress anyway, and some omit the header. The decompressed size
//! is bounded.

use std::io::{self, Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use ticketing_core::pasted;
use ticketing_core::text::{shorten, single_line};

const GZIP: &[u8] = &[0x1F, 0x8B, 0x08];
/// Of a header value in a message, in characters.
const MAX_ENCODING: usize = 40;

/// Why a reply cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("is larger than {0} bytes after decompression")]
    TooLarge(usize),
    #[error("is compressed ({0}) and damaged or cut short")]
    Damaged(&'static str),
    #[error("is encoded as \"{0}\", which was not requested and cannot be decoded")]
    Unknown(String),
}

/// Decodes a body of at most `limit` bytes. Invalid UTF-8 becomes U+FFFD.
pub(crate) fn text(headers: &HeaderMap, body: Vec<u8>, limit: usize) -> Result<String, DecodeError> {
    Ok(readable(&decompressed(headers, body, limit)?))
}

/// Decodes the body of a refusal as far as possible: if compressed data is damaged, cut short or too large, its beginning.
pub(crate) fn lossy_text(headers: &HeaderMap, body: Vec<u8>, limit: usize) -> String {
    if !body.starts_with(GZIP) {
        return text(headers, body, limit).unwrap_or_default();
    }
    let mut bytes = Vec::new();
    // Keeps what was read before a failure.
    let _ = MultiGzDecoder::new(body.as_slice()).take(limit as u64).read_to_end(&mut bytes);
    readable(&bytes)
}

fn readable(body: &[u8]) -> String {
    pasted::decode(body).unwrap_or_else(|| pasted::without_mark(&String::from_utf8_lossy(body)).to_owned())
}

/// Decides by the bytes where possible: a proxy may have decompressed the body and kept the header.
fn decompressed(headers: &HeaderMap, body: Vec<u8>, limit: usize) -> Result<Vec<u8>, DecodeError> {
    if body.starts_with(GZIP) {
        return bounded(MultiGzDecoder::new(body.as_slice()), limit, "gzip");
    }
    let named = headers.get(CONTENT_ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let named = named.map(|value| value.trim().to_ascii_lowercase()).unwrap_or_default();
    match named.as_str() {
        "" | "identity" | "gzip" | "x-gzip" | "utf-8" | "none" => Ok(body),
        _ if body.is_empty() || is_plain(&body) => Ok(body),
        "deflate" => {
            bounded(ZlibDecoder::new(body.as_slice()), limit, "deflate").or_else(|error| match error {
                // "deflate" has two readings in practice.
                DecodeError::Damaged(_) => bounded(DeflateDecoder::new(body.as_slice()), limit, "deflate"),
                error => Err(error),
            })
        }
        other => Err(DecodeError::Unknown(shorten(&single_line(other), MAX_ENCODING))),
    }
}

fn bounded(decoder: impl Read, limit: usize, name: &'static str) -> Result<Vec<u8>, DecodeError> {
    let mut bytes = Vec::new();
    let read: io::Result<usize> = decoder.take(limit as u64 + 1).read_to_end(&mut bytes);
    match read {
        Ok(_) if bytes.len() > limit => Err(DecodeError::TooLarge(limit)),
        Ok(_) => Ok(bytes),
        Err(_) => Err(DecodeError::Damaged(name)),
    }
}

/// Whether it begins like JSON, HTML or XML.
fn is_plain(body: &[u8]) -> bool {
    let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start();
    matches!(text.first(), Some(b'{' | b'[' | b'<')) && std::str::from_utf8(text).is_ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const JSON: &str = r#"{"key":"SEC-1"}"#;

    fn read(encoding: &str, body: &[u8]) -> Result<String, DecodeError> {
        let mut headers = HeaderMap::new();
        if !encoding.is_empty() {
            headers.insert(CONTENT_ENCODING, encoding.parse().unwrap());
        }
        text(&headers, body.to_vec(), 1_000)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn decodes_gzip_regardless_of_header() {
        let two = [gzip(&JSON.as_bytes()[..4]), gzip(&JSON.as_bytes()[4..])].concat();
        for body in [gzip(JSON.as_bytes()), two] {
            for encoding in ["gzip", "x-gzip", "GZIP", "", "br"] {
                assert_eq!(read(encoding, &body).as_deref(), Ok(JSON), "{encoding}");
            }
        }
        assert_eq!(read("gzip", JSON.as_bytes()).as_deref(), Ok(JSON), "decompressed on the way");
        assert_eq!(read("br", JSON.as_bytes()).as_deref(), Ok(JSON));
    }

    #[test]
    fn reads_deflate_in_both_of_its_forms() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(JSON.as_bytes()).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(JSON.as_bytes()).unwrap();
        for body in [zlib.finish().unwrap(), raw.finish().unwrap()] {
            assert_eq!(read("deflate", &body).as_deref(), Ok(JSON));
        }
    }

    #[test]
    fn refuses_bomb_damage_and_unknown_encoding() {
        assert_eq!(read("gzip", &gzip(&[b' '; 1_001])), Err(DecodeError::TooLarge(1_000)));
        assert_eq!(read("gzip", &gzip(&[b' '; 1_000])).map(|text| text.len()), Ok(1_000));
        let whole = gzip(JSON.as_bytes());
        assert_eq!(read("gzip", &whole[..whole.len() - 9]), Err(DecodeError::Damaged("gzip")));
        assert_eq!(read("br", &[0x0B, 0x02, 0x80]), Err(DecodeError::Unknown("br".to_owned())));
    }

    #[test]
    fn reads_beginning_of_damaged_or_large_refusal() {
        let read = |body: &[u8]| lossy_text(&HeaderMap::new(), body.to_vec(), 1_000);
        let long = [b"no ".to_vec(), vec![b'x'; 5_000]].concat();
        assert_eq!(read(&gzip(&long)).len(), 1_000);
        let cut = gzip(&long);
        assert!(read(&cut[..cut.len() - 4]).starts_with("no x"));
        assert_eq!(read(b"plain"), "plain");
    }

    #[test]
    fn skips_byte_order_mark_also_in_compressed_reply() {
        let marked = format!("\u{FEFF}{JSON}");
        assert_eq!(read("", marked.as_bytes()).as_deref(), Ok(JSON));
        assert_eq!(read("", &gzip(marked.as_bytes())).as_deref(), Ok(JSON));
        assert_eq!(read("", b"\xEF\xBB\xBF\xC3!").as_deref(), Ok("\u{FFFD}!"));
    }
}
