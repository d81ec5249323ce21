//! The `keymend` command. See `keymend help`, and the library's front page for the map of the code.
#![forbid(unsafe_code)]
#[cfg(feature = "drill")]
mod only_sim {
    use clap::Parser;

    #[derive(Parser)]
    enum Keymend {
        /// The simulated cloud alone.
        Sim(keymend::cli::sim::SimArgs),
    }

    #[tokio::main]
    pub(super) async fn main() -> std::process::ExitCode {
        let Keymend::Sim(args) = Keymend::parse();
        keymend::cli::sim::run(args).await
    }
}

#[cfg(feature = "drill")]
fn main() -> std::process::ExitCode {
    only_sim::main()
}

#[cfg(not(feature = "drill"))]
fn main() {}
