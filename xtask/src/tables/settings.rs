//! The table `settings`: the flags of a command, each with its environment variable, its default and its help.

use clap::{Arg, Command};

use super::markdown::Table;

pub(super) fn table(command: &Command) -> Table {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_long().is_some());
    Table {
        header: vec!["flag", "environment variable", "default", "meaning"],
        rows: shown.map(row).collect(),
    }
}

fn row(arg: &Arg) -> Vec<String> {
    let code = |text: String| if text.is_empty() { text } else { format!("`{text}`") };
    let flag = arg.get_long().unwrap_or_default();
    let variable = arg.get_env().unwrap_or_default().to_string_lossy().into_owned();
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    vec![format!("`--{flag}`"), code(variable), code(defaults.join(",")), meaning(arg)]
}

fn meaning(arg: &Arg) -> String {
    let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut meaning = help.trim().trim_end_matches('.').to_owned() + ".";
    if arg.get_action().takes_values() {
        let values: Vec<_> =
            arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        if !values.is_empty() {
            meaning.push_str(&format!(" {}.", values.join(" or ")));
        }
    }
    meaning
}

#[cfg(test)]
mod tests {
    use clap::{Args, ValueEnum};

    use super::*;

    /// Example flags.
    #[derive(Debug, Args)]
    struct Flags {
        /// Where to listen. Only loopback.
        #[arg(long, env = "PET_LISTEN", default_value = "127.0.0.1:1")]
        listen: String,

        /// The shape of the log.
        #[arg(long, value_enum, default_value_t = Shape::Text)]
        log_format: Shape,

        /// For tests.
        #[arg(long, hide = true)]
        secret: Option<String>,
    }

    #[derive(Debug, Clone, Copy, ValueEnum)]
    enum Shape {
        Text,
        Json,
    }

    #[test]
    fn shows_flag_with_variable_default_and_help() {
        let table = table(&Flags::augment_args(Command::new("serve")));
        assert_eq!(
            table.rows,
            [
                ["`--listen`", "`PET_LISTEN`", "`127.0.0.1:1`", "Where to listen. Only loopback."],
                ["`--log-format`", "", "`text`", "The shape of the log. `text` or `json`."],
            ]
        );
    }
}
