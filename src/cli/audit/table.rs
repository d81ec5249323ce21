//! The report for a terminal: by vault, the worst first, each finding with what to do.

use console::Style;

use crate::cli::incidents::layout::Layout;
use crate::cli::output::plain;
use crate::domain::words::utc;
use crate::posture::finding::{Finding, Level, rule};
use crate::posture::report::Report;

/// Findings of one rule and level in one vault that are told in full; the rest is counted.
const ALIKE: usize = 4;

pub(super) fn page(report: &Report) -> String {
    let mut page = Layout::new();
    let worst = report.worst().map_or("nothing found", Level::word);
    page.title("Audit of customer-managed TDE keys", &worst.to_uppercase(), report.worst().map_or_else(good, style));
    page.text(&format!("{} at {}", report.scope.join(", "), utc(report.at)));
    page.text(&totals(report));
    for (vault, findings) in report.by_vault() {
        let told: Vec<&&Finding> = findings.iter().filter(|finding| finding.level > Level::Info).collect();
        if told.is_empty() {
            continue;
        }
        page.section(&match vault {
            Some(host) => format!("KEY VAULT {host}{}", extent(report, host)),
            None => "KEYMEND ITSELF".to_owned(),
        });
        vault_findings(&mut page, &told);
    }
    notes(&mut page, report);
    page.finish()
}

fn totals(report: &Report) -> String {
    let counts: Vec<String> = Level::ALL
        .into_iter()
        .filter(|level| report.count(*level) > 0)
        .map(|level| format!("{} {}", report.count(level), level.word()))
        .collect();
    let found = if counts.is_empty() { "no findings".to_owned() } else { counts.join(", ") };
    let managed = match report.service_managed {
        0 => String::new(),
        n => format!("; {n} under Microsoft's own key, not judged"),
    };
    format!(
        "{} in {}, {} protected by customer-managed keys, {} inaccessible{managed}. Findings: {found}.",
        many(report.servers, "server"),
        many(report.map.len(), "key vault"),
        many(report.databases, "database"),
        report.inaccessible
    )
}

fn many(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn extent(report: &Report, host: &str) -> String {
    let Some(node) = report.map.iter().find(|node| node.host == host) else { return String::new() };
    let servers: Vec<_> = node.keys.iter().flat_map(|key| &key.servers).collect();
    let databases: usize = servers.iter().map(|server| server.databases).sum();
    format!(" ({}, {})", many(servers.len(), "server"), many(databases, "database"))
}

fn vault_findings(page: &mut Layout, findings: &[&&Finding]) {
    let mut told: Vec<(&str, Level, usize)> = Vec::new();
    for finding in findings {
        let at = match told.iter().position(|(rule, level, _)| *rule == finding.rule && *level == finding.level) {
            Some(at) => at,
            None => {
                told.push((finding.rule, finding.level, 0));
                told.len() - 1
            }
        };
        told[at].2 += 1;
        if told[at].2 > ALIKE {
            continue;
        }
        page.styled(finding.level.word(), &style(finding.level), &sentence(&finding.what));
        page.under(finding.why);
        if !finding.fix.is_empty() {
            page.under(&format!("-> {}.", finding.fix.trim_end_matches('.')));
        }
        for line in finding.commands.iter().flat_map(|command| command.lines()) {
            page.as_is(&format!("    {}", plain(line)));
        }
    }
    for (id, level, count) in told.into_iter().filter(|(.., count)| *count > ALIKE) {
        let title = rule(id).map_or(id, |rule| rule.title);
        page.styled(
            level.word(),
            &style(level),
            &format!("and {} more: {title} (--json and --html tell all)", count - ALIKE),
        );
    }
}

fn sentence(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    // A name stays as it is.
    let known = ["key ", "the ", "no ", "read-only "].iter().any(|word| text.starts_with(word));
    match letters.next() {
        Some(letter) if known => format!("{}{}.", letter.to_uppercase(), letters.as_str()),
        _ => format!("{text}."),
    }
}

fn notes(page: &mut Layout, report: &Report) {
    let notes: Vec<&Finding> = report.findings.iter().filter(|finding| finding.level == Level::Info).collect();
    if notes.is_empty() {
        return;
    }
    page.section("GOOD TO KNOW");
    for finding in notes.iter().take(ALIKE * 3) {
        page.text(&sentence(&finding.what));
    }
    if notes.len() > ALIKE * 3 {
        page.text(&format!("And {} more (--json and --html tell all).", notes.len() - ALIKE * 3));
    }
}

fn good() -> Style {
    Style::new().green().bold()
}

fn style(level: Level) -> Style {
    match level {
        Level::Critical => Style::new().red().bold().reverse(),
        Level::High => Style::new().red().bold(),
        Level::Medium => Style::new().yellow().bold(),
        Level::Low => Style::new().cyan(),
        Level::Info => Style::new(),
    }
}
