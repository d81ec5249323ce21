//! The forms by which people answer.

use jiff::Timestamp;

use super::ticket::{Answers, May};
use crate::domain::incident::{Approval, Incident};
use crate::notify::texts::clocks::date_and_clock;
use crate::notify::texts::words::{Line, clean};
use crate::responder::answer::code;
use crate::web::App;
use crate::web::pages::access::Reader;
use crate::web::pages::html::{Html, line, text};

/// A form's buttons: the word it sends, what it says, how it looks.
type Button = (&'static str, String, &'static str);

/// The answer to a question, or why this reader cannot give one here.
#[must_use]
pub fn question(incident: &Incident, approval: &Approval, reader: &Reader, app: &App, now: Timestamp) -> Html {
    let hash = Some(approval.plan_hash.as_str());
    let may = app.pages.may(reader, hash, now);
    let (Some(answers), May::Answer { weak }) = (&app.pages.answers, may) else { return why_not(may) };
    let buttons: [Button; 4] = [
        ("approve", format!("Approve {}", code(approval)), "primary"),
        ("reject", "Reject".to_owned(), "plain"),
        ("hold", "Hold".to_owned(), "plain"),
        ("take_over", "Take over".to_owned(), "plain"),
    ];
    let sure = Html::default().raw(
        "<p class=\"sure\"><label><input type=\"checkbox\" name=\"sure\" value=\"yes\" required> I have read exactly what \
         will change</label></p>",
    );
    let server = approval.plan.servers.first().map(|server| server.name().to_owned()).filter(|_| weak);
    let means = Html::default()
        .raw("<dl class=\"means\">")
        .html(meaning("Approve", "Keymend looks again; if nothing has changed, it does exactly this, once."))
        .html(meaning("Reject", "nothing is changed. The incident stays open, watched and with a person."))
        .html(meaning("Hold", "nothing is changed until somebody releases it: you want to think, or ask."))
        .html(meaning("Take over", "you mend it yourself. Keymend changes nothing, watches, and says when it is over."))
        .raw("</dl>");
    form(Form { incident, plan: hash, reader, answers, server, sure, buttons: &buttons, now }).html(means)
}

/// Hold and take over where no question waits, or release.
#[must_use]
pub fn hold(incident: &Incident, reader: &Reader, app: &App, now: Timestamp) -> Option<Html> {
    let May::Answer { weak } = app.pages.may(reader, None, now) else { return held(incident, Html::default()) };
    let answers = app.pages.answers.as_ref()?;
    let server = incident.servers().next().map(|server| server.name().to_owned()).filter(|_| weak);
    let with = |buttons: &[Button]| {
        let server = server.clone();
        form(Form { incident, plan: None, reader, answers, server, sure: Html::default(), buttons, now })
    };
    if incident.hold.is_some() {
        return held(incident, with(&[("release", "Release: Keymend goes on".to_owned(), "primary")]));
    }
    if incident.ended_at.is_some() && !incident.is_restoring() {
        return None;
    }
    let form = with(&[("hold", "Hold".to_owned(), "plain"), ("take_over", "Take over".to_owned(), "plain")]);
    let why = "Hold it, and nothing is changed until somebody releases it. Take it over, and everybody is told that you mend it.";
    let inside = Html::default()
        .raw("<summary>Keep Keymend from changing anything</summary>")
        .element("p class=\"soft\"", text(why))
        .html(form);
    Some(Html::default().element("details class=\"card\" data-fold=\"hold\"", inside))
}

/// Who holds it, and the form to release it.
fn held(incident: &Incident, release: Html) -> Option<Html> {
    let hold = incident.hold.as_ref()?;
    let what = if hold.taken_over { " has taken this incident over" } else { " holds this incident" };
    let mut said = Line::default().name(&hold.by).say(format!("{what} since {}", date_and_clock(hold.at)));
    if let Some(why) = hold.why.as_ref().filter(|why| !why.is_empty()) {
        said = said.say(": ").quote(why);
    }
    let inside = Html::default()
        .element("h2", text("On hold"))
        .element("p", line(&said))
        .element("p", text("Keymend watches and changes nothing."))
        .html(release);
    Some(Html::default().element("section class=\"card hold\" aria-label=\"On hold\"", inside))
}

struct Form<'a> {
    incident: &'a Incident,
    plan: Option<&'a str>,
    reader: &'a Reader,
    answers: &'a Answers,
    /// To be typed.
    server: Option<String>,
    sure: Html,
    buttons: &'a [Button],
    now: Timestamp,
}

fn form(form: Form<'_>) -> Html {
    let Form { incident, plan, reader, answers, server, sure, buttons, now } = form;
    let (ticket, number) = answers.ticket(incident, plan, reader, now);
    let first = buttons.first().map(|(word, ..)| *word).unwrap_or_default();
    let name = |of: &str| format!("{of}-{first}");
    let server = server.map(|server| {
        let label = format!("Type the server's name, {}, to show that you mean it", clean(&server, 128));
        field("server", &name("server"), &label, true)
    });
    let why = field("why", &name("why"), "Why (optional, for the record)", false);
    let choices = Html::default().each(buttons, |(word, says, look)| {
        let novalidate = if *word == "approve" { "" } else { " formnovalidate" };
        Html::default()
            .raw("<button name=\"answer\"")
            .attribute("value", word)
            .attribute("class", look)
            .raw(novalidate)
            .raw(">")
            .text(says)
            .raw("</button>")
    });
    Html::default()
        .raw("<form method=\"post\"")
        .attribute("action", address(incident, reader))
        .attribute("data-keep", number)
        // The first button of a form is what the Enter key presses: this one does nothing.
        .raw("><button disabled hidden></button><input type=\"hidden\" name=\"ticket\"")
        .attribute("value", ticket)
        .raw(">")
        .html(sure)
        .maybe(server)
        .html(why)
        .element("p class=\"choices\"", choices)
        .raw("</form>")
}

fn field(key: &'static str, id: &str, label: &str, required: bool) -> Html {
    Html::default()
        .raw("<p class=\"field\"><label")
        .attribute("for", id)
        .raw(">")
        .text(label)
        .raw("</label><input autocomplete=\"off\" maxlength=\"500\"")
        .attribute("id", id)
        .attribute("name", key)
        .raw(if required { " required>" } else { ">" })
        .raw("</p>")
}

/// Where forms are sent: with the link that the page was opened by.
fn address(incident: &Incident, reader: &Reader) -> String {
    let link = reader.link.as_ref().map(|link| {
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("t", link).finish();
        format!("?{query}")
    });
    format!("/api/incidents/{}/answer{}", incident.id, link.unwrap_or_default())
}

fn meaning(word: &'static str, means: &'static str) -> Html {
    Html::default().raw("<div>").element("dt", text(word)).element("dd", text(means)).raw("</div>")
}

fn why_not(may: May) -> Html {
    let why = match may {
        May::Answer { .. } => return Html::default(),
        May::NotYou => {
            "You may read this and not decide: you are in none of the groups named under [pages] approvers. Somebody who is \
             opens this same page."
        }
        May::Nobody => {
            "It cannot be answered in a browser here: that needs people who sign in, and a group of approvers under [pages]."
        }
        May::OtherLink => {
            "The link that you followed is not for this question. Follow the link in the newest message: it is for the plan \
             that waits now."
        }
        May::LateLink => {
            "The link that you followed came too late for a decision. Follow the link in the newest message."
        }
    };
    Html::default().element("p class=\"soft\"", text(why))
}
