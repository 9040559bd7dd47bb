//! Maps a risk level to a priority of the project.

use ticketing_core::risk::RiskLevel;
use ticketing_core::system::Adjustment;

use crate::choice::Choice;
use crate::wire::Named;

/// Names to look for, best first. The first of each is Jira's own.
fn names(level: RiskLevel) -> &'static [&'static str] {
    match level {
        RiskLevel::Critical => &["Highest", "Critical", "Blocker", "Urgent", "Very High", "High"],
        RiskLevel::High => &["High", "Major", "Important"],
        RiskLevel::Medium => &["Medium", "Normal", "Moderate", "Default"],
        RiskLevel::Low => &["Low", "Minor", "Lowest"],
    }
}

/// The default name of a risk level's priority in Jira.
pub(crate) fn usual_name(level: RiskLevel) -> &'static str {
    names(level)[0]
}

/// The closest offered priority, if any, with a note if it is not the usual one.
pub(crate) fn choose(level: RiskLevel, offered: &[Named]) -> (Option<Choice>, Option<Adjustment>) {
    let usual = usual_name(level);
    let by_name = |name: &&str| offered.iter().find(|choice| choice.name.trim().eq_ignore_ascii_case(name));
    let list = || offered.iter().map(|choice| choice.name.as_str()).collect::<Vec<_>>().join(", ");
    // Jira's own icons have the same file names in every language.
    let by_icon = |name: &&str| offered.iter().find(|choice| icon(choice).eq_ignore_ascii_case(name));
    let found = names(level).iter().find_map(by_name).map(|found| (found, false));
    let found = found.or_else(|| names(level).iter().find_map(by_icon).map(|found| (found, true)));
    let Some((found, is_translated)) = found else {
        let reason = format!("not sent: the project offers no \"{usual}\", only: {}", list());
        return (None, Some(Adjustment::new("priority", reason)));
    };
    let is_usual = found.name.trim().eq_ignore_ascii_case(usual)
        || is_translated && icon(found).eq_ignore_ascii_case(usual);
    let adjustment = (!is_usual).then(|| {
        let reason = format!("\"{}\" instead of \"{usual}\": the project offers: {}", found.name, list());
        Adjustment::new("priority", reason)
    });
    (Some(Choice::with_id(&found.id, &found.name)), adjustment)
}

/// The name of a priority's icon: `highest` of `https://…/images/icons/priorities/highest.svg`.
fn icon(choice: &Named) -> &str {
    let file = choice.icon_url.as_deref().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
    file.split('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(names: &[&str]) -> Vec<Named> {
        let named = |(index, name): (usize, &&str)| Named {
            id: index.to_string(),
            name: (*name).to_owned(),
            ..Named::default()
        };
        names.iter().enumerate().map(named).collect()
    }

    #[test]
    fn maps_risk_levels_to_default_priorities() {
        let usual = offered(&["highest", "High", "Medium", "Low", "Lowest"]);
        let levels = [RiskLevel::Critical, RiskLevel::High, RiskLevel::Medium, RiskLevel::Low];
        for (index, level) in levels.into_iter().enumerate() {
            let (choice, adjustment) = choose(level, &usual);
            assert_eq!((choice.unwrap().id, adjustment), (Some(index.to_string()), None));
        }
    }

    #[test]
    fn recognizes_translated_priority_by_icon() {
        let mut offered = offered(&["Basse", "La plus haute"]);
        let icon =
            |name: &str| Some(format!("https://acme.atlassian.net/images/icons/priorities/{name}.svg"));
        (offered[0].icon_url, offered[1].icon_url) = (icon("low"), icon("highest"));
        let (choice, adjustment) = choose(RiskLevel::Critical, &offered);
        assert_eq!((choice.unwrap().name.as_str(), adjustment), ("La plus haute", None));
    }

    #[test]
    fn reports_closest_priority_of_other_scheme() {
        let (choice, adjustment) = choose(RiskLevel::Critical, &offered(&["Minor", "Blocker"]));
        assert_eq!(choice.unwrap().name, "Blocker");
        assert!(adjustment.unwrap().reason.contains("instead of \"Highest\""));
    }

    #[test]
    fn omits_priority_and_lists_offers_without_close_match() {
        let (choice, adjustment) = choose(RiskLevel::Low, &offered(&["P1", "P2"]));
        assert_eq!(choice, None);
        assert!(adjustment.unwrap().reason.contains("P1, P2"));
    }
}
