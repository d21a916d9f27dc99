//! The built player, for a program that serves it: `build.sh` made it, `dist/BUILD.json` tells of what.

/// A file of the player.
#[derive(Debug)]
pub struct File {
    /// Its name below `/web/`.
    pub name: &'static str,
    /// What is in it.
    pub bytes: &'static [u8],
}

macro_rules! file {
    ($name:literal) => {
        File { name: $name, bytes: include_bytes!(concat!("../dist/", $name)) }
    };
}

/// All of them, by name.
pub const FILES: &[File] = &[
    file!("live.js"),
    file!("media-source.js"),
    file!("mp4.js"),
    file!("package.json"),
    file!("player.css"),
    file!("player.html"),
    file!("player.js"),
    file!("pop-player.js"),
    file!("pop.d.ts"),
    file!("pop.js"),
    file!("pop_web.js"),
    file!("pop_web_bg.wasm"),
    file!("problem.js"),
    file!("service.js"),
    file!("source.js"),
    file!("stand-in.js"),
    file!("store.js"),
    file!("sw.js"),
    file!("worker.js"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_file_is_there() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/dist");
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "BUILD.json")
            .collect();
        names.sort_unstable();
        assert_eq!(names, FILES.iter().map(|file| file.name).collect::<Vec<_>>());
    }
}
