//! Every metric that there is: its name, unit and meaning. `docs/observability.md` says what the labels mean.

use std::sync::OnceLock;

use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};

/// From seconds to a day: how long people wait for an incident.
const LONG: [f64; 16] = [
    5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1200.0, 1800.0, 2700.0, 3600.0, 7200.0, 14_400.0, 28_800.0,
    86_400.0,
];
/// From milliseconds to minutes: how long a job or a request takes.
const SHORT: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// From half a millisecond to seconds: how long the store takes.
const QUICK: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The instruments of this process, once somebody reads them.
static INSTRUMENTS: OnceLock<Instruments> = OnceLock::new();

/// What the functions of [`super::count`] write to.
#[derive(Debug)]
pub(super) struct Instruments {
    pub signals: Counter<u64>,
    pub opened: Counter<u64>,
    pub diagnosed: Counter<u64>,
    pub phases: Counter<u64>,
    pub ended: Counter<u64>,
    pub to_notice: Histogram<f64>,
    pub to_diagnosis: Histogram<f64>,
    pub to_repair: Histogram<f64>,
    pub to_online: Histogram<f64>,
    pub writes: Counter<u64>,
    pub jobs: Counter<u64>,
    pub job: Histogram<f64>,
    pub notices: Counter<u64>,
    pub patrols: Counter<u64>,
    pub patrol_requests: Counter<u64>,
    pub patrol_found: Counter<u64>,
    pub azure: Counter<u64>,
    pub azure_request: Histogram<f64>,
    pub throttles: Counter<u64>,
    pub throttle_wait: Counter<f64>,
    pub store_call: Histogram<f64>,
    pub store_errors: Counter<u64>,
    pub http: Histogram<f64>,
    pub export_failures: Counter<u64>,
    pub started: Gauge<f64>,
    pub build: Gauge<u64>,
}

impl Instruments {
    fn of(meter: &Meter) -> Self {
        let counter = |name: &'static str, unit: &'static str, about: &'static str| {
            meter.u64_counter(name).with_unit(unit).with_description(about).build()
        };
        let timer = |name: &'static str, steps: &[f64], about: &'static str| {
            let timer = meter.f64_histogram(name).with_unit("s").with_description(about);
            timer.with_boundaries(steps.to_vec()).build()
        };
        Self {
            signals: counter("keymend.signals", "{signal}", "What we were told, by kind and by what became of it"),
            opened: counter("keymend.incidents.opened", "{incident}", "Incidents that were opened"),
            diagnosed: counter("keymend.incidents.diagnosed", "{incident}", "Incidents whose cause was found"),
            phases: counter("keymend.incidents.phase_changes", "{change}", "Incidents that came into a phase"),
            ended: counter("keymend.incidents.ended", "{incident}", "Incidents that ended, by how"),
            to_notice: timer(
                "keymend.incident.time_to_notice",
                &LONG,
                "From the loss of access until the first notice was delivered, by channel",
            ),
            to_diagnosis: timer(
                "keymend.incident.time_to_diagnosis",
                &LONG,
                "From the loss of access until its cause was found",
            ),
            to_repair: timer(
                "keymend.incident.time_to_repair",
                &LONG,
                "From the loss of access until the first change that mends it was made",
            ),
            to_online: timer(
                "keymend.incident.time_to_online",
                &LONG,
                "From the loss of access until every database was seen in service again",
            ),
            writes: counter("keymend.writes", "{change}", "Changes of Azure, by remedy and outcome"),
            jobs: counter("keymend.jobs", "{job}", "Jobs, by kind and by how they ended"),
            job: timer("keymend.job.duration", &SHORT, "How long jobs took, by kind"),
            notices: counter("keymend.notices", "{attempt}", "Notices, by channel and by how sending them went"),
            patrols: counter("keymend.patrol.rounds", "{round}", "Rounds of the patrol, by how they ended"),
            patrol_requests: counter(
                "keymend.patrol.requests",
                "{request}",
                "Requests to the Resource Manager that the patrol sent",
            ),
            patrol_found: counter("keymend.patrol.found", "{signal}", "What the patrol found broken or down, and told"),
            azure: counter("keymend.azure.requests", "{request}", "Requests to Azure, every try counted"),
            azure_request: timer("keymend.azure.request.duration", &SHORT, "How long one try took, by service"),
            throttles: counter("keymend.azure.throttles", "{answer}", "Answers by which Azure asked us to slow down"),
            throttle_wait: meter
                .f64_counter("keymend.azure.throttle.wait")
                .with_unit("s")
                .with_description("How long we waited because of that")
                .build(),
            store_call: timer("keymend.store.call.duration", &QUICK, "How long the store took, by call"),
            store_errors: counter("keymend.store.errors", "{error}", "Calls that the store refused or failed at"),
            http: timer("http.server.request.duration", &SHORT, "How long answering a request took"),
            export_failures: counter(
                "keymend.telemetry.export_failures",
                "{export}",
                "Deliveries to the collector that failed; what they carried is lost or tried again",
            ),
            started: meter
                .f64_gauge("process.start_time")
                .with_unit("s")
                .with_description("When this process started, in seconds since 1970")
                .build(),
            build: meter.u64_gauge("keymend.build.info").with_description("Always 1; the label is the version").build(),
        }
    }
}

/// Makes the instruments. Only the first call does anything.
pub(super) fn open(meter: &Meter) -> &'static Instruments {
    INSTRUMENTS.get_or_init(|| Instruments::of(meter))
}

/// The instruments, if anybody reads them.
pub(super) fn instruments() -> Option<&'static Instruments> {
    INSTRUMENTS.get()
}
