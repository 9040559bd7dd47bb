//! The ticket's content as structure: sections of paragraphs, facts, lists, tables and prose. Each ticket system renders
//! it in its own markup. All text in it is data and must be escaped by the renderer.

/// A whole ticket description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    pub sections: Vec<Section>,
}

/// A part of the description that stays or goes as a whole; only prose is ever cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub topic: Topic,
    pub blocks: Vec<Block>,
}

/// What a section is about, in the order in which a reader meets the sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Who is affected, severity, time, and the link to RhythmX. It has no title.
    Headline,
    Risk,
    Activity,
    Timeline,
    Sla,
    FiringRules,
    Mitre,
    InvestigationNotes,
    /// What was left out for want of room.
    Omissions,
    /// The marker, where it cannot be a label.
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

/// A piece of a line. None of its texts has a line break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inline {
    Text(String),
    Strong(String),
    /// A word that should catch the eye, coloured where the system can.
    Badge {
        text: String,
        tone: Tone,
    },
    /// A link; the address was checked to be http or https.
    Link {
        text: String,
        url: url::Url,
    },
}

/// How a badge should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Alarming,
    Warning,
    Notable,
    Calm,
}

// === impl Topic ===

impl Topic {
    /// The title above the section, if it has one.
    #[must_use]
    pub fn title(self) -> Option<&'static str> {
        match self {
            Self::Headline | Self::Omissions | Self::Marker => None,
            Self::Risk => Some("Risk"),
            Self::Activity => Some("Activity"),
            Self::Timeline => Some("Timeline"),
            Self::Sla => Some("SLA"),
            Self::FiringRules => Some("Top firing rules"),
            Self::Mitre => Some("MITRE ATT&CK"),
            Self::InvestigationNotes => Some("Investigation notes"),
        }
    }

    /// How much the section is worth when room is short: the least worth goes first. The headline and the marker never
    /// go.
    #[must_use]
    pub fn worth(self) -> u8 {
        match self {
            Self::Marker | Self::Omissions | Self::Headline => u8::MAX,
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

    /// With a space before and after, for text between other pieces of a line.
    #[must_use]
    pub fn padded(self) -> Self {
        match self {
            Self::Text(text) => Self::Text(format!(" {text} ")),
            other => other,
        }
    }

    /// The words, without their looks.
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
