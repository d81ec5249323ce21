//! What of the list is shown: open or past, and what was searched for.

use axum::http::Uri;
use url::form_urlencoded::Serializer;

use crate::domain::diagnosis::Cause;
use crate::domain::incident::Incident;
use crate::notify::texts::cause_name;

/// So many incidents are on one page.
pub(super) const ON_A_PAGE: usize = 25;
/// So many of the newest are searched.
pub(super) const SEARCHED: usize = 500;
/// The furthest page.
const LAST_PAGE: usize = 40;

/// Which incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    Open,
    Past,
    All,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    pub show: Show,
    /// Words that must all be found.
    pub search: String,
    /// Counts from 1.
    pub page: usize,
}

impl Show {
    pub const ALL: [(Self, &'static str, &'static str); 3] =
        [(Self::All, "all", "All"), (Self::Open, "open", "Open"), (Self::Past, "past", "Past")];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(show, ..)| *show == self).map_or("all", |(_, word, _)| word)
    }
}

impl Filter {
    /// Reads the query. What is not known is left out.
    pub fn of(uri: &Uri) -> Self {
        let mut filter = Self { show: Show::All, search: String::new(), page: 1 };
        for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            match &*name {
                "show" => {
                    let known = Show::ALL.iter().find(|(_, word, _)| value.eq_ignore_ascii_case(word));
                    filter.show = known.map_or(Show::All, |(show, ..)| *show);
                }
                "q" => filter.search = value.trim().chars().take(200).collect(),
                "page" => filter.page = value.parse().unwrap_or(1).clamp(1, LAST_PAGE),
                _ => {}
            }
        }
        filter
    }

    /// The address of the list with this filter.
    pub fn address(&self) -> String {
        let mut query = Serializer::new(String::new());
        if self.show != Show::All {
            query.append_pair("show", self.show.word());
        }
        if !self.search.is_empty() {
            query.append_pair("q", &self.search);
        }
        if self.page > 1 {
            query.append_pair("page", &self.page.to_string());
        }
        let query = query.finish();
        if query.is_empty() { super::INCIDENTS.to_owned() } else { format!("{}?{query}", super::INCIDENTS) }
    }

    /// How many of the newest incidents have to be read to fill the page with past ones, and to see whether there are
    /// more, when so many are open.
    pub fn reads(&self, open: usize) -> usize {
        if self.search.is_empty() { open + self.page * ON_A_PAGE + 1 } else { SEARCHED }
    }

    /// Whether the incident is one of those.
    pub fn takes(&self, incident: &Incident) -> bool {
        let open = incident.ended_at.is_none();
        let shown = match self.show {
            Show::Open => open,
            Show::Past => !open,
            Show::All => true,
        };
        shown && self.search.split_whitespace().all(|word| finds(incident, &word.to_lowercase()))
    }
}

/// Whether a word, in lower case, is in what people know an incident by: id, vault, servers, databases, cause, phase.
fn finds(incident: &Incident, word: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(word);
    let cause = |cause: Cause| {
        let name = serde_json::to_value(cause).unwrap_or_default();
        has(cause_name(cause)) || name.as_str().is_some_and(&has)
    };
    has(&incident.id.0)
        || incident.vault.as_ref().is_some_and(|vault| has(&vault.to_string()))
        || has(incident.phase.words())
        || incident.cause_in_short().is_some_and(cause)
        || incident.members.values().any(|member| {
            has(member.server.name()) || member.databases.union(&member.inaccessible).any(|name| has(name))
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_writes_the_query() {
        let read = |query: &str| Filter::of(&format!("/api/incidents?{query}").parse().unwrap());
        let filter = read("show=past&q=%20shop%26kv+x&page=3&other=1");
        assert_eq!(filter, Filter { show: Show::Past, search: "shop&kv x".to_owned(), page: 3 });
        assert_eq!(Filter::of(&filter.address().parse().unwrap()), filter);
        assert_eq!(read("show=none&page=-1").address(), "/api/incidents");
        assert_eq!(read("page=99999").page, LAST_PAGE);
    }

    proptest! {
        #[test]
        fn an_address_leads_to_its_filter(search in "[^\\s]{0,20}", page in 1_usize..40) {
            let filter = Filter { show: Show::Open, search: search.trim().to_owned(), page };
            prop_assert_eq!(Filter::of(&filter.address().parse().unwrap()), filter);
        }
    }
}
