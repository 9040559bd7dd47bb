//! Finds the configured issue type, whatever the language of the account.

use ticketing_core::nearest::nearest;

use crate::wire::Named;

/// Maximum number of suggested types.
const MAX_OFFERED: usize = 20;

/// Jira's translations of the default type. Data Center does not return the untranslated name.
const TASK: [&str; 20] = [
    "Task",
    "Tâche",
    "Aufgabe",
    "Vorgang",
    "Tarea",
    "Tarefa",
    "Attività",
    "Taak",
    "Opgave",
    "Oppgave",
    "Uppgift",
    "Zadanie",
    "Задача",
    "Úkol",
    "Tehtävä",
    "Feladat",
    "タスク",
    "任务",
    "工作",
    "작업",
];

/// The type `wanted`: by its name, its untranslated name or its ID, ignoring case. Excludes sub-tasks, which
/// cannot be created without a parent.
pub(crate) fn find<'t>(types: &'t [Named], wanted: &str) -> Option<&'t Named> {
    let whole = || types.iter().filter(|offered| !offered.subtask);
    let by_name = |name: &str| whole().find(|offered| same(&offered.name, name));
    by_name(wanted)
        .or_else(|| {
            whole()
                .find(|offered| offered.untranslated_name.as_deref().is_some_and(|name| same(name, wanted)))
        })
        .or_else(|| whole().find(|offered| offered.id == wanted))
        .or_else(|| TASK.iter().filter(|_| same(wanted, TASK[0])).find_map(|name| by_name(name)))
}

/// The type `wanted`, including sub-tasks.
pub(crate) fn find_any<'t>(types: &'t [Named], wanted: &str) -> Option<&'t Named> {
    types.iter().find(|offered| {
        same(&offered.name, wanted)
            || offered.untranslated_name.as_deref().is_some_and(|name| same(name, wanted))
    })
}

/// The names of the creatable types, those most similar to `wanted` first.
pub(crate) fn nearest_first(types: &[Named], wanted: &str) -> Vec<String> {
    let whole = types.iter().filter(|offered| !offered.subtask);
    nearest(wanted, whole.map(|offered| offered.name.as_str()), MAX_OFFERED)
}

fn same(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(names: &[(&str, &str, Option<&str>)]) -> Vec<Named> {
        let named = |(id, name, untranslated): &(&str, &str, Option<&str>)| Named {
            id: (*id).to_owned(),
            name: (*name).to_owned(),
            untranslated_name: untranslated.map(str::to_owned),
            ..Named::default()
        };
        names.iter().map(named).collect()
    }

    #[test]
    fn finds_type_in_any_language_and_case_and_by_id() {
        let types =
            types(&[("1", "Écart", Some("Bug")), ("2", "Tâche", Some("Task")), ("3", "Incident", None)]);
        let id = |wanted| find(&types, wanted).map(|found| found.id.as_str());
        for (wanted, expected) in [
            ("Task", "2"),
            ("TASK", "2"),
            ("tâche", "2"),
            ("ÉCART", "1"),
            ("bug", "1"),
            ("3", "3"),
            ("incident ", "3"),
        ] {
            assert_eq!(id(wanted), Some(expected), "{wanted}");
        }
        assert_eq!(id("Epic"), None);
    }

    #[test]
    fn prefers_translated_issue_type_name() {
        let types = types(&[("1", "Aufgabe", Some("Incident")), ("2", "Incident", Some("Störung"))]);
        assert_eq!(find(&types, "incident").map(|found| found.id.as_str()), Some("2"));
    }

    #[test]
    fn default_type_is_found_in_translations_of_data_center() {
        for name in ["Aufgabe", "タスク", "ЗАДАЧА"] {
            let types = types(&[("1", "Story", None), ("2", name, None)]);
            assert_eq!(find(&types, "Task").map(|found| found.id.as_str()), Some("2"), "{name}");
            assert!(find(&types, "Bug").is_none());
        }
    }

    #[test]
    fn offers_nearest_types_without_sub_tasks() {
        let mut types = types(&[("1", "Epic", None), ("2", "Incident", None), ("3", "Sub-task", None)]);
        types[2].subtask = true;
        assert_eq!(nearest_first(&types, "Incidents"), ["Incident", "Epic"]);
        assert!(find(&types, "sub-task").is_none() && find_any(&types, "sub-task").is_some());
    }
}
