//! `docs/observability.md` and the page tell of the same metrics.

use std::collections::{BTreeMap, BTreeSet};

use crate::stage::Stage;
use crate::story::Story;

/// A documented metric: type and labels.
type Documented = BTreeMap<String, (String, BTreeSet<String>)>;

/// The rows of the document whose first cell is a metric.
fn documented() -> Documented {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/observability.md")).unwrap();
    let mut metrics = Documented::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, about] = cells[..] else { continue };
        if !["counter", "gauge", "histogram"].contains(&kind) {
            continue;
        }
        assert!(about.len() > 10, "{line}");
        let labels = labels.split(',').map(|label| label.trim().trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty() && label != "–").collect();
        let known = metrics.insert(name.trim_matches('`').to_owned(), (kind.to_owned(), labels));
        assert!(known.is_none(), "{name} is documented twice");
    }
    metrics
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_documented_is_what_is_told() {
    let stage = Stage::open(Story::vault_deleted(), &[("KEYMEND_PATROL_ENABLED", "true")]).await;
    stage.break_it();
    stage.until_over().await;
    // The page that is read for the first time is counted when it has been answered.
    stage.metrics().await;
    let page = stage.metrics().await;
    let told: Documented =
        page.families.iter().map(|(name, kind)| (name.clone(), (kind.clone(), page.labels(name)))).collect();
    assert_eq!(documented(), told);
    stage.stop().await;
}

/// Every metric that an alert rule of the document asks for exists.
#[test]
fn alert_rules_ask_for_metrics_that_exist() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/observability.md")).unwrap();
    let known = documented();
    let rules =
        text.split("```yaml\ngroups:").nth(1).and_then(|rest| rest.split("```").next()).expect("there are rules");
    let asked = regex::Regex::new("(?:keymend|process|http)_[a-z_]+").unwrap();
    let mut count = 0;
    for name in asked.find_iter(rules).map(|found| found.as_str()) {
        let family = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(known.contains_key(family), "{name}");
        count += 1;
    }
    assert!(count >= 4);
}
