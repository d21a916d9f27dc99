//! Columns in: verified before they are written, stored when they are whole and durable
//! (`spec/exchange.md` §8).

use pop_erasure::Content;
use pop_wire::message::{ColumnReply, ColumnState, Credit, OpenColumn, PutShard, RefusalReason};
use pop_wire::{ColumnIndex, Instant, Message, PeerId, RequestId, SegmentIndex};

use super::{Event, Operation, Output, Provider, StoreOperation, StoreResult, Token};
use crate::limits::{BUSY_RETRY_MS, UPLOAD_IDLE_TIMEOUT_MS, UPLOADS_PER_LINK_MAX};
use crate::{Fault, LinkId, ShardWithProof};

/// One column on its way in.
#[derive(Debug)]
pub(super) struct Upload {
    serial: u64,
    content: Content,
    column: ColumnIndex,
    /// First segment that was not received.
    next: u64,
    /// First segment that is not written.
    written: u64,
    /// Payload handed to the store and not written yet.
    writing_bytes: u64,
    stage: Stage,
    active_at: Instant,
}

/// ```text
/// OpenColumn -> Opening --ColumnOpened--> Open --SealColumn--> Closing --all written-->
///     Sealing --ColumnStored--> gone; a refusal or the end of the link ends it anywhere
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The shell decides.
    Opening,
    /// Shards are taken.
    Open,
    /// All shards came, some are not written.
    Closing,
    /// The store makes it durable.
    Sealing,
}

impl Provider {
    pub(super) fn open_column(&mut self, from: LinkId, open: OpenColumn) -> Result<(), Fault> {
        let OpenColumn { id, manifest, column } = open;
        let Some(link) = self.links.get_mut(&from) else { return Ok(()) };
        link.duplicate(id)?;
        let peer = link.peer;
        let window = self.config.upload_window_bytes;
        let total = u64::try_from(self.config.uploads_max).unwrap_or(u64::MAX);
        let taken = u64::try_from(self.columns_open.len()).unwrap_or(u64::MAX);
        let room = total.saturating_sub(taken).saturating_mul(window);
        // spec/exchange.md §8: limits before anything is kept, or a signature is checked.
        if link.uploads.len() >= UPLOADS_PER_LINK_MAX || room < window + self.orphan_write_bytes {
            self.refuse(from, id, RefusalReason::Busy, BUSY_RETRY_MS);
            return Ok(());
        }
        let manifest = manifest.verify().map_err(|_| Fault::BadManifest { id })?;
        let content = Content::new(manifest.clone()).map_err(|_| Fault::BadManifest { id })?;
        if column.get() >= manifest.total_shards {
            self.refuse(from, id, RefusalReason::Malformed, 0);
            return Ok(());
        }
        if !self.columns_open.insert((content.id(), column)) {
            self.refuse(from, id, RefusalReason::Busy, BUSY_RETRY_MS);
            return Ok(());
        }
        let serial = self.next_serial();
        let upload = Upload {
            serial,
            content,
            column,
            next: 0,
            written: 0,
            writing_bytes: 0,
            stage: Stage::Opening,
            active_at: self.now,
        };
        if let Some(link) = self.links.get_mut(&from) {
            link.uploads.insert(id, upload);
        }
        let operation = Operation::Open { link: from, id, serial };
        self.start(operation, StoreOperation::OpenColumn { peer, manifest, column });
        Ok(())
    }

    pub(super) fn put_shard(&mut self, from: LinkId, put: PutShard) -> Result<(), Fault> {
        let Some(link) = self.links.get_mut(&from) else { return Ok(()) };
        link.received.receive(put.payload.len())?;
        let PutShard { id, segment, segment_path, content_path, payload } = put;
        // The upload may have been refused while this was on its way.
        let Some(upload) = link.uploads.get_mut(&id) else { return Ok(()) };
        if upload.stage != Stage::Open {
            return Err(Fault::Unexpected { got: "put shard" });
        }
        if segment.0 != upload.next {
            return Err(Fault::OutOfOrder { expected: SegmentIndex(upload.next), got: segment });
        }
        let column = upload.column;
        // spec/exchange.md §8: verified before it is written.
        let shard = upload
            .content
            .verify_shard(segment, column, payload, segment_path, content_path)
            .map_err(|_| Fault::BadShard { segment, column })?;
        let bytes = u64::try_from(shard.payload().len()).unwrap_or(u64::MAX);
        upload.next += 1;
        upload.writing_bytes += bytes;
        upload.active_at = self.now;
        let (content, serial) = (upload.content.id(), upload.serial);
        let shard = ShardWithProof::from(&shard);
        let operation = Operation::Write { link: from, id, serial, bytes };
        self.start(operation, StoreOperation::WriteShard { content, column, segment, shard });
        Ok(())
    }

    pub(super) fn seal_column(&mut self, from: LinkId, id: RequestId) -> Result<(), Fault> {
        let Some(link) = self.links.get_mut(&from) else { return Ok(()) };
        let Some(upload) = link.uploads.get_mut(&id) else { return Ok(()) };
        if upload.stage != Stage::Open {
            return Err(Fault::Unexpected { got: "seal column" });
        }
        // spec/exchange.md §8: only a whole column can be sealed.
        if upload.next < upload.content.layout().segment_count() {
            self.refuse_upload(from, id, RefusalReason::Malformed, 0);
            return Ok(());
        }
        upload.stage = Stage::Closing;
        upload.active_at = self.now;
        self.seal_if_written(from, id);
        Ok(())
    }

    /// The shell decided about an upload.
    pub(super) fn column_opened(
        &mut self,
        link: LinkId,
        id: RequestId,
        serial: u64,
        result: StoreResult,
    ) {
        let Some(upload) = self.upload(link, id, serial) else { return };
        match result {
            StoreResult::ColumnOpened { next_segment } => {
                let count = upload.content.layout().segment_count();
                upload.stage = Stage::Open;
                upload.next = next_segment.0.min(count);
                upload.written = upload.next;
                self.reply(link, id);
                self.top_up(link);
            }
            StoreResult::ColumnStored => self.stored(link, id),
            other => self.upload_failed(link, id, &other),
        }
    }

    pub(super) fn shard_written(
        &mut self,
        link: LinkId,
        (id, serial): (RequestId, u64),
        bytes: u64,
        result: StoreResult,
    ) {
        let Some(upload) = self.upload(link, id, serial) else {
            self.orphan_write_bytes -= bytes;
            return;
        };
        upload.writing_bytes -= bytes;
        if !matches!(result, StoreResult::Written) {
            self.upload_failed(link, id, &result);
            return;
        }
        upload.written += 1;
        self.top_up(link);
        self.seal_if_written(link, id);
    }

    pub(super) fn column_sealed(
        &mut self,
        link: LinkId,
        id: RequestId,
        serial: u64,
        result: StoreResult,
    ) {
        let Some(upload) = self.upload(link, id, serial) else { return };
        if !matches!(result, StoreResult::ColumnStored) {
            self.upload_failed(link, id, &result);
            return;
        }
        let (content, column) = (upload.content.id(), upload.column);
        let Some(from) = self.links.get(&link).map(|link| link.peer) else { return };
        self.outputs.push_back(Output::Event(Event::ColumnStored { content, column, from }));
        self.stored(link, id);
    }

    fn upload(&mut self, link: LinkId, id: RequestId, serial: u64) -> Option<&mut Upload> {
        let upload = self.links.get_mut(&link)?.uploads.get_mut(&id)?;
        (upload.serial == serial).then_some(upload)
    }

    fn seal_if_written(&mut self, link: LinkId, id: RequestId) {
        let Some(upload) = self.links.get_mut(&link).and_then(|link| link.uploads.get_mut(&id))
        else {
            return;
        };
        if upload.stage == Stage::Closing && upload.written == upload.next {
            upload.stage = Stage::Sealing;
            let (content, column, serial) = (upload.content.id(), upload.column, upload.serial);
            let operation = Operation::Seal { link, id, serial };
            self.start(operation, StoreOperation::SealColumn { content, column });
        }
    }

    /// spec/exchange.md §8: "stored" is said only once the store says durable.
    fn stored(&mut self, link: LinkId, id: RequestId) {
        let Some(upload) = self.take_upload(link, id) else { return };
        let next_segment = SegmentIndex(upload.content.layout().segment_count());
        let reply = ColumnReply { id, state: ColumnState::Stored, next_segment };
        self.send(link, Message::ColumnReply(reply));
    }

    fn reply(&mut self, link: LinkId, id: RequestId) {
        let Some(upload) = self.links.get(&link).and_then(|link| link.uploads.get(&id)) else {
            return;
        };
        let next_segment = SegmentIndex(upload.written);
        let reply = ColumnReply { id, state: ColumnState::Open, next_segment };
        self.send(link, Message::ColumnReply(reply));
    }

    /// Credit for what every open upload of the link may have on its way or in memory. Granted
    /// in half windows, so that a grant doesn't follow every shard.
    fn top_up(&mut self, link_id: LinkId) {
        let window = self.config.upload_window_bytes;
        let Some(link) = self.links.get_mut(&link_id) else { return };
        let open = link.uploads.iter().filter(|(_, upload)| upload.stage == Stage::Open);
        let ids: Vec<RequestId> = open.clone().map(|(id, _)| *id).collect();
        let target: u64 = open.map(|(_, up)| window.saturating_sub(up.writing_bytes)).sum();
        if target.saturating_sub(link.received.bytes()) < window / 2 {
            return;
        }
        let bytes = link.received.raise_to(target);
        self.send(link_id, Message::Credit(Credit { bytes }));
        ids.into_iter().for_each(|id| self.reply(link_id, id));
    }

    fn upload_failed(&mut self, link: LinkId, id: RequestId, result: &StoreResult) {
        match result {
            StoreResult::Refused { reason, retry_after_ms } => {
                self.refuse_upload(link, id, *reason, *retry_after_ms);
            }
            // `check_result` let nothing else through.
            _ => self.refuse_upload(link, id, RefusalReason::NotAccepted, 0),
        }
    }

    fn refuse_upload(
        &mut self,
        link: LinkId,
        id: RequestId,
        reason: RefusalReason,
        retry_after_ms: u32,
    ) {
        let Some(from) = self.links.get(&link).map(|link| link.peer) else { return };
        if let Some(upload) = self.links.get_mut(&link).and_then(|link| link.uploads.remove(&id)) {
            self.end_upload(from, upload);
        }
        self.refuse(link, id, reason, retry_after_ms);
    }

    fn take_upload(&mut self, link: LinkId, id: RequestId) -> Option<Upload> {
        let upload = self.links.get_mut(&link)?.uploads.remove(&id)?;
        self.columns_open.remove(&(upload.content.id(), upload.column));
        Some(upload)
    }

    /// An upload ends before its column is whole; what is being written is still in memory.
    pub(super) fn end_upload(&mut self, from: PeerId, upload: Upload) {
        let (content, column) = (upload.content.id(), upload.column);
        self.columns_open.remove(&(content, column));
        self.orphan_write_bytes += upload.writing_bytes;
        let token = Token(self.next_serial());
        let operation = StoreOperation::LeaveColumn { content, column };
        self.outputs.push_back(Output::Store { token, operation });
        let next_segment = SegmentIndex(upload.written);
        let event = Event::UploadEnded { content, column, from, next_segment };
        self.outputs.push_back(Output::Event(event));
    }

    pub(super) fn end_idle_uploads(&mut self) {
        let now = self.now;
        let idle = |upload: &Upload| {
            upload.stage == Stage::Open && now.since_ms(upload.active_at) >= UPLOAD_IDLE_TIMEOUT_MS
        };
        let of_link = |(link, state): (&LinkId, &super::Link)| {
            let idle = state.uploads.iter().filter(|(_, upload)| idle(upload));
            idle.map(|(id, _)| (*link, *id)).collect::<Vec<_>>()
        };
        let late: Vec<_> = self.links.iter().flat_map(of_link).collect();
        late.into_iter().for_each(|(link, id)| {
            self.refuse_upload(link, id, RefusalReason::Busy, BUSY_RETRY_MS);
        });
    }
}
