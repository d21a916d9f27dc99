use clap::CommandFactory as _;

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// Which shell
    shell: clap_complete::Shell,
}

impl Completions {
    pub(super) fn run(self) {
        let mut command = super::Cli::command();
        clap_complete::generate(self.shell, &mut command, "pop-node", &mut std::io::stdout());
    }
}
