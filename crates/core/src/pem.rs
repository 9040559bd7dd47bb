//! Parses pasted certificates, or names what was pasted instead.
//!
//! Accepts PEM with text around it, with Windows line ends, on one line, with `\n` escapes, and after a byte order
//! mark. Other formats are named, so that the user knows what to convert.

use crate::clean::is_invisible;
use crate::pasted;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
/// Accepts missing padding: a copied text may have lost its end.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A PEM block.
struct Block {
    /// The label, for example `CERTIFICATE`.
    label: String,
    /// The decoded content.
    der: Vec<u8>,
}

/// Why a text contains no certificates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCertificates {
    #[error("holds a private key: give certificates alone, and keep the key")]
    PrivateKey,
    #[error("holds {0} and no certificate")]
    Other(&'static str),
    #[error("is {0}, not PEM: convert it with {1}")]
    Binary(&'static str, &'static str),
    #[error("has a certificate without its END line: it was cut short")]
    Unfinished,
    #[error("has a certificate whose base64 is damaged: copy the file anew")]
    Damaged,
    #[error(
        "holds no certificate: PEM has lines \"-----BEGIN CERTIFICATE-----\" and \"-----END CERTIFICATE-----\""
    )]
    None,
}

/// The certificates in a text, in DER.
///
/// # Errors
/// What the text contains instead.
pub fn certificates(text: &str) -> Result<Vec<Vec<u8>>, InvalidCertificates> {
    let text = text.replace("\\r", "").replace("\\n", "\n");
    let blocks = blocks(&text)?;
    let certificates: Vec<_> = blocks
        .iter()
        .filter(|block| {
            matches!(block.label.as_str(), "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE")
        })
        .map(|block| first_value(&block.der).map(<[u8]>::to_vec).ok_or(InvalidCertificates::Damaged))
        .collect::<Result<_, _>>()?;
    match (certificates.is_empty(), blocks.first()) {
        (false, _) => Ok(certificates),
        (true, Some(block)) => Err(InvalidCertificates::Other(described(&block.label))),
        (true, None) => unarmored(&text).map(|der| vec![der]),
    }
}

/// Parses the bytes of a file, which may be in another format.
///
/// # Errors
/// What the file contains instead.
pub fn certificates_of_file(bytes: &[u8]) -> Result<Vec<Vec<u8>>, InvalidCertificates> {
    if let Some(error) = binary(bytes) {
        return Err(error);
    }
    certificates(&pasted::decode(bytes).ok_or(InvalidCertificates::None)?)
}

/// The PEM blocks of a text; text between them is ignored.
fn blocks(text: &str) -> Result<Vec<Block>, InvalidCertificates> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(BEGIN) {
        rest = &rest[start + BEGIN.len()..];
        let (label, after) = rest.split_once(DASHES).ok_or(InvalidCertificates::Unfinished)?;
        let (body, after) = after.split_once(END).ok_or(InvalidCertificates::Unfinished)?;
        if label.contains("PRIVATE KEY") {
            return Err(InvalidCertificates::PrivateKey);
        }
        let base64: String =
            body.chars().filter(|c| !c.is_whitespace() && !is_invisible(*c) && *c != '>').collect();
        let der = LENIENT.decode(base64).map_err(|_| InvalidCertificates::Damaged)?;
        blocks.push(Block { label: label.trim().to_owned(), der });
        rest = after.split_once(DASHES).map_or("", |(_, after)| after);
    }
    Ok(blocks)
}

/// Base64 of a certificate without BEGIN and END lines.
fn unarmored(text: &str) -> Result<Vec<u8>, InvalidCertificates> {
    let base64: String = text.chars().filter(|c| !c.is_whitespace() && !is_invisible(*c)).collect();
    let der = LENIENT.decode(base64).map_err(|_| InvalidCertificates::None)?;
    match binary(&der) {
        Some(InvalidCertificates::Binary("a certificate in DER", _)) => Ok(der),
        Some(error) => Err(error),
        None => Err(InvalidCertificates::None),
    }
}

/// The format of a binary file.
fn binary(bytes: &[u8]) -> Option<InvalidCertificates> {
    const KEYSTORE: &[u8] = &[0xFE, 0xED, 0xFE, 0xED];
    const PKCS12_VERSION: &[u8] = &[2, 1, 3];
    const PKCS7_OID: &[u8] = &[6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 7];
    if bytes.starts_with(KEYSTORE) {
        let convert = "keytool -exportcert -rfc";
        return Some(InvalidCertificates::Binary("a Java key store", convert));
    }
    let [0x30, length, rest @ ..] = bytes else { return None };
    let content = rest.get(usize::from(length & 0x7F) * usize::from(length >> 7)..)?;
    Some(if content.starts_with(PKCS12_VERSION) {
        InvalidCertificates::Binary("a PKCS #12 file (.p12, .pfx)", "openssl pkcs12 -nokeys")
    } else if content.starts_with(PKCS7_OID) {
        InvalidCertificates::Binary("a PKCS #7 file (.p7b)", "openssl pkcs7 -inform DER -print_certs")
    } else if content.first() == Some(&2) {
        InvalidCertificates::Binary("a private key in DER", "openssl pkey -inform DER")
    } else {
        InvalidCertificates::Binary("a certificate in DER", "openssl x509 -inform DER")
    })
}

/// The first DER value: OpenSSL's trusted certificates have more after it.
fn first_value(der: &[u8]) -> Option<&[u8]> {
    let [0x30, length, rest @ ..] = der else { return None };
    let (content, bytes) = match length {
        0..=0x7F => (usize::from(*length), 0),
        0x81..=0x84 => {
            let bytes = usize::from(length & 0x7F);
            let digits = rest.get(..bytes)?.iter();
            (digits.fold(0, |value, byte| value << 8 | usize::from(*byte)), bytes)
        }
        _ => return None,
    };
    der.get(..2 + bytes + content)
}

fn described(label: &str) -> &'static str {
    match label {
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => "a certificate request (CSR)",
        "PUBLIC KEY" | "RSA PUBLIC KEY" => "a public key",
        "PKCS7" => "a PKCS #7 bundle (convert it with openssl pkcs7 -print_certs)",
        "X509 CRL" => "a revocation list",
        "DH PARAMETERS" | "EC PARAMETERS" => "key parameters",
        _ => "another kind of PEM",
    }
}

#[cfg(test)]
#[path = "pem_tests.rs"]
mod tests;
