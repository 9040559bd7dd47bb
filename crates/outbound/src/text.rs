//! Text helpers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub(crate) fn base64(text: &str) -> String {
    STANDARD.encode(text)
}
