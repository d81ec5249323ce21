//! The report as one page that needs nothing else: no script, no font, no address is loaded. Every name in it was written by
//! somebody else, so all text is escaped, and a policy forbids scripts and loads besides.

use super::map;
use crate::domain::words::utc;
use crate::markup::escaped;
use crate::posture::finding::{Finding, Level};
use crate::posture::report::{Colour, Report};

/// Findings that are told in full in each vault and level; the rest is folded up.
const OPEN: usize = 12;

const STYLE: &str = include_str!("page.css");

pub(super) fn page(report: &Report) -> String {
    let worst = report.worst().map_or("No findings", |level| match level {
        Level::Critical => "Action needed now",
        Level::High => "Action needed soon",
        Level::Medium => "Some risks",
        Level::Low | Level::Info => "In good order",
    });
    let class = report.worst().map_or("info", Level::word);
    let mut body = String::new();
    body.push_str(&format!(
        "<header><p class=\"kind\">Audit of customer-managed TDE keys</p><h1><span class=\"pill {class}\">{}</span>{worst}</h1><p class=\"meta\">{} · read at {}</p></header>",
        report.worst().map_or("ok", Level::word),
        escaped(&scope(report)),
        escaped(&utc(report.at)),
    ));
    body.push_str(&summary(report));
    body.push_str("<section><h2>What depends on what</h2>");
    if report.map.is_empty() {
        body.push_str("<p>No server under a customer-managed key was found.</p>");
    } else {
        body.push_str(&legend());
        body.push_str(&format!(
            "<div class=\"scroll\" tabindex=\"0\">{}</div>{}",
            map::picture(report),
            map::list(report)
        ));
    }
    body.push_str("</section><section><h2>Findings</h2>");
    if report.findings.is_empty() {
        body.push_str("<p>Nothing was found that needs doing.</p>");
    }
    for (vault, findings) in report.by_vault() {
        body.push_str(&group(vault, &findings));
    }
    body.push_str("</section>");
    body.push_str(&unread(report));
    body.push_str(&format!(
        "<footer>Made by keymend {} from what Azure answered at {}. Nothing was changed. Servers under Microsoft's own key ({}) are not judged.</footer>",
        env!("CARGO_PKG_VERSION"),
        escaped(&utc(report.at)),
        report.service_managed
    ));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>Key audit: {worst}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )
}

fn scope(report: &Report) -> String {
    let shown: Vec<&str> = report.scope.iter().take(3).map(|root| root.trim_start_matches('/')).collect();
    let more = report.scope.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

fn summary(report: &Report) -> String {
    let down = if report.inaccessible > 0 { " class=\"alarm\"" } else { "" };
    let mut out = format!(
        "<section class=\"tiles\"><div><b>{}</b>key vaults</div><div><b>{}</b>servers</div><div><b>{}</b>databases</div><div{down}><b>{}</b>inaccessible now</div></section><section class=\"levels\">",
        report.map.len(),
        report.servers,
        report.databases,
        report.inaccessible
    );
    for level in Level::ALL {
        let none = if report.count(level) == 0 { " none" } else { "" };
        out.push_str(&format!(
            "<span class=\"count {}{none}\"><b>{}</b> {}</span>",
            level.word(),
            report.count(level),
            level.word()
        ));
    }
    out.push_str("</section>");
    out
}

fn legend() -> String {
    let words = [
        (Colour::Broken, "✕ broken, or will be within days"),
        (Colour::Warn, "! at risk"),
        (Colour::Unknown, "? could not be read"),
        (Colour::Ok, "✓ ok"),
    ];
    let items: String = words
        .iter()
        .map(|(colour, said)| format!("<span class=\"key {}\">{said}</span>", map::class(*colour)))
        .collect();
    format!("<p class=\"legend\">{items}</p>")
}

fn group(vault: Option<&str>, findings: &[&Finding]) -> String {
    let name = vault.map_or_else(|| "Keymend itself".to_owned(), |host| format!("Key vault {host}"));
    let (main, notes): (Vec<&Finding>, Vec<&Finding>) = findings.iter().partition(|finding| finding.level > Level::Low);
    let mut out = format!("<div class=\"group\"><h3>{}</h3>", escaped(&name));
    for finding in main.iter().take(OPEN) {
        out.push_str(&article(finding));
    }
    out.push_str(&folded(main.get(OPEN..).unwrap_or_default(), "more"));
    out.push_str(&folded(&notes, "of level low or info"));
    out.push_str("</div>");
    out
}

fn folded(findings: &[&Finding], what: &str) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let all: String = findings.iter().map(|finding| article(finding)).collect();
    format!("<details><summary>{} {what}</summary>{all}</details>", findings.len())
}

fn article(finding: &Finding) -> String {
    let level = finding.level.word();
    let mut out = format!(
        "<article class=\"f {level}\"><p class=\"what\"><span class=\"pill {level}\">{level}</span>{}</p><p class=\"why\">{}</p>",
        escaped(&capital(&finding.what)),
        escaped(finding.why)
    );
    if !finding.fix.is_empty() {
        out.push_str(&format!("<p class=\"fix\"><b>To do:</b> {}</p>", escaped(&finding.fix)));
    }
    if !finding.commands.is_empty() {
        out.push_str(&format!("<pre>{}</pre>", escaped(&finding.commands.join("\n"))));
    }
    let source = if finding.source.starts_with("https://") {
        let address = escaped(finding.source);
        format!("<a href=\"{address}\" rel=\"noreferrer\">{address}</a>")
    } else {
        escaped(finding.source)
    };
    out.push_str(&format!(
        "<p class=\"src\">{}<br>{} · {source}</p></article>",
        escaped(&finding.subject),
        escaped(finding.rule)
    ));
    out
}

fn capital(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let known = ["key ", "the ", "no ", "read-only ", "server ", "private "].iter().any(|word| text.starts_with(word));
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if known => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        _ => format!("{text}."),
    }
}

fn unread(report: &Report) -> String {
    if report.unread.is_empty() {
        return String::new();
    }
    let lines: String = report.unread.iter().take(50).map(|why| format!("<li>{}</li>", escaped(why))).collect();
    format!("<section><h2>Could not be read</h2><ul>{lines}</ul></section>")
}
