//! Cutting text where a reader would: between graphemes.

use unicode_segmentation::UnicodeSegmentation;

/// The longest start of `text`, in whole graphemes, whose `measure` is at most `limit`. `measure` must not shrink as
/// text is added.
pub fn longest_prefix(text: &str, limit: usize, measure: impl Fn(&str) -> usize) -> &str {
    if measure(text) <= limit {
        return text;
    }
    let ends: Vec<usize> = text.grapheme_indices(true).map(|(start, g)| start + g.len()).collect();
    let fitting = ends.partition_point(|&end| measure(&text[..end]) <= limit);
    if fitting == 0 { "" } else { &text[..ends[fitting - 1]] }
}

/// `text` if it has at most `limit` characters, else its start and an ellipsis, `limit` characters in all.
#[must_use]
pub fn shorten(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept = longest_prefix(text, limit.saturating_sub(1), |start| start.chars().count());
    format!("{}…", kept.trim_end())
}

/// One line: every run of white space and control characters becomes one space.
#[must_use]
pub fn single_line(text: &str) -> String {
    let parts = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grapheme_is_never_cut_in_two() {
        let family = "👨‍👩‍👧‍👦👨‍👩‍👧‍👦";
        assert_eq!(longest_prefix(family, 9, |text| text.chars().count()), "👨‍👩‍👧‍👦");
        assert_eq!(longest_prefix("e\u{301}e\u{301}", 3, |text| text.chars().count()), "e\u{301}");
        assert_eq!(longest_prefix(family, 3, |text| text.chars().count()), "");
    }

    #[test]
    fn shortened_text_keeps_to_its_limit_and_says_that_it_was_cut() {
        assert_eq!(shorten("short", 5), "short");
        assert_eq!(shorten("too long", 5), "too…");
    }

    #[test]
    fn a_single_line_has_no_line_breaks_or_control_characters() {
        assert_eq!(single_line(" a\r\n\tb\u{0}c\u{2028}d "), "a b c d");
    }
}
