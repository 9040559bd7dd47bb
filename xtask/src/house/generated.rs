//! Files that tools write. Their wording is checked where they are generated from.

use std::path::{Path, PathBuf};

/// The file that marks generated paths.
pub(super) const ATTRIBUTES: &str = ".gitattributes";

const MARK: &str = "linguist-generated";

/// The folder of built packages, at any depth.
const BUILT: &str = "dist";

/// The paths that `.gitattributes` marks as generated: files, and folders with all that is in them.
#[derive(Debug)]
pub(super) struct GeneratedPaths(Vec<PathBuf>);

// === impl GeneratedPaths ===

impl GeneratedPaths {
    /// Reads the text of `.gitattributes`. Of its patterns, `folder/**` and whole paths are understood.
    pub(super) fn parse(attributes: &str) -> Self {
        let marked = attributes.lines().filter_map(|line| {
            let (pattern, attributes) = line.split_once(' ')?;
            let is_marked = attributes.split_whitespace().any(|attribute| attribute == MARK);
            is_marked.then(|| PathBuf::from(pattern.trim_end_matches("/**")))
        });
        Self(marked.collect())
    }

    /// Whether a file, relative to the root of the workspace, is generated or built.
    pub(super) fn contains(&self, file: &Path) -> bool {
        self.0.iter().any(|generated| file.starts_with(generated))
            || file.components().any(|component| component.as_os_str() == BUILT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_marked_paths_and_built_folders() {
        let paths = GeneratedPaths::parse(
            "* text=auto eol=lf\n# linguist-generated\nCargo.lock linguist-generated\nsdks/gen/** linguist-generated\n",
        );
        for generated in ["Cargo.lock", "sdks/gen/a.ts", "sdks/gen/b/c.ts", "sdks/typescript/dist/a.d.ts"] {
            assert!(paths.contains(Path::new(generated)), "{generated}");
        }
        for written in ["sdks/a.ts", "sdks/genuine/a.ts", "xtask/src/main.rs"] {
            assert!(!paths.contains(Path::new(written)), "{written}");
        }
    }
}
