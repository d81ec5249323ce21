//! stub
#[derive(Debug, clap::Args)]
pub struct IncidentsArgs {}
pub async fn run(_args: IncidentsArgs) -> std::process::ExitCode { std::process::ExitCode::FAILURE }
