//! Replaces invalid `:authority` values of requests over Unix sockets.
//!
//! A Unix socket has no host name, so clients send various values: gRPC's C core (Python, Ruby, PHP, C++) sends the
//! path with percent-encoded slashes, for which h2 resets the stream. The server does not use the authority, so
//! invalid characters are replaced in place, in the HPACK block, before h2 reads it. A replacement has the same
//! encoded and decoded length, so that the HPACK tables of both sides stay in sync.

/// "PRI * HTTP/2.0" and so on.
const PREFACE: usize = 24;
const HEAD: usize = 9;

const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
const PRIORITY_LENGTH: usize = 5;

/// In the static table of HPACK.
const AUTHORITY_INDEX: usize = 1;
const AUTHORITY: &[u8] = b":authority";
const AUTHORITY_HUFFMAN: &[u8] = &[0xB8, 0x3B, 0x53, 0x39, 0xEC, 0x32, 0x7D, 0x7F];

/// Number of codes of each bit length in HPACK's Huffman code. The code is canonical, so this determines every code's length.
const CODES: [(u32, u32); 21] = [
    (5, 10),
    (6, 26),
    (7, 32),
    (8, 6),
    (10, 5),
    (11, 3),
    (12, 2),
    (13, 6),
    (14, 2),
    (15, 3),
    (19, 3),
    (20, 8),
    (21, 13),
    (22, 26),
    (23, 29),
    (24, 12),
    (25, 4),
    (26, 15),
    (27, 19),
    (28, 29),
    (30, 4),
];

/// Parses what a client sends, and replaces in place.
#[derive(Debug)]
pub(super) struct AuthorityRewriter {
    frame: FramePart,
    head: [u8; HEAD],
    block: BlockPart,
}

/// The part of a frame that comes next.
#[derive(Debug, Clone, Copy)]
enum FramePart {
    Preface { left: usize },
    Head { have: usize },
    PadLength { left: usize, skip: usize },
    Skipped { left: usize, then: usize, padding: usize },
    Block { left: usize, padding: usize },
}

/// The part of a header block that comes next.
#[derive(Debug, Clone, Copy)]
enum BlockPart {
    Field,
    NameLength,
    ValueLength {
        is_authority: bool,
    },
    /// More of a number, which goes on while bytes have their highest bit; `value` is what there is of it.
    Number {
        value: usize,
        shift: u32,
        of: NumberOf,
    },
    /// `matched`: how much of it is as in the name of the authority.
    Name {
        left: usize,
        matched: Option<usize>,
        is_huffman: bool,
    },
    Value {
        left: usize,
        text: Text,
    },
}

#[derive(Debug, Clone, Copy)]
enum NumberOf {
    /// A whole field of a table, or the size of the table.
    Nothing,
    /// The index of a name, whose value follows.
    Index,
    NameLength {
        is_huffman: bool,
    },
    ValueLength {
        is_authority: bool,
        is_huffman: bool,
    },
}

#[derive(Debug, Clone, Copy)]
enum Text {
    Other,
    Authority,
    /// The bits of the code that is incomplete.
    HuffmanAuthority {
        code: u32,
        length: u32,
    },
}

// === impl AuthorityRewriter ===

impl AuthorityRewriter {
    pub(super) fn new() -> Self {
        Self { frame: FramePart::Preface { left: PREFACE }, head: [0; HEAD], block: BlockPart::Field }
    }

    /// Processes bytes.
    pub(super) fn rewrite(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let consumed = self.take(bytes);
            bytes = &mut bytes[consumed..];
        }
    }

    /// Processes at least one byte, and returns how many.
    fn take(&mut self, bytes: &mut [u8]) -> usize {
        match self.frame {
            FramePart::Preface { left } => {
                let consumed = left.min(bytes.len());
                self.frame = match left - consumed {
                    0 => FramePart::Head { have: 0 },
                    left => FramePart::Preface { left },
                };
                consumed
            }
            FramePart::Head { have } => {
                let consumed = (HEAD - have).min(bytes.len());
                self.head[have..have + consumed].copy_from_slice(&bytes[..consumed]);
                self.frame = match have + consumed {
                    HEAD => self.payload(),
                    have => FramePart::Head { have },
                };
                consumed
            }
            FramePart::PadLength { left, skip } => {
                let padding = usize::from(bytes[0]).min(left.saturating_sub(1 + skip));
                self.frame = skipping(skip, left.saturating_sub(1 + skip + padding), padding);
                1
            }
            FramePart::Skipped { left, then, padding } => {
                let consumed = left.min(bytes.len());
                self.frame = skipping(left - consumed, then, padding);
                consumed
            }
            FramePart::Block { left, padding } => {
                let consumed = left.min(bytes.len());
                bytes[..consumed].iter_mut().for_each(|byte| self.block = self.block.follow(byte));
                self.frame = skipping(0, left - consumed, padding);
                consumed
            }
        }
    }

    fn payload(&self) -> FramePart {
        let [a, b, c, kind, flags, ..] = self.head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let skip = if kind == HEADERS && flags & PRIORITY != 0 { PRIORITY_LENGTH.min(length) } else { 0 };
        match kind {
            HEADERS if flags & PADDED != 0 && length > 0 => FramePart::PadLength { left: length, skip },
            HEADERS | CONTINUATION => skipping(skip, length - skip, 0),
            _ => skipping(length, 0, 0),
        }
    }
}

/// The next part, given the bytes to skip, then of the block, then of padding.
fn skipping(left: usize, then: usize, padding: usize) -> FramePart {
    match (left, then, padding) {
        (0, 0, 0) => FramePart::Head { have: 0 },
        (0, 0, padding) => FramePart::Skipped { left: padding, then: 0, padding: 0 },
        (0, left, padding) => FramePart::Block { left, padding },
        (left, then, padding) => FramePart::Skipped { left, then, padding },
    }
}

// === impl BlockPart ===

impl BlockPart {
    /// The next part after this byte, which is replaced if it is invalid in an authority.
    fn follow(self, byte: &mut u8) -> Self {
        match self {
            Self::Field => Self::from_field(*byte),
            Self::NameLength => {
                let is_huffman = *byte & 0x80 != 0;
                Self::prefix(*byte, 7, NumberOf::NameLength { is_huffman })
            }
            Self::ValueLength { is_authority } => {
                let is_huffman = *byte & 0x80 != 0;
                Self::prefix(*byte, 7, NumberOf::ValueLength { is_authority, is_huffman })
            }
            Self::Number { value, shift, of } => {
                let more = usize::from(*byte & 0x7F).checked_shl(shift).unwrap_or(0);
                let value = value.saturating_add(more);
                if *byte & 0x80 == 0 { of.is(value) } else { Self::Number { value, shift: shift + 7, of } }
            }
            Self::Name { left, matched, is_huffman } => {
                let name = if is_huffman { AUTHORITY_HUFFMAN } else { AUTHORITY };
                let matched = matched.filter(|at| name.get(*at) == Some(byte)).map(|at| at + 1);
                match left - 1 {
                    0 => Self::ValueLength { is_authority: matched == Some(name.len()) },
                    left => Self::Name { left, matched, is_huffman },
                }
            }
            Self::Value { left, text } => match (left - 1, text.follow(byte)) {
                (0, _) => Self::Field,
                (left, text) => Self::Value { left, text },
            },
        }
    }

    fn from_field(byte: u8) -> Self {
        match byte {
            0x80.. => Self::prefix(byte, 7, NumberOf::Nothing),
            0x40 | 0x00 | 0x10 => Self::NameLength,
            0x41.. => Self::prefix(byte, 6, NumberOf::Index),
            0x20.. => Self::prefix(byte, 5, NumberOf::Nothing),
            _ => Self::prefix(byte, 4, NumberOf::Index),
        }
    }

    /// A number that begins with the lowest `bits` of a byte.
    fn prefix(byte: u8, bits: u32, of: NumberOf) -> Self {
        let mask = (1_u8 << bits) - 1;
        let value = usize::from(byte & mask);
        if byte & mask == mask { Self::Number { value, shift: 0, of } } else { of.is(value) }
    }
}

// === impl NumberOf ===

impl NumberOf {
    /// What follows the number.
    fn is(self, value: usize) -> BlockPart {
        match self {
            Self::Nothing => BlockPart::Field,
            Self::Index => BlockPart::ValueLength { is_authority: value == AUTHORITY_INDEX },
            Self::NameLength { .. } if value == 0 => BlockPart::ValueLength { is_authority: false },
            Self::NameLength { is_huffman } => BlockPart::Name { left: value, matched: Some(0), is_huffman },
            Self::ValueLength { .. } if value == 0 => BlockPart::Field,
            Self::ValueLength { is_authority, is_huffman } => {
                let text = match (is_authority, is_huffman) {
                    (false, _) => Text::Other,
                    (true, false) => Text::Authority,
                    (true, true) => Text::HuffmanAuthority { code: 0, length: 0 },
                };
                BlockPart::Value { left: value, text }
            }
        }
    }
}

// === impl Text ===

impl Text {
    fn follow(self, byte: &mut u8) -> Self {
        match self {
            Self::Other => Self::Other,
            Self::Authority => {
                if !byte.is_ascii_alphanumeric() && !b"-._".contains(byte) {
                    *byte = b'-';
                }
                Self::Authority
            }
            Self::HuffmanAuthority { mut code, mut length } => {
                for bit in (0..8).rev().map(|place| 1_u8 << place) {
                    code = code << 1 | u32::from(*byte & bit != 0);
                    length += 1;
                    // With 01010 begin the space and the percent sign, with 01011 the hyphen and the dot; 011000 is a
                    // slash and 011001 a three; 1011100 is a colon and 1011101 a B.
                    if matches!((length, code), (5, 0b0_1010) | (6, 0b01_1000) | (7, 0b101_1100)) {
                        *byte |= bit;
                        code |= 1;
                    }
                    if is_whole_code(code, length) {
                        code = 0;
                        length = 0;
                    }
                }
                Self::HuffmanAuthority { code, length }
            }
        }
    }
}

fn is_whole_code(code: u32, length: u32) -> bool {
    let mut first = 0;
    let mut before = 0;
    for (bits, count) in CODES {
        first <<= bits - before;
        if bits >= length {
            return bits == length && (first..first + count).contains(&code);
        }
        first += count;
        before = bits;
    }
    // No code is longer.
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn text(text: &str) -> Vec<u8> {
        [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    }

    /// POST and http from the table, then the authority, then a path that must stay as it is.
    fn block(authority: &[u8]) -> Vec<u8> {
        [&[0x83, 0x86], authority, &[0x04], &text("/a.S/M%2F"), &[0x40], &text("x-a"), &text("%2F")].concat()
    }

    fn rewritten(bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut rewriter = AuthorityRewriter::new();
        let mut bytes = bytes.to_vec();
        bytes.chunks_mut(piece).for_each(|piece| rewriter.rewrite(piece));
        bytes
    }

    fn becomes(sent: &[u8], received: &[u8]) {
        let conversation = |block: &[u8]| {
            let (first, second) = block.split_at(5);
            [
                vec![b'P'; PREFACE],
                frame(0x4, 0, &[0; 12]),
                frame(0x1, 0x2C, &[&[2, 0, 0, 0, 0, 1], block, &[0x41, 0x25]].concat()),
                frame(0x0, 0, b"\x41\x01%"),
                frame(0x1, 0, first),
                frame(0x9, 0x4, second),
            ]
            .concat()
        };
        for piece in [1, 2, 3, 7, 1_000] {
            let got = rewritten(&conversation(&block(sent)), piece);
            assert_eq!(got, conversation(&block(received)), "{piece}");
        }
    }

    #[test]
    fn replaces_invalid_authority_characters_only() {
        for (sent, received) in
            [("tmp%2Frec.sock", "tmp-2Frec.sock"), ("/run/t:1", "-run-t-1"), ("localhost", "localhost")]
        {
            becomes(&[&[0x41], &text(sent)[..]].concat(), &[&[0x41], &text(received)[..]].concat());
            let named = |value: &str| [&[0x40], &text(":authority")[..], &text(value)].concat();
            becomes(&named(sent), &named(received));
            let huffman_name = |value: &str| [&[0x00, 0x88], AUTHORITY_HUFFMAN, &text(value)[..]].concat();
            becomes(&huffman_name(sent), &huffman_name(received));
        }
        becomes(&[0x41, 0x00], &[0x41, 0x00]);
    }

    #[test]
    fn replaces_in_long_authority() {
        let long = |piece: &str| {
            let value = piece.repeat(20);
            [&[0x41, 0x7F, u8::try_from(value.len() - 0x7F).unwrap()], value.as_bytes()].concat()
        };
        becomes(&long("folder%2F"), &long("folder-2F"));
    }

    #[test]
    fn replaces_huffman_codes_in_place() {
        // "tmp%2Frec.sock a/b:c" becomes "tmp.2Frec.sock-a3bBc".
        let sent: &[u8] =
            &[0x4D, 0x35, 0xAA, 0x2C, 0x36, 0x14, 0x8B, 0xA0, 0xE4, 0xEA, 0xA0, 0xD8, 0x8E, 0xE1, 0x3F];
        let received: &[u8] =
            &[0x4D, 0x35, 0xAE, 0x2C, 0x36, 0x14, 0x8B, 0xA0, 0xE4, 0xEA, 0xB0, 0xD9, 0x8E, 0xE9, 0x3F];
        let value = |bytes: &[u8]| [&[0x41, 0x80 | u8::try_from(bytes.len()).unwrap()], bytes].concat();
        becomes(&value(sent), &value(received));
    }
}
