use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use pop_wire::Amount;

use super::{Context, output, publish, run};
use crate::chromium;
use crate::demo::{BrowserReport, DemoOptions, DemoReport, Progress, Stage};
use crate::error::NodeError;
use crate::settings::Layer;

/// Start a network on this machine, play a film, kill nodes, keep playing.
#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// The file to play; a clip of Big Buck Bunny if absent
    file: Option<PathBuf>,
    /// Masternodes to start
    #[arg(long, value_name = "N", default_value_t = 27, value_parser = clap::value_parser!(u32).range(3..=255))]
    nodes: u32,
    /// How many per cent of them to kill while the film plays, rounded up to whole nodes
    #[arg(long, value_name = "PERCENT", default_value = "29.57", value_parser = basis_points)]
    kill: u32,
    /// End when everything was shown, instead of leaving the page open
    #[arg(long)]
    exit: bool,
    /// Let viewers in a Chromium without a window watch too, and give to each other
    #[arg(long)]
    browser: bool,
    /// The Chromium for that; if absent, the one that `POP_CHROMIUM` names, or one on the path
    #[arg(long, value_name = "FILE", requires = "browser")]
    chromium: Option<PathBuf>,
    /// Open the page in your own browser as soon as there is something to watch
    #[arg(long)]
    open: bool,
    /// Playback in Mbit/s of a file that doesn't tell its playing time
    #[arg(long, value_name = "MBIT/S", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pace: u64,
    /// Port of the page; any free one if absent
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
}

/// Per cent with up to two decimals, in hundredths of a per cent.
fn basis_points(text: &str) -> Result<u32, String> {
    let wrong = || format!("expected 0 to 100 with at most two decimals, got `{text}`");
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 2 || !decimals.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    let decimals: u32 = format!("{decimals:0<2}").parse().map_err(|_| wrong())?;
    whole
        .checked_mul(100)
        .and_then(|hundredths| hundredths.checked_add(decimals))
        .filter(|hundredths| *hundredths <= 10_000)
        .ok_or_else(wrong)
}

impl Demo {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode, NodeError> {
        let _settings = context.settings(&Layer::default())?;
        let wanted = self.browser.then(|| chromium::locate(self.chromium.as_deref()));
        let chromium = wanted.transpose()?;
        let options = DemoOptions {
            file: self.file.clone(),
            nodes: self.nodes,
            kill_basis_points: self.kill,
            pace_bit_s: self.pace.saturating_mul(1_000_000),
            http_port: self.port,
        };
        let starting = output::count_bar(u64::from(self.nodes), "start", context.json);
        let counted = |nodes: usize| starting.set_position(u64::try_from(nodes).unwrap_or(0));
        let mut stage = Stage::set_up(options, counted).await?;
        starting.finish_and_clear();
        // An interrupt ends the demo; dropping the stage ends every process of it.
        let mut interrupted = false;
        let shown = tokio::select! {
            shown = self.show(&mut stage, chromium.as_deref(), context.json) => shown,
            signal = run::wait_for_signal() => {
                interrupted = true;
                signal
            }
        };
        let report = stage.report().clone();
        if shown.is_ok() && !self.exit && !interrupted {
            eprintln!("The network stays up; watch it at {}", stage.page_url()?);
            eprintln!("Ctrl-C ends it.");
            run::wait_for_signal().await?;
        }
        stage.close().await;
        if context.json {
            output::line(&report);
        }
        shown?;
        Ok(if report.kept_its_promise() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn show(
        &self,
        stage: &mut Stage,
        chromium: Option<&Path>,
        quiet: bool,
    ) -> Result<(), NodeError> {
        let say = |line: String| {
            if !quiet {
                println!("{line}");
            }
        };
        let published = stage.publish().await?;
        if !quiet {
            publish::describe(&published);
        }
        say(format!("published  {} MB/s", stage.report().publish_mb_s));
        say(format!("watch      {}", stage.page_url()?));
        if self.open {
            open_page(&stage.page_url()?);
        }
        play(stage, chromium, (quiet, &say)).await?;
        stage.seek().await?;
        let DemoReport { seeks, seek_p95_ms, .. } = stage.report();
        say(format!("sought     {seeks} times, 95 % within {seek_p95_ms} ms"));
        stage.fetch().await?;
        let DemoReport { fetch_mb_s, cpu_s_per_gb, .. } = stage.report();
        say(format!("fetched    {fetch_mb_s} MB/s, {cpu_s_per_gb} CPU s/GB over all processes"));
        let repaired = stage.repair().await?;
        let DemoReport { redundancy_after_repair, killed_after_repair, n, .. } = stage.report();
        say(format!("repaired   {repaired} columns; {redundancy_after_repair} of {n} are live"));
        say(format!("killed     {killed_after_repair} more nodes, all the repair survives"));
        stage.fetch_again().await?;
        let identical = stage.report().second_fetch_identical;
        say(format!("fetched    the whole once more, bytes {}", verdict(identical)));
        say(paid(stage.report()));
        Ok(())
    }
}

/// Play the film to its end, here and in a browser's tabs, and kill nodes meanwhile.
async fn play(
    stage: &mut Stage,
    chromium: Option<&Path>,
    (quiet, say): (bool, &impl Fn(String)),
) -> Result<(), NodeError> {
    if let Some(chromium) = chromium {
        let bar = output::byte_bar(stage.report().bytes, "browser", quiet);
        stage.open_browser(chromium, |bytes| bar.set_position(bytes)).await?;
        bar.finish_and_clear();
        say("browser    one viewer has the film, more joined it; all play".to_owned());
    }
    let bar = output::byte_bar(stage.report().bytes, "play", quiet);
    stage
        .play_and_kill(|progress| {
            bar.set_position(progress.played_bytes);
            bar.set_prefix(playing(progress));
        })
        .await?;
    bar.finish_and_clear();
    let report = stage.report();
    say(format!(
        "played     to the end with {} of {} nodes killed: {} stalls ({} ms), bytes {}",
        report.killed,
        report.nodes,
        report.stalls,
        report.stall_ms,
        verdict(report.identical),
    ));
    stage.close_browser().await?;
    if let Some(browser) = &stage.report().browser {
        say(watched(browser));
    }
    Ok(())
}

/// Who paid, who earned, and whether it adds up.
fn paid(report: &DemoReport) -> String {
    let amount = Amount::from_base_units;
    let mut text = format!(
        "paid       {} by {} vouchers, {:.3} % of the bytes; earned {}, {} to {} a node: {}",
        amount(report.paid),
        report.vouchers,
        report.voucher_bytes_overhead * 100.0,
        amount(report.earned_total),
        amount(report.earned_min),
        amount(report.earned_max),
        if report.money_adds_up() { "it adds up" } else { "IT DOES NOT ADD UP" },
    );
    if report.browser_paid > 0 {
        text += &format!(
            "\npaid       {} by viewers on the page, {} of it to each other",
            amount(report.browser_paid),
            amount(report.browser_earned),
        );
    }
    text
}

/// What stands before the bar while the film plays.
fn playing(progress: &Progress) -> String {
    let mut text = "play".to_owned();
    if progress.killed > 0 {
        text += &format!(", {} nodes killed", progress.killed);
    }
    if let Some(browser) = progress.browser {
        text += &format!(
            ", {} tabs: {:.0} % from viewers, {} stalls",
            browser.viewers, browser.from_peers_percent, browser.stalls
        );
    }
    text
}

/// What the viewers in the browser saw.
fn watched(browser: &BrowserReport) -> String {
    format!(
        "browser    {} viewers to the end: {} stalls, bytes {}; of {} that came to those who \
         joined, {:.2} % from viewers",
        browser.browser_viewers,
        browser.browser_stalls,
        verdict(browser.browser_identical),
        output::megabytes(browser.browser_bytes),
        browser.browser_bytes_from_peers_percent,
    )
}

/// Open the page in the user's browser. Without one, the link that was printed is enough.
fn open_page(url: &str) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = (Stdio::null(), Stdio::null(), Stdio::null());
    let mut command = Command::new(opener);
    command.arg(url).stdin(quiet.0).stdout(quiet.1).stderr(quiet.2);
    if let Err(error) = command.spawn() {
        eprintln!("pop-node: {opener}: {error}; open the link above yourself");
    }
}

fn verdict(identical: bool) -> &'static str {
    if identical { "identical" } else { "NOT IDENTICAL" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn per_cent_are_read_exactly() {
        assert_eq!(basis_points("29.57"), Ok(2957));
        assert_eq!(basis_points("30"), Ok(3000));
        assert_eq!(basis_points("0.5"), Ok(50));
        assert_eq!(basis_points("100"), Ok(10_000));
        for wrong in ["100.01", "-1", "1.234", "", ".5", "a", "1.a"] {
            assert!(basis_points(wrong).is_err(), "{wrong}");
        }
    }
}
