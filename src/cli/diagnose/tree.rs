//! What was found, as a tree for a person: worst first, every mark a word, colour only where there is a terminal.

use console::Style;
use jiff::Timestamp;

use super::Found;
use crate::cli::incidents::layout::Layout;
use crate::cli::output::plain;
use crate::domain::diagnosis::{Cause, Finding, Link, LinkState};
use crate::domain::plan::{Decision, Plan};
use crate::domain::policy::Policy;
use crate::domain::words::{deed, utc};
use crate::notify::texts::by_hand::command;
use crate::notify::texts::causes::finding_sentence;
use crate::notify::texts::changes::{before_after, change_sentence};
use crate::notify::texts::gates::gate_sentence;
use crate::posture::chain::{Chain, DatabaseView, LinkView, Verdict};
use crate::posture::target::Target;

/// Chains that are drawn in full; the rest is one line each.
const DRAWN: usize = 5;
/// Databases that are named before the rest is counted.
const NAMED: usize = 12;

pub(super) fn page(found: &Found, policy: &Policy) -> String {
    let mut page = Layout::new();
    head(&mut page, found, policy);
    let drawn = if found.chains.len() == 1 { 1 } else { DRAWN };
    for chain in found.chains.iter().take(drawn) {
        self::chain(&mut page, chain, found);
    }
    let rest: Vec<&Chain> = found.chains.iter().skip(drawn).collect();
    if !rest.is_empty() {
        page.section(&format!("AND {} MORE", rest.len()));
        for chain in rest {
            page.styled(chain.verdict.word(), &style(chain.verdict), &chain.called);
        }
        page.text("Diagnose one of them by its own id to see it in full.");
    }
    page.finish()
}

fn head(page: &mut Layout, found: &Found, policy: &Policy) {
    let verdict = found.verdict();
    let title = match &found.target {
        Target::Dependent(id) => crate::domain::dependent::called(id),
        Target::Database { host, name } => format!("database {name} of {}", crate::domain::dependent::called(host)),
        Target::Vault(id) => format!("key vault {}", id.name()),
    };
    page.title(&title, &verdict.word().to_uppercase(), style(verdict));
    page.text(&format!(
        "{} at {}, {} waves of requests",
        found.named,
        utc(found.evidence.taken_at),
        found.evidence.waves
    ));
    if !found.is_there() {
        page.styled(
            "not found",
            &bad(),
            "Azure says that this does not exist. Check the id; if it was deleted, there is no access to mend.",
        );
    }
    if !policy.scope.covers(&found.named) {
        page.styled(
            "not in scope",
            &warn(),
            "Keymend only looks: [scope] in keymend.toml does not name it, so nothing here would ever be repaired.",
        );
    }
    if let (Target::Vault(_), true) = (&found.target, found.chains.is_empty()) {
        page.text("No server was found that depends on this vault.");
    }
    for why in &found.unread {
        page.styled("not looked at", &warn(), why);
    }
}

fn chain(page: &mut Layout, chain: &Chain, found: &Found) {
    page.gap();
    if found.chains.len() > 1 {
        page.title(&chain.called, chain.verdict.word(), style(chain.verdict));
    }
    match chain.diagnosis.cause() {
        Cause::ServiceManaged => {
            page.text(
                "Its TDE protector is Microsoft's own key: there is no access to a key vault that could be lost.",
            );
            return;
        }
        Cause::TargetGone => {
            page.text("It does not exist any more, or holds no database: nothing here needs the key.");
            return;
        }
        _ => {}
    }
    for (number, link) in chain.links.iter().enumerate() {
        self::link(page, link, number + 1 == chain.links.len(), chain, found);
    }
    why(page, chain);
    would(page, chain);
    who(page, chain);
    unknown(page, chain);
}

const fn name(link: Link) -> &'static str {
    match link {
        Link::Identity => "identity",
        Link::Vault => "vault",
        Link::Firewall => "firewall",
        Link::Key => "key",
        Link::Permission => "permission",
        Link::Database => "databases",
    }
}

fn link(page: &mut Layout, link: &LinkView, last: bool, chain: &Chain, found: &Found) {
    let (elbow, down) = if last { ("└─", "  ") } else { ("├─", "│ ") };
    let (word, style) = mark(link.state);
    page.branch(&format!("{elbow} {:<11}", name(link.link)), &format!("{word:<8}"), &style, &link.said, down);
    for seen in &link.seen {
        page.leaf(down, seen);
    }
    if link.link == Link::Database {
        databases(page, chain, found);
    }
}

fn databases(page: &mut Layout, chain: &Chain, found: &Found) {
    let asked = match &found.target {
        Target::Database { name, .. } => Some(name.as_str()),
        _ => None,
    };
    let is_asked = |one: &&DatabaseView| asked.is_some_and(|name| one.name.eq_ignore_ascii_case(name));
    let first = chain.databases.iter().filter(|one| is_asked(one));
    let all: Vec<&DatabaseView> = first.chain(chain.databases.iter().filter(|one| !is_asked(one))).collect();
    let shown = all.len().min(NAMED);
    for (number, database) in all.iter().take(shown).enumerate() {
        let elbow = if number + 1 == all.len() { "└─" } else { "├─" };
        let state = if database.inaccessible { LinkState::Broken } else { LinkState::Ok };
        let (word, style) = mark(state);
        let own = database.own_key.as_ref().map(|key| format!(", own key {key}")).unwrap_or_default();
        let asked = if is_asked(database) { " (asked for)" } else { "" };
        let said = format!("{}: {}{own}{asked}", database.name, database.status);
        page.branch(&format!("   {elbow} "), &format!("{word:<8}"), &style, &said, "   ");
    }
    if all.len() > shown {
        page.leaf("  ", &format!("└─ and {} more", all.len() - shown));
    }
}

fn why(page: &mut Layout, chain: &Chain) {
    let wrong: Vec<&Finding> =
        chain.diagnosis.findings.iter().filter(|finding| finding.cause != Cause::Healthy).collect();
    if wrong.is_empty() {
        return;
    }
    page.section("WHAT IS WRONG, AND HOW WE KNOW");
    for finding in wrong {
        page.text(&finding_sentence(finding, chain.diagnosis.at).to_string());
        for proof in &finding.proof {
            page.item(&proof.probe, &proof.said);
        }
    }
}

fn would(page: &mut Layout, chain: &Chain) {
    page.section("WHAT KEYMEND WOULD DO NOW");
    if !chain.in_scope {
        page.text("Nothing: it is not in scope.");
    }
    match &chain.decision {
        Decision::Close { why } => page.text(&format!("Nothing: {why}.")),
        Decision::Wait { why, until } => {
            let until = until.map(|at| format!(", and look again by {}", utc(at))).unwrap_or_default();
            page.text(&format!("Wait{until}: {why}."));
        }
        Decision::Repair { plan } => {
            page.text("Repair it by itself:");
            steps(page, plan);
        }
        Decision::Ask { plan, why } => {
            page.text(&format!("Ask a person first ({why}), then:"));
            steps(page, plan);
        }
        Decision::Observe { plan, why } => {
            page.text(&format!("Change nothing ({why}). It would:"));
            steps(page, plan);
        }
        Decision::Escalate { why, plan, .. } => {
            page.text(&format!("Call a person: {why}"));
            if let Some(plan) = plan {
                page.text("The repair that is not made:");
                steps(page, plan);
            }
        }
    }
    for hit in &chain.gates {
        page.styled(if hit.hard { "stops it" } else { "asks first" }, &bad(), &gate_sentence(hit).to_string());
    }
}

fn steps(page: &mut Layout, plan: &Plan) {
    for (number, change) in plan.changes.iter().enumerate() {
        page.item(&format!("{}.", number + 1), &change_sentence(change).to_string());
        for step in before_after(change) {
            page.under(&format!("{}: {} -> {}", step.property, step.before, step.after));
        }
        if let Some(command) = command(change) {
            page.under("by hand:");
            page.as_is(&format!("  {}", plain(&command)));
        }
    }
}

fn who(page: &mut Layout, chain: &Chain) {
    let diagnosis = &chain.diagnosis;
    let (culprit, others) = (&diagnosis.culprit, &diagnosis.protective_changes);
    if culprit.is_none() && others.is_empty() {
        return;
    }
    page.section("WHO CHANGED WHAT");
    let also = others.iter().filter(|other| Some(*other) != culprit.as_ref());
    for change in culprit.iter().chain(also) {
        page.item(&clock(change.at), &format!("{} ({})", deed(change), change.operation));
    }
}

fn clock(at: Timestamp) -> String {
    at.strftime("%m-%d %H:%M UTC").to_string()
}

fn unknown(page: &mut Layout, chain: &Chain) {
    if chain.diagnosis.unknowns.is_empty() && chain.diagnosis.missing_rights.is_empty() {
        return;
    }
    page.section("NOT KNOWN");
    for unknown in &chain.diagnosis.unknowns {
        page.text(unknown);
    }
    for right in &chain.diagnosis.missing_rights {
        page.item(
            "right missing",
            &format!("{} on {} (keymend doctor says how to give it)", right.action, right.scope),
        );
    }
}

fn mark(state: LinkState) -> (&'static str, Style) {
    match state {
        LinkState::Ok => ("ok", Style::new().green()),
        LinkState::Broken => ("BROKEN", bad()),
        LinkState::Unknown => ("unknown", warn()),
    }
}

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Whole => Style::new().green().bold(),
        Verdict::NotOurs => Style::new(),
        Verdict::Unknown => warn(),
        Verdict::Broken => bad(),
    }
}

fn bad() -> Style {
    Style::new().red().bold()
}

fn warn() -> Style {
    Style::new().yellow()
}
