//! A strict reader of Prometheus text, format 0.0.4 (Prometheus documentation, "Exposition formats"): what it does not
//! accept, it panics about.

use std::collections::{BTreeMap, BTreeSet};

/// Labels of a sample.
pub type Labels = BTreeMap<String, String>;

/// Everything on one page.
#[derive(Debug, Default)]
pub struct Samples {
    /// Name and type of each family.
    pub families: BTreeMap<String, String>,
    samples: Vec<(String, Labels, f64)>,
}

impl Samples {
    /// Reads a page.
    pub fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line ends");
        let mut page = Self::default();
        let (mut helped, mut current) = (BTreeSet::new(), String::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "one help a family: {line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(helped.contains(name), "help comes first: {line}");
                let known = page.families.insert(name.to_owned(), kind.to_owned());
                assert_eq!(known, None, "all of a family stands together: {line}");
                name.clone_into(&mut current);
            } else {
                let (name, labels, value) = sample(line);
                let kind = &page.families[&current];
                let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                let belongs = suffixes.iter().any(|suffix| name == format!("{current}{suffix}"));
                assert!(belongs, "{line} stands among {current}");
                assert!(kind != "counter" || name.ends_with("_total") && value >= 0.0, "{line}");
                let twice = page.samples.iter().any(|(other, its, _)| *other == name && *its == labels);
                assert!(!twice, "said twice: {line}");
                page.samples.push((name, labels, value));
            }
        }
        page.check_histograms();
        page
    }

    fn check_histograms(&self) {
        for (name, labels, count) in self.samples.iter().filter(|(name, _, _)| name.ends_with("_count")) {
            let family = name.trim_end_matches("_count");
            let mut steps: Vec<(f64, f64)> = self
                .all(&format!("{family}_bucket"))
                .filter(|(its, _)| labels.iter().all(|(key, value)| its.get(key) == Some(value)))
                .map(|(its, value)| (its["le"].replace("+Inf", "inf").parse().unwrap(), value))
                .collect();
            steps.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(steps.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{name}: buckets add up");
            assert_eq!(steps.last().copied(), Some((f64::INFINITY, *count)), "{name}: the last bucket holds all");
        }
    }

    /// All samples of a name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = (&Labels, f64)> {
        self.samples.iter().filter(move |(its, _, _)| its == name).map(|(_, labels, value)| (labels, *value))
    }

    /// The sum of the samples that have these labels; nought if there are none.
    pub fn sum(&self, name: &str, wanted: &[(&str, &str)]) -> f64 {
        let has = |labels: &Labels| wanted.iter().all(|(key, value)| labels.get(*key).is_some_and(|its| its == value));
        self.all(name).filter(|(labels, _)| has(labels)).map(|(_, value)| value).sum()
    }

    /// The sums over all that agree in one label.
    pub fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for (labels, value) in self.all(name) {
            *sums.entry(labels[label].clone()).or_default() += value;
        }
        sums
    }

    /// Every value of every label.
    pub fn label_values(&self) -> BTreeSet<String> {
        self.samples.iter().flat_map(|(_, labels, _)| labels.values().cloned()).collect()
    }

    /// The labels of each family, without those of the format.
    pub fn labels(&self, family: &str) -> BTreeSet<String> {
        let of =
            |name: &str| name == family || ["_bucket", "_count"].iter().any(|end| name == format!("{family}{end}"));
        let labels = self.samples.iter().filter(|(name, _, _)| of(name)).flat_map(|(_, labels, _)| labels.keys());
        labels.filter(|label| *label != "le").cloned().collect()
    }

    pub fn len(&self) -> usize {
        self.samples.len()
    }
}

fn sample(line: &str) -> (String, Labels, f64) {
    let (head, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line:?}"));
    let value: f64 = value.replace("+Inf", "inf").parse().unwrap_or_else(|_| panic!("no value: {line:?}"));
    let (name, labels) = match head.split_once('{') {
        Some((name, rest)) => (name, labels(rest.strip_suffix('}').unwrap_or_else(|| panic!("not closed: {line:?}")))),
        None => (head, Labels::new()),
    };
    assert!(is_name(name, true), "{line:?}");
    (name.to_owned(), labels, value)
}

fn labels(mut rest: &str) -> Labels {
    let mut labels = Labels::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {rest:?}"));
        assert!(is_name(name, false), "{name:?}");
        // None of our labels holds a character that would have to be escaped.
        let (value, after) = after.split_once('"').unwrap();
        assert!(!value.contains('\\'), "{value:?}");
        assert!(labels.insert(name.to_owned(), value.to_owned()).is_none(), "a label twice: {rest:?}");
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    labels
}

fn is_name(name: &str, colon: bool) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || colon && c == ':';
    name.starts_with(|c: char| !c.is_ascii_digit()) && !name.is_empty() && name.chars().all(fits)
}

#[test]
fn it_reads_strictly() {
    let page = "# HELP a_total x\n# TYPE a_total counter\na_total{k=\"v\"} 2\na_total{k=\"w\"} 1\n";
    let read = Samples::read(page);
    assert_eq!((read.sum("a_total", &[("k", "v")]), read.sum("a_total", &[])), (2.0, 3.0));
    for bad in [
        "a_total 1\n",
        "# HELP a_total x\n# TYPE a_total counter\na_total 1",
        "# HELP a_total x\n# TYPE a_total counter\na_total 1\na_total 2\n",
        "# HELP a x\n# TYPE a counter\na 1\n",
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
    ] {
        assert!(std::panic::catch_unwind(|| Samples::read(bad)).is_err(), "{bad}");
    }
}
