//! Publishing: encode a file once, keep the shards on the own disk, and put every column on a
//! holder.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pop_dht::placement::distinct_columns;
use pop_erasure::{
    Content, ContentKey, ContentLink, Durability, Encoder, Geometry, Media, recommended_shard_bytes,
};
use pop_wire::{
    Amount, ColumnIndex, ColumnSet, ContentId, Keypair, Manifest, MasternodeRecord, PeerId,
    Verified,
};

use crate::directory::addresses;
use crate::disk::{Publication, PublishJournal, SourceFile};
use crate::error::NodeError;
use crate::holdings::holdings;
use crate::key_sale;
use crate::media;
use crate::node::{Inner, Node};
use crate::staging::Staging;
use crate::upload::{Distribution, UploadProgress, candidates};

/// Directory of scratch files within the data directory.
pub(crate) const STAGING: &str = "staging";

/// How a file is published.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PublishOptions {
    /// k and n; chosen from the number of masternodes if there is none.
    pub geometry: Option<(u16, u16)>,
    /// RFC 6838 media type; empty if unknown.
    pub media_type: String,
    /// Playing time in milliseconds; zero if unknown.
    pub duration_ms: u64,
    /// Asked per megabit and tier.
    pub price: Amount,
    /// Asked for the content key, once; zero if it isn't sold, or for what it was published with
    /// before. A file that was published at another price becomes another content.
    pub key_price: Amount,
}

impl PublishOptions {
    /// What the file itself tells: media type by its name, playing time by its header.
    ///
    /// # Errors
    /// [`NodeError::Input`]: it can't be read.
    pub fn for_file(path: &Path) -> Result<Self, NodeError> {
        open_input(path)?;
        let unreadable = |source| input_error(path, source);
        let duration_ms = media::duration_ms(path).map_err(unreadable)?.unwrap_or(0);
        let media_type = media::media_type(path).to_owned();
        Ok(Self { media_type, duration_ms, ..Self::default() })
    }
}

/// How far publishing has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishProgress {
    /// So many bytes of the file are encoded.
    Encoded {
        /// Bytes so far.
        bytes: u64,
    },
    /// So many bytes of all columns are with their holders.
    Uploaded {
        /// Bytes so far.
        bytes: u64,
        /// Bytes of all columns that had to be uploaded.
        total_bytes: u64,
    },
}

/// A content that is published.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Published {
    /// Its name.
    pub content: ContentId,
    /// Name and key: whoever has it can watch.
    pub link: ContentLink,
    /// What the key is sold for; zero if it isn't.
    pub key_price: Amount,
    /// k and n.
    pub geometry: Geometry,
    /// Both promises, for the network as it was found.
    pub durability: Durability,
    /// Number of segments.
    pub segments: u64,
    /// Bytes of one shard of every segment but the last.
    pub shard_bytes: u32,
    /// Who keeps which column.
    pub placement: BTreeMap<ColumnIndex, PeerId>,
}

impl Published {
    /// The name alone, for buyers of the key; nothing if it isn't sold.
    #[must_use]
    pub fn sale_link(&self) -> Option<ContentLink> {
        let is_sold = self.key_price > Amount::ZERO;
        is_sold.then_some(ContentLink { content: self.content, key: None })
    }

    /// The key alone, as it stands in a URL.
    #[must_use]
    pub fn link_key(&self) -> String {
        let link = self.link.to_string();
        link.split_once("?k=").map(|(_, key)| key.to_owned()).unwrap_or_default()
    }
}

impl Node {
    /// Encrypt, encode and scatter the file at `path`.
    ///
    /// A journal in the data directory makes it idempotent: the same call after a crash goes on
    /// where it was, and the same call for a published file gives the same link and uploads only
    /// what no live node holds any more.
    ///
    /// # Errors
    /// [`NodeError`]: the file can't be read or changed meanwhile, the network is too small for
    /// the geometry, holders refused.
    pub async fn publish(
        &self,
        path: &Path,
        options: PublishOptions,
        mut progress: impl FnMut(PublishProgress),
    ) -> Result<Published, NodeError> {
        // The file must be readable, not only there, before a journal entry names it.
        open_input(path)?;
        let source = SourceFile::at(path)?;
        let masternodes = self.inner.live_masternodes().await;
        let nodes = u32::try_from(masternodes.len()).unwrap_or(u32::MAX);
        if masternodes.is_empty() && !self.inner.settings.bootstrap.is_empty() {
            return Err(NodeError::Bootstrap { count: self.inner.settings.bootstrap.len() });
        }
        let wanted = match options.geometry {
            Some((k, n)) => Geometry::new(k, n, nodes)?,
            None => Geometry::for_network(nodes)?,
        };
        let data_dir = self.inner.settings.data_dir.clone();
        let journal = PublishJournal::open(&data_dir)?;
        let begun = begin(&journal, &source, &options)?;
        let work = Work { inner: &self.inner, source, journal, options };
        let held = work.held(&begun, &masternodes).await;
        let (content, staging) = work.encode(wanted, &begun, &held, &mut progress).await?;
        let key = ContentKey::from_bytes(*begun.content_key);
        // A key that is sold is kept before anybody hears that it is.
        key_sale::put_on_sale(&data_dir, self.peer_id(), key.clone(), content.manifest())?;
        let placement = work.place(&content, staging, held, &masternodes, &mut progress).await?;
        let geometry = content.layout().geometry();
        Ok(Published {
            content: content.id(),
            link: ContentLink { content: content.id(), key: Some(key) },
            key_price: content.manifest().key_price,
            geometry,
            durability: geometry.durability(nodes),
            segments: content.layout().segment_count(),
            shard_bytes: content.manifest().shard_bytes,
            placement,
        })
    }
}

/// Start or resume the publication of `source`. A file that was published in another shape, or at
/// another price of its key, than what is asked for now becomes another content.
fn begin(
    journal: &PublishJournal,
    source: &SourceFile,
    options: &PublishOptions,
) -> Result<Publication, NodeError> {
    let begun = journal.begin(source)?;
    let shape = begun.manifest.as_ref().map(|it| (it.data_shards, it.total_shards));
    let reshaped = options.geometry.is_some() && shape.is_some() && options.geometry != shape;
    let price = begun.manifest.as_ref().map(|it| it.key_price);
    let repriced = price.is_some_and(|price| price != options.key_price);
    if reshaped || (repriced && options.key_price != Amount::ZERO) {
        journal.forget(source)?;
        return Ok(journal.begin(source)?);
    }
    Ok(begun)
}

/// One publication under way.
struct Work<'a> {
    inner: &'a Inner,
    source: SourceFile,
    journal: PublishJournal,
    options: PublishOptions,
}

impl Work<'_> {
    /// Which live node holds what already: nothing for a content that is not encoded yet.
    async fn held(
        &self,
        begun: &Publication,
        masternodes: &[Verified<MasternodeRecord>],
    ) -> BTreeMap<PeerId, ColumnSet> {
        let Some(manifest) = &begun.manifest else { return BTreeMap::new() };
        let peers = masternodes.iter().map(|record| (record.peer, addresses(record)));
        holdings(self.inner, manifest.content_id(), peers).await
    }

    /// Encode the file, unless every column is on a live node already. The same key, salt and
    /// bytes give the same shards, so a second encoding goes on with the first one's upload.
    async fn encode(
        &self,
        wanted: Geometry,
        begun: &Publication,
        held: &BTreeMap<PeerId, ColumnSet>,
        progress: &mut impl FnMut(PublishProgress),
    ) -> Result<(Content, Option<Arc<Staging>>), NodeError> {
        if let Some(manifest) = &begun.manifest {
            let holdings: Vec<_> = held.iter().map(|(peer, set)| (*peer, *set)).collect();
            let all = usize::from(manifest.total_shards);
            if distinct_columns(&holdings, manifest.total_shards) == all {
                return Ok((Content::new(manifest.clone()).map_err(layout_error)?, None));
            }
        }
        let (geometry, shard_bytes) = match &begun.manifest {
            Some(manifest) => {
                let content = Content::new(manifest.clone()).map_err(layout_error)?;
                (content.layout().geometry(), manifest.shard_bytes)
            }
            None => {
                let duration = self.options.duration_ms;
                let duration = (duration > 0).then_some(duration);
                let bytes = self.source.length_bytes;
                (wanted, recommended_shard_bytes(wanted, bytes, duration))
            }
        };
        let encoding = Encoding {
            path: self.source.path.clone(),
            length_bytes: self.source.length_bytes,
            staging_dir: self.inner.settings.data_dir.join(STAGING),
            geometry,
            shard_bytes,
            key: ContentKey::from_bytes(*begun.content_key),
            salt: begun.salt,
            keypair: self.inner.keypair.clone(),
            media: Media {
                price: self.options.price,
                media_type: self.options.media_type.clone(),
                duration_ms: self.options.duration_ms,
                key_price: self.options.key_price,
            },
            earlier: begun.manifest.clone(),
        };
        let (manifest, staging) = encoding.run(progress).await?;
        if SourceFile::at(&self.source.path)? != self.source {
            return Err(NodeError::InputChanged { path: self.source.path.clone() });
        }
        self.journal.encoded(&self.source, &manifest)?;
        Ok((Content::new(manifest).map_err(layout_error)?, Some(Arc::new(staging))))
    }

    /// Put every column that no live node holds onto one.
    async fn place(
        &self,
        content: &Content,
        staging: Option<Arc<Staging>>,
        held: BTreeMap<PeerId, ColumnSet>,
        masternodes: &[Verified<MasternodeRecord>],
        progress: &mut impl FnMut(PublishProgress),
    ) -> Result<BTreeMap<ColumnIndex, PeerId>, NodeError> {
        let mut placement = BTreeMap::new();
        for (peer, columns) in &held {
            placement.extend(columns.iter().map(|column| (column, *peer)));
        }
        if let Some(staging) = staging {
            let there: ColumnSet = placement.keys().copied().collect();
            let missing = ColumnSet::all(content.layout().geometry().n()).difference(&there);
            let distribution = Distribution { inner: self.inner, content, staging };
            let mut shards = 0_u64;
            let column_bytes = content.layout().column_bytes();
            let total_bytes =
                column_bytes.saturating_mul(u64::try_from(missing.len()).unwrap_or(u64::MAX));
            let per_shard = column_bytes / content.layout().segment_count().max(1);
            let mut report = |event| {
                match event {
                    UploadProgress::Shards(more) => {
                        shards += more;
                        let bytes = shards.saturating_mul(per_shard).min(total_bytes);
                        progress(PublishProgress::Uploaded { bytes, total_bytes });
                    }
                    UploadProgress::Stored(column, peer) => {
                        self.journal.placed(&self.source, column, &peer)?;
                    }
                }
                Ok(())
            };
            let candidates = candidates(masternodes, &held);
            placement.extend(distribution.run(missing, candidates, &mut report).await?);
        }
        self.journal.finish(&self.source)?;
        Ok(placement)
    }
}

/// What encoding needs; runs on a blocking thread.
struct Encoding {
    path: PathBuf,
    length_bytes: u64,
    staging_dir: PathBuf,
    geometry: Geometry,
    shard_bytes: u32,
    key: ContentKey,
    salt: [u8; 32],
    keypair: Keypair,
    media: Media,
    /// What an earlier, interrupted run signed.
    earlier: Option<Verified<Manifest>>,
}

impl Encoding {
    async fn run(
        self,
        progress: &mut impl FnMut(PublishProgress),
    ) -> Result<(Verified<Manifest>, Staging), NodeError> {
        let (report, mut reports) = tokio::sync::mpsc::unbounded_channel();
        let mut work = tokio::task::spawn_blocking(move || self.encode(&report));
        loop {
            tokio::select! {
                Some(bytes) = reports.recv() => progress(PublishProgress::Encoded { bytes }),
                done = &mut work => {
                    let failed = |error| NodeError::Io {
                        action: "encode",
                        source: std::io::Error::other(error),
                    };
                    return done.map_err(failed)?;
                }
            }
        }
    }

    fn encode(
        self,
        report: &tokio::sync::mpsc::UnboundedSender<u64>,
    ) -> Result<(Verified<Manifest>, Staging), NodeError> {
        let mut file = File::open(&self.path).map_err(|source| input_error(&self.path, source))?;
        let layout = pop_erasure::Layout::new(self.geometry, self.shard_bytes, self.length_bytes)
            .map_err(layout_error)?;
        let all = ColumnSet::all(self.geometry.n());
        let name = format!("{}.shards", hex::encode(&self.salt[..8]));
        let staging = Staging::create(&self.staging_dir, &name, layout, all)?;
        let mut encoder =
            Encoder::new(self.geometry, self.shard_bytes, self.key.clone(), self.salt)?;
        loop {
            let space = encoder.space();
            if space.is_empty() {
                drain(&mut encoder, &staging)?;
                let _caller_gone = report.send(encoder.length_bytes());
                continue;
            }
            let read = file.read(space).map_err(|source| input_error(&self.path, source))?;
            if read == 0 {
                break;
            }
            encoder.advance(read)?;
            // A file that grows as fast as it is read would never end.
            if encoder.length_bytes() > self.length_bytes {
                return Err(NodeError::InputChanged { path: self.path });
            }
        }
        encoder.end();
        drain(&mut encoder, &staging)?;
        if encoder.length_bytes() != self.length_bytes {
            return Err(NodeError::InputChanged { path: self.path });
        }
        let publication = encoder.finish(&self.keypair, self.media)?;
        for segment in staging.segments() {
            if let Some(path) = publication.content_path(segment) {
                staging.write_content_path(segment, &path)?;
            }
        }
        // What an earlier run signed is the content's name; a changed file must not get it.
        match self.earlier {
            Some(earlier) if earlier.root != publication.manifest().root => {
                Err(NodeError::InputChanged { path: self.path })
            }
            Some(earlier) => Ok((earlier, staging)),
            None => Ok((publication.manifest().clone(), staging)),
        }
    }
}

fn drain(encoder: &mut Encoder, staging: &Staging) -> Result<(), NodeError> {
    while let Some(encoded) = encoder.poll() {
        for column in staging.columns() {
            let shard = encoded.shard(column).zip(encoded.segment_path(column));
            if let Some((shard, path)) = shard {
                staging.write(encoded.segment(), column, &shard, &path)?;
            }
        }
    }
    Ok(())
}

/// Open a file to be published. A pipe or a device has no length, and opening a pipe may block.
pub(crate) fn open_input(path: &Path) -> Result<File, NodeError> {
    let irregular = || std::io::Error::new(ErrorKind::InvalidInput, "expected a regular file");
    std::fs::metadata(path)
        .and_then(|it| if it.is_file() { File::open(path) } else { Err(irregular()) })
        .map_err(|source| input_error(path, source))
}

fn input_error(path: &Path, source: std::io::Error) -> NodeError {
    NodeError::Input { path: path.to_path_buf(), source }
}

fn layout_error(error: pop_erasure::LayoutError) -> NodeError {
    NodeError::Encode(error.into())
}
