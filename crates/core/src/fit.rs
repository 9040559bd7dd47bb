//! Fits a document into a length limit of its rendered form.
//!
//! Drops whole sections before cutting one: the lowest-ranked sections first, and the first dropped one is
//! kept in part if it is prose. The document itself lists the omissions, within the same limit.

use crate::document::{Block, Document, Inline, Section, Topic};
use crate::text::{Limit, longest_prefix};

/// Minimum length of a partial section.
const MIN_KEPT_GRAPHEMES: usize = 200;

/// A document within its limit, and the omissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    pub document: Document,
    pub omissions: Vec<Omission>,
    /// The document rendered.
    pub text: String,
}

/// A section that was dropped or cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Omission {
    pub topic: Topic,
    /// Number of characters kept, and in total; `None` if all of it was dropped.
    pub cut: Option<(usize, usize)>,
}

/// As much of `document` as `limit` allows once rendered. `elsewhere` tells the reader where the rest is, for
/// example "see the incident in RhythmX". With `whole_only`, sections are never cut.
pub fn fit(
    document: &Document,
    limit: Limit,
    elsewhere: &str,
    whole_only: bool,
    render: impl Fn(&Document) -> String,
) -> Fitted {
    let text = render(document);
    if limit.allows(&text) {
        return Fitted { document: document.clone(), omissions: vec![], text };
    }
    let fits = |document: &Document| limit.allows(&render(document));
    let mut kept = document.clone();
    let mut omissions = Vec::new();
    while !fits(&with_notice(&kept, &omissions, elsewhere)) {
        let Some(index) = least_worth(&kept) else { break };
        let section = kept.sections.remove(index);
        let cut =
            if whole_only { None } else { cut_to_fit(&kept, index, &section, &omissions, elsewhere, fits) };
        match cut {
            Some((part, omission)) => {
                kept.sections.insert(index, part);
                omissions.push(omission);
                break;
            }
            None => omissions.push(Omission { topic: section.topic, cut: None }),
        }
    }
    omissions.sort_by_key(|omission| omission.topic);
    let document = with_notice(&kept, &omissions, elsewhere);
    let text = render(&document);
    Fitted { document, omissions, text }
}

/// The sections of `document` that `omissions` lists as dropped or cut, for placement elsewhere.
#[must_use]
pub fn omitted(document: &Document, omissions: &[Omission]) -> Document {
    let gone = |section: &&Section| omissions.iter().any(|omission| omission.topic == section.topic);
    Document { sections: document.sections.iter().filter(gone).cloned().collect() }
}

// === impl Omission ===

impl Omission {
    /// For example "Investigation notes (40,000 characters, of which the first 1,200 are shown)".
    #[must_use]
    pub fn describe(&self) -> String {
        let title = self.topic.title().unwrap_or("Introduction");
        match self.cut {
            Some((kept, all)) => format!("{title} (the first {kept} of {all} characters are shown)"),
            None => title.to_owned(),
        }
    }
}

fn least_worth(document: &Document) -> Option<usize> {
    let droppable =
        document.sections.iter().enumerate().filter(|(_, section)| section.topic.worth() < u8::MAX);
    droppable.min_by_key(|(_, section)| section.topic.worth()).map(|(index, _)| index)
}

fn with_notice(document: &Document, omissions: &[Omission], elsewhere: &str) -> Document {
    let mut document = document.clone();
    if !omissions.is_empty() {
        let list: Vec<_> = omissions.iter().map(Omission::describe).collect();
        let text = format!("Left out for length: {}; {elsewhere}.", list.join(", "));
        let notice =
            Section { topic: Topic::Omissions, blocks: vec![Block::Paragraph(vec![Inline::text(text)])] };
        let end = document.sections.iter().position(|section| section.topic == Topic::Marker);
        document.sections.insert(end.unwrap_or(document.sections.len()), notice);
    }
    document
}

fn cut_to_fit(
    rest: &Document,
    index: usize,
    section: &Section,
    omissions: &[Omission],
    elsewhere: &str,
    fits: impl Fn(&Document) -> bool,
) -> Option<(Section, Omission)> {
    let [Block::Prose(prose)] = section.blocks.as_slice() else { return None };
    let all = prose.chars().count();
    let part = |start: &str| {
        let kept = start.trim_end();
        let blocks = vec![Block::Prose(format!("{kept}…"))];
        let omission = Omission { topic: section.topic, cut: Some((kept.chars().count(), all)) };
        (Section { topic: section.topic, blocks }, omission)
    };
    let fits_with = |start: &str| {
        let (part, omission) = part(start);
        let mut document = rest.clone();
        document.sections.insert(index, part);
        let omissions: Vec<_> = omissions.iter().cloned().chain([omission]).collect();
        fits(&with_notice(&document, &omissions, elsewhere))
    };
    let start = longest_prefix(prose, fits_with);
    let worthwhile = start.chars().count() >= MIN_KEPT_GRAPHEMES.min(all);
    (worthwhile && fits_with(start)).then(|| part(start))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(document: &Document) -> String {
        format!("{document:?}")
    }

    fn fitted(document: &Document, limit: usize, whole_only: bool) -> Fitted {
        let fitted = fit(document, Limit::utf16(limit), "see RhythmX", whole_only, render);
        let headline = fitted.document.sections.first().map(|section| section.topic);
        assert_eq!(headline, Some(Topic::Headline));
        fitted
    }

    fn paragraph(topic: Topic, text: &str) -> Section {
        Section { topic, blocks: vec![Block::Paragraph(vec![Inline::text(text)])] }
    }

    fn document(notes: &str) -> Document {
        let prose =
            Section { topic: Topic::InvestigationNotes, blocks: vec![Block::Prose(notes.to_owned())] };
        let long = "word ".repeat(60);
        Document {
            sections: vec![
                paragraph(Topic::Headline, "jdoe"),
                paragraph(Topic::Risk, &long),
                paragraph(Topic::Mitre, &long),
                prose,
            ],
        }
    }

    #[test]
    fn fitting_document_is_unchanged() {
        let document = document("notes");
        let text = render(&document);
        assert_eq!(fitted(&document, 100_000, false), Fitted { document, omissions: vec![], text });
    }

    #[test]
    fn prose_of_least_worth_is_cut_and_the_ticket_says_so() {
        let fitted = fitted(&document(&"n".repeat(5_000)), 3_000, false);
        assert!(Limit::utf16(3_000).allows(&render(&fitted.document)));
        assert!(matches!(
            fitted.omissions.as_slice(),
            [Omission { topic: Topic::InvestigationNotes, cut: Some((_, 5_000)) }]
        ));
        assert!(format!("{:?}", fitted.document).contains("of 5000 characters are shown"));
    }

    #[test]
    fn drops_least_important_sections_and_keeps_headline() {
        let short = fitted(&document(&"n".repeat(5_000)), 900, true);
        let topics: Vec<_> = short.omissions.iter().map(|omission| omission.topic).collect();
        assert_eq!(topics, [Topic::Mitre, Topic::InvestigationNotes]);
        fitted(&document("n"), 1, true);
    }

    proptest! {
        #[test]
        fn fits_any_notes_into_the_limit(notes in "\\PC{0,3000}", limit in 1_200_usize..4_000) {
            let fitted = fitted(&document(&notes), limit, false);
            prop_assert!(Limit::utf16(limit).allows(&render(&fitted.document)));
        }
    }
}
