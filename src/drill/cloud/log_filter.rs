//! The `$filter` of the Activity Log.

use jiff::Timestamp;

use super::log_entry::Entry;

/// Which entries a `$filter` selects.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    by: Option<(By, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    ResourceUri,
    ResourceGroup,
    Provider,
    Correlation,
}

impl Filter {
    /// Reads a filter; "no other syntax is allowed" than a span of time and at most one property.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut filter = Self::default();
        for term in text.split(" and ") {
            let mut words = term.split_whitespace();
            let (name, operator) = (words.next()?, words.next()?);
            let rest = words.collect::<Vec<_>>().join(" ");
            let value = rest.trim_matches('\'').to_owned();
            if value.is_empty() {
                return None;
            }
            match (name.to_ascii_lowercase().as_str(), operator) {
                ("eventtimestamp", "ge") => filter.from = Some(value.parse().ok()?),
                ("eventtimestamp", "le") => filter.to = Some(value.parse().ok()?),
                ("eventchannels", "eq") => {}
                (name, "eq") if filter.by.is_none() => {
                    let by = match name {
                        "resourceuri" | "resourceid" => By::ResourceUri,
                        "resourcegroupname" => By::ResourceGroup,
                        "resourceprovider" => By::Provider,
                        "correlationid" => By::Correlation,
                        _ => return None,
                    };
                    filter.by = Some((by, value));
                }
                _ => return None,
            }
        }
        filter.from.is_some().then_some(filter)
    }

    pub(super) fn selects(&self, entry: &Entry) -> bool {
        let in_time = self.from.is_none_or(|from| entry.at >= from) && self.to.is_none_or(|to| entry.at <= to);
        in_time
            && self.by.as_ref().is_none_or(|(by, value)| {
                let field = match by {
                    By::ResourceUri => entry.resource.as_str().to_owned(),
                    By::ResourceGroup => entry.resource.resource_group().unwrap_or_default().to_owned(),
                    By::Provider => entry.provider(),
                    By::Correlation => entry.correlation.clone(),
                };
                field.eq_ignore_ascii_case(value)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;

    #[test]
    fn only_the_documented_filters_are_read() {
        let span = "eventTimestamp ge '2026-11-20T00:00:00Z' and eventTimestamp le '2026-11-21T00:00:00Z'";
        assert!(Filter::parse(span).is_some());
        assert!(Filter::parse(&format!("{span} and resourceGroupName eq 'rg-data'")).is_some());
        assert!(Filter::parse(&format!("{span} and resourceUri eq '/subscriptions/s'")).is_some());
        for bad in [
            "",
            "resourceGroupName eq 'rg-data'",
            &format!("{span} and operationName eq 'x'"),
            &format!("{span} and resourceGroupName ne 'x'"),
            &format!("{span} and resourceGroupName eq 'x' and resourceUri eq 'y'"),
        ] {
            assert_eq!(Filter::parse(bad), None, "{bad}");
        }
    }
}
