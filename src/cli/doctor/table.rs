//! The report as a table for a person: a line a check, then what to do, each thing once, with commands to copy.

use crate::cli::output::plain;
use crate::doctor::report::{Check, Report, State};

/// Columns of a line. Commands are broken where a shell lets them be.
const WIDTH: usize = 100;
/// The width of the word for how a check ended.
const STATE: usize = 7;

/// The whole table.
pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    let name_width = report.checks().map(|check| check.name.chars().count()).max().unwrap_or(0).min(32);
    for section in &report.sections {
        out.push_str(&format!("{}\n", section.name));
        for check in &section.checks {
            out.push_str(&line(check, name_width));
        }
        out.push('\n');
    }
    out.push_str(&to_do(report));
    out.push_str(&verdict(report));
    out
}

fn line(check: &Check, name_width: usize) -> String {
    let indent = 2 + STATE + 1 + name_width + 1;
    let name = plain(&check.name);
    let mut out = String::new();
    if name.chars().count() > name_width {
        out.push_str(&format!("  {:<STATE$} {name}\n", check.state.word()));
        out.push_str(&" ".repeat(indent));
    } else {
        out.push_str(&format!("  {:<STATE$} {name:<name_width$} ", check.state.word()));
    }
    out.push_str(&wrapped(&plain(&check.said), indent));
    out.push('\n');
    out
}

/// Words on lines of [`WIDTH`], the first already begun at `indent`.
fn wrapped(text: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut column = indent;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > indent && column + 1 + length > WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else if column > indent {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

fn to_do(report: &Report) -> String {
    let list = report.to_do();
    if list.is_empty() {
        return String::new();
    }
    let mut out = "what to do\n".to_owned();
    for (n, (state, fix, names)) in list.iter().enumerate() {
        let head = format!("  {:>2}. ", n + 1);
        let optional = if *state == State::Warning { "If you like: " } else { "" };
        let what = format!("{optional}{} (for {}).", plain(&fix.what), names.join(", "));
        out.push_str(&head);
        out.push_str(&wrapped(&what, head.len()));
        out.push('\n');
        for command in &fix.run {
            command.lines().for_each(|line| out.push_str(&broken(&plain(line))));
        }
    }
    out.push('\n');
    out
}

/// A command on lines of its own, continued by backslashes before options.
fn broken(command: &str) -> String {
    const INDENT: usize = 8;
    let mut out = " ".repeat(INDENT);
    let mut column = INDENT;
    // An option and its value stay together; what stands in quotes is one word.
    for part in parts(command) {
        let length = part.chars().count();
        if column > INDENT + 4 && column + 1 + length > WIDTH - 2 {
            out.push_str(" \\\n");
            out.push_str(&" ".repeat(INDENT + 4));
            column = INDENT + 4;
        } else if column > INDENT {
            out.push(' ');
            column += 1;
        }
        out.push_str(&part);
        column += length;
    }
    out.push('\n');
    out
}

/// A command's words, each option with what follows it up to the next.
fn parts(command: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut quote = None;
    let mut glue = false;
    for word in command.split(' ') {
        let inside = quote.is_some();
        for c in word.chars().filter(|c| matches!(c, '"' | '\'')) {
            quote = match quote {
                None => Some(c),
                Some(open) if open == c => None,
                other => other,
            };
        }
        match parts.last_mut() {
            Some(last) if inside || glue => {
                last.push(' ');
                last.push_str(word);
            }
            _ => parts.push(word.to_owned()),
        }
        glue = !inside && word.starts_with("--");
    }
    parts
}

fn verdict(report: &Report) -> String {
    let count = |state: State, one: &str, many: &str| match report.count(state) {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {many}")),
    };
    let counts = [
        count(State::Missing, "thing is missing", "things are missing"),
        count(State::Unknown, "could not be found out", "could not be found out"),
        count(State::Warning, "warning", "warnings"),
    ];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    let all = report.checks().count();
    let head = if report.is_well() { "All that is needed is there" } else { "Not all that is needed is there" };
    if counts.is_empty() {
        format!("{head}: {all} checks.")
    } else {
        format!("{head}: of {all} checks, {}.", counts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_is_broken_between_options_alone() {
        let command = "az role assignment create --assignee-object-id c0ffee00-0000-4000-8000-00000000000a --role \"KV-SQL Responder Vault Write\" --scope /subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-keys";
        let broken = broken(command);
        assert!(broken.lines().count() > 1 && broken.contains("--role \"KV-SQL Responder Vault Write\""), "{broken}");
        let joined: Vec<String> = broken.split(" \\\n").map(|line| line.trim().to_owned()).collect();
        assert_eq!(joined.join(" "), command, "what is pasted is the command");
    }

    #[test]
    fn words_are_wrapped_and_none_is_lost() {
        let text = "word ".repeat(60);
        let wrapped = wrapped(text.trim(), 40);
        assert!(wrapped.lines().skip(1).all(|line| line.chars().count() <= WIDTH && line.starts_with("    ")));
        assert_eq!(wrapped.split_whitespace().count(), 60);
    }
}
