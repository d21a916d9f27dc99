//! Random operations, crashes included, against a model that is a few maps.

use std::collections::{BTreeMap, BTreeSet};

use pop_node::disk::{ColumnStore, OpenedColumn, StoreError};
use pop_wire::ColumnIndex;
use proptest::prelude::*;

use crate::sample::{Sample, assert_serves, column, open, write_until};

#[derive(Clone, Debug)]
enum Operation {
    /// Write some segments of a column, and leave it.
    Write { content: usize, index: u16, segments: u64 },
    /// Write what is missing of a column and seal it.
    Complete { content: usize, index: u16 },
    /// Give a column up.
    Abandon { content: usize, index: u16 },
    /// Delete a content.
    Remove { content: usize },
    /// Stop without a word, and open again.
    Crash,
    /// Flip a byte of a sealed column, and read it.
    Damage { content: usize, index: u16 },
}

fn operation() -> impl Strategy<Value = Operation> {
    let (content, index) = (0..2_usize, 0..3_u16);
    prop_oneof![
        4 => (content.clone(), index.clone(), 0..5_u64)
            .prop_map(|(content, index, segments)| Operation::Write { content, index, segments }),
        3 => (content.clone(), index.clone())
            .prop_map(|(content, index)| Operation::Complete { content, index }),
        1 => (content.clone(), index.clone())
            .prop_map(|(content, index)| Operation::Abandon { content, index }),
        1 => content.clone().prop_map(|content| Operation::Remove { content }),
        2 => Just(Operation::Crash),
        1 => (content, index).prop_map(|(content, index)| Operation::Damage { content, index }),
    ]
}

#[derive(Default)]
struct Model {
    sealed: BTreeSet<(usize, u16)>,
    quarantined: BTreeSet<(usize, u16)>,
    partial: BTreeMap<(usize, u16), u64>,
}

fn apply(
    operation: &Operation,
    store: &ColumnStore,
    samples: &[Sample],
    data_dir: &std::path::Path,
    model: &mut Model,
) {
    match *operation {
        Operation::Crash => {}
        Operation::Remove { content } => {
            store.remove(&samples[content].id()).unwrap();
            model.sealed.retain(|key| key.0 != content);
            model.quarantined.retain(|key| key.0 != content);
            model.partial.retain(|key, _| key.0 != content);
        }
        Operation::Damage { content, index } => {
            if model.sealed.remove(&(content, index)) {
                let path = samples[content].file(data_dir, index, "column");
                let mut bytes = std::fs::read(&path).unwrap();
                bytes[3] ^= 0x40;
                std::fs::write(&path, bytes).unwrap();
                let segment = pop_wire::SegmentIndex(0);
                let read = store.read(&samples[content].id(), segment, column(index));
                assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
                model.quarantined.insert((content, index));
            }
        }
        Operation::Write { content, index, .. }
        | Operation::Complete { content, index }
        | Operation::Abandon { content, index } => {
            let (sample, key) = (&samples[content], (content, index));
            let opened = store.open_column(&sample.manifest, column(index)).unwrap();
            let OpenedColumn::Writer(mut writer) = opened else {
                assert!(model.sealed.contains(&key));
                return;
            };
            model.quarantined.remove(&key);
            let written = model.partial.entry(key).or_default();
            assert_eq!(writer.next_segment().0, *written, "resumed at the wrong segment");
            match *operation {
                Operation::Write { segments, .. } => {
                    *written = (*written + segments).min(sample.segments());
                    write_until(&mut writer, sample, index, *written).unwrap();
                }
                Operation::Abandon { .. } => {
                    writer.abandon().unwrap();
                    model.partial.remove(&key);
                }
                _ => {
                    write_until(&mut writer, sample, index, sample.segments()).unwrap();
                    writer.seal().unwrap();
                    model.partial.remove(&key);
                    model.sealed.insert(key);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn the_store_agrees_with_its_model(operations in prop::collection::vec(operation(), 1..25)) {
        let directory = tempfile::tempdir().unwrap();
        let samples = [Sample::with_segments(5, 1), Sample::with_segments(1, 2)];
        let mut store = open(directory.path());
        let mut model = Model::default();
        for operation in &operations {
            if matches!(operation, Operation::Crash) {
                drop(store);
                store = open(directory.path());
            }
            apply(operation, &store, &samples, directory.path(), &mut model);
            for (content, sample) in samples.iter().enumerate() {
                let sealed: Vec<u16> =
                    model.sealed.iter().filter(|key| key.0 == content).map(|key| key.1).collect();
                assert_serves(&store, sample, &sealed);
            }
            let quarantined: BTreeSet<_> = store.quarantined().into_iter().collect();
            let expected: BTreeSet<_> = model
                .quarantined
                .iter()
                .map(|(content, index)| (samples[*content].id(), ColumnIndex::new(*index).unwrap()))
                .collect();
            prop_assert_eq!(quarantined, expected);
            let columns = model.sealed.len() + model.quarantined.len() + model.partial.len();
            prop_assert_eq!(store.used_bytes() == 0, columns == 0);
        }
    }
}
