use base64::engine::general_purpose::STANDARD;

use super::*;

/// The start of a certificate: a sequence within a sequence.
const DER: &[u8] = &[0x30, 0x82, 0, 6, 0x30, 0x82, 0, 2, 5, 0];

fn armored(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

#[test]
fn reads_pem_however_it_was_pasted() {
    let pem = armored("CERTIFICATE", DER);
    let forms = [
        pem.clone(),
        format!("\u{FEFF}{pem}"),
        pem.replace('\n', "\r\n"),
        pem.replace('\n', " "),
        pem.replace('\n', "\\n"),
        pem.trim_end().to_owned(),
        format!("subject=CN = Corp Root\nissuer: x\n\n{pem}\nMozilla: yes"),
        pem.lines().map(|line| format!("  > {line}\n")).collect(),
        pem.replace("Bj", "B\u{200B}j\u{A0}"),
        STANDARD.encode(DER),
        armored("TRUSTED CERTIFICATE", &[DER, &[0x30, 0]].concat()),
    ];
    for form in forms {
        assert_eq!(certificates(&form), Ok(vec![DER.to_vec()]), "{form:?}");
    }
    assert_eq!(certificates(&format!("{pem}between{pem}")).map(|found| found.len()), Ok(2));
}

#[test]
fn reads_file_in_utf_16_as_some_shells_write_it() {
    let pem = armored("CERTIFICATE", DER);
    let utf16: Vec<u8> = pem.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(certificates_of_file(&[&[0xFF, 0xFE], &utf16[..]].concat()), Ok(vec![DER.to_vec()]));
}

#[test]
fn names_what_was_pasted_instead() {
    let key = armored("PRIVATE KEY", &[0x30, 3, 2, 1, 0]);
    let both = format!("{}{key}", armored("CERTIFICATE", DER));
    let encrypted =
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----";
    for text in [&key, &both, encrypted] {
        assert_eq!(certificates(text), Err(InvalidCertificates::PrivateKey), "{text}");
    }
    let table = [
        (armored("CERTIFICATE REQUEST", DER), "certificate request"),
        (armored("PUBLIC KEY", DER), "public key"),
        (armored("PKCS7", DER), "PKCS #7"),
        (armored("CERTIFICATE", DER).replace("-----END", ""), "cut short"),
        (armored("CERTIFICATE", b"\0\0"), "damaged"),
        ("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----".to_owned(), "damaged"),
        (STANDARD.encode([0x30, 0x82, 9, 9, 2, 1, 3, 0x30]), "PKCS #12"),
        ("https://pki.corp.example/root.pem".to_owned(), "-----BEGIN CERTIFICATE-----"),
        (String::new(), "no certificate"),
    ];
    for (text, expected) in table {
        let wrong = certificates(&text).unwrap_err().to_string();
        assert!(wrong.contains(expected), "{text:?}: {wrong}");
    }
}

#[test]
fn names_binary_file() {
    let table: [(&[u8], &str); 4] = [
        (DER, "DER"),
        (&[0x30, 0x82, 9, 9, 2, 1, 3, 0x30], "PKCS #12"),
        (&[0xFE, 0xED, 0xFE, 0xED, 0], "Java key store"),
        (&[0x30, 3, 2, 1, 0], "private key in DER"),
    ];
    for (bytes, expected) in table {
        let wrong = certificates_of_file(bytes).unwrap_err().to_string();
        assert!(wrong.contains(expected), "{bytes:?}: {wrong}");
    }
}
