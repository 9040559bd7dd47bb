//! Lengths, cuts and lines of text.

use unicode_segmentation::UnicodeSegmentation;

use crate::clean::clean;

/// No writing system uses more characters per grapheme (UAX #15 allows 30 combining marks after a letter).
/// Longer ones are cut like text, so that stacked marks cannot displace everything after them.
const MAX_GRAPHEME: usize = 32;

/// The maximum length of a text, in the unit of the system that sets the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    max: usize,
    unit: Unit,
}

/// The counted unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// A code point.
    Character,
    /// A UTF-16 code unit, as Java's `String.length` counts: an emoji is two.
    Utf16,
}

// === impl Limit ===

impl Limit {
    pub const NONE: Self = Self::characters(usize::MAX);

    #[must_use]
    pub const fn characters(max: usize) -> Self {
        Self { max, unit: Unit::Character }
    }

    #[must_use]
    pub const fn utf16(max: usize) -> Self {
        Self { max, unit: Unit::Utf16 }
    }

    #[must_use]
    pub const fn max(self) -> usize {
        self.max
    }

    /// The length of a text in the unit of this limit.
    #[must_use]
    pub fn measure(self, text: &str) -> usize {
        match self.unit {
            Unit::Character => text.chars().count(),
            Unit::Utf16 => text.encode_utf16().count(),
        }
    }

    #[must_use]
    pub fn allows(self, text: &str) -> bool {
        self.measure(text) <= self.max
    }

    /// The remaining limit beside `text`.
    #[must_use]
    pub fn beside(self, text: &str) -> Self {
        Self { max: self.max.saturating_sub(self.measure(text)), unit: self.unit }
    }

    /// `text` if it fits, else its beginning and an ellipsis, within the limit.
    #[must_use]
    pub fn shorten(self, text: &str) -> String {
        if self.allows(text) {
            return text.to_owned();
        }
        let room = self.beside("…");
        format!("{}…", longest_prefix(text, |start| room.allows(start)).trim_end())
    }
}

/// The longest beginning of `text`, in whole graphemes, that fits. `fits` must be monotonic: false for all
/// longer texts once false.
pub fn longest_prefix(text: &str, fits: impl Fn(&str) -> bool) -> &str {
    if fits(text) {
        return text;
    }
    let ends = ends(text);
    let fitting = ends.partition_point(|&end| fits(&text[..end]));
    if fitting == 0 { "" } else { &text[..ends[fitting - 1]] }
}

/// `text` if it has at most `limit` characters, else its beginning and an ellipsis, `limit` characters in
/// total.
#[must_use]
pub fn shorten(text: &str, limit: usize) -> String {
    Limit::characters(limit).shorten(text)
}

/// One line, [cleaned](clean): every run of white space becomes one space.
#[must_use]
pub fn single_line(text: &str) -> String {
    clean(text).text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where a text may be cut.
fn ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    for (start, grapheme) in text.grapheme_indices(true) {
        let inner = grapheme.char_indices().skip(MAX_GRAPHEME).step_by(MAX_GRAPHEME);
        ends.extend(inner.map(|(at, _)| start + at));
        ends.push(start + grapheme.len());
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_graphemes() {
        let family = "👨‍👩‍👧‍👦👨‍👩‍👧‍👦";
        let first = |text, limit: Limit| longest_prefix(text, |start| limit.allows(start)).to_owned();
        assert_eq!(first(family, Limit::characters(9)), "👨‍👩‍👧‍👦");
        assert_eq!(first(family, Limit::utf16(11)), "👨‍👩‍👧‍👦");
        assert_eq!(first(family, Limit::utf16(10)), "");
        assert_eq!(first("e\u{301}e\u{301}", Limit::characters(3)), "e\u{301}");
        assert_eq!(first("🇩🇪🇫🇷", Limit::utf16(7)), "🇩🇪");
    }

    #[test]
    fn cuts_within_a_grapheme_of_many_marks() {
        let stacked = format!("a{}", "\u{301}".repeat(300));
        assert_eq!(Limit::characters(101).shorten(&stacked).chars().count(), 97);
    }

    #[test]
    fn shortened_text_keeps_to_its_limit() {
        assert_eq!(shorten("short", 5), "short");
        assert_eq!(shorten("too long", 5), "too…");
        assert_eq!(Limit::utf16(5).shorten("😀😀😀"), "😀😀…");
    }

    #[test]
    fn utf16_counts_an_emoji_twice() {
        assert_eq!(Limit::utf16(9).measure("é😀漢"), 4);
        assert_eq!(Limit::characters(9).measure("é😀漢"), 3);
        assert!(!Limit::utf16(3).allows("é😀漢"));
    }

    #[test]
    fn single_line_has_no_line_breaks_or_invisible_characters() {
        assert_eq!(single_line(" a\r\n\tb\u{0} c\u{2028}d\u{200b} "), "a b c d");
    }
}
