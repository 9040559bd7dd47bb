//! The page of the book with the results: only the part between two markers is generated.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::measure::Plot;
use crate::svg;

const PAGE: &str = "docs/src/run/performance.md";
const BEGIN: &str = "<!-- bench -->";
const END: &str = "<!-- end bench -->";

/// Replaces the results in the page, and writes the plots beside it.
pub(crate) fn write(root: &Path, results: &str, plots: &[Plot]) -> Result<()> {
    let path = root.join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let folder = path.parent().unwrap_or(root);
    let mut results = results.to_owned();
    for plot in plots {
        let file = format!("performance-{}.svg", plot.file);
        fs::write(folder.join(&file), svg::draw(plot))?;
        results.push_str(&format!("\n![{}]({file})\n", plot.title));
    }
    let page =
        replaced(&page, &results).with_context(|| format!("{} lacks {BEGIN} and {END}", path.display()))?;
    fs::write(&path, page)?;
    Ok(())
}

fn replaced(page: &str, results: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{results}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_only_what_is_between_the_markers() {
        let page = "a\n<!-- bench -->\nold\n<!-- end bench -->\nb";
        assert_eq!(replaced(page, "new\n").unwrap(), "a\n<!-- bench -->\nnew\n<!-- end bench -->\nb");
        assert_eq!(replaced("no markers", "new"), None);
    }
}
