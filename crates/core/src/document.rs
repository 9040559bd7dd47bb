//! The content of a ticket as structure: sections of paragraphs, facts, lists, tables and prose. Each adapter
//! renders it in its system's markup. All text is data, which the renderer must escape.

/// A complete ticket description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    pub sections: Vec<Section>,
}

/// A part of the description that is kept or dropped as a whole; only prose is ever cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub topic: Topic,
    pub blocks: Vec<Block>,
}

/// The topic of a section, in reading order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// The operator's own text before everything else. It has no title.
    Introduction,
    /// Actor, severity, time, and the link to RhythmX. It has no title.
    Headline,
    Risk,
    Activity,
    Timeline,
    Sla,
    FiringRules,
    Mitre,
    InvestigationNotes,
    /// What was omitted for length.
    Omissions,
    /// The marker, if it cannot be a label.
    Marker,
}

/// A block of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    Paragraph(Vec<Inline>),
    /// Names and values, for example "Score: 92 / 100".
    Facts(Vec<Fact>),
    List(Vec<Vec<Inline>>),
    Table(Table),
    /// Free multi-line text, exactly as written.
    Prose(String),
}

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub name: String,
    pub value: Vec<Inline>,
}

/// A table; every row has as many cells as the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub header: Vec<String>,
    pub rows: Vec<Vec<Vec<Inline>>>,
}

/// A span of a line. Its texts contain no line breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inline {
    Text(String),
    Strong(String),
    /// An emphasized word, colored if the system supports it.
    Badge {
        text: String,
        tone: Tone,
    },
    /// A link with an http or https address.
    Link {
        text: String,
        url: url::Url,
    },
}

/// The color of a badge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Alarming,
    Warning,
    Notable,
    Calm,
}

// === impl Topic ===

impl Topic {
    /// The title of the section, if any.
    #[must_use]
    pub fn title(self) -> Option<&'static str> {
        match self {
            Self::Introduction | Self::Headline | Self::Omissions | Self::Marker => None,
            Self::Risk => Some("Risk"),
            Self::Activity => Some("Activity"),
            Self::Timeline => Some("Timeline"),
            Self::Sla => Some("SLA"),
            Self::FiringRules => Some("Top firing rules"),
            Self::Mitre => Some("MITRE ATT&CK"),
            Self::InvestigationNotes => Some("Investigation notes"),
        }
    }

    /// Rank of the section when space is short: the lowest is dropped first. The headline and the marker are
    /// never dropped.
    #[must_use]
    pub fn worth(self) -> u8 {
        match self {
            Self::Marker | Self::Omissions | Self::Headline => u8::MAX,
            Self::Introduction => 80,
            Self::Risk => 70,
            Self::Timeline => 60,
            Self::Activity => 50,
            Self::Sla => 40,
            Self::FiringRules => 30,
            Self::Mitre => 20,
            Self::InvestigationNotes => 10,
        }
    }
}

// === impl Inline ===

impl Inline {
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::Text(crate::text::single_line(text.as_ref()))
    }

    pub fn strong(text: impl AsRef<str>) -> Self {
        Self::Strong(crate::text::single_line(text.as_ref()))
    }

    /// With a space before and after, for use between other spans.
    #[must_use]
    pub fn padded(self) -> Self {
        match self {
            Self::Text(text) => Self::Text(format!(" {text} ")),
            other => other,
        }
    }

    /// The text without formatting.
    #[must_use]
    pub fn plain(&self) -> &str {
        match self {
            Self::Text(text) | Self::Strong(text) | Self::Badge { text, .. } | Self::Link { text, .. } => {
                text
            }
        }
    }
}

// === impl Fact ===

impl Fact {
    pub fn new(name: &str, value: impl AsRef<str>) -> Self {
        Self { name: name.to_owned(), value: vec![Inline::text(value)] }
    }
}
