//! What the machines ask of a store. The store knows keys and bytes, nothing of their meaning.

use bytes::Bytes;

/// The tables beside the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Client GUID (16 bytes) → its registration record.
    Registrations,
    /// Client GUID → its cursor record.
    Cursors,
    /// (origin, Message_ID) (32 bytes) → the digest and outcome of an exchange that left no log record.
    Seen,
    /// Name → value; what belongs to the node as a whole.
    Meta,
    /// (server GUID, kind, want) → what an upstream was asked for, and how far it was heard.
    Uplinks,
    /// Client GUID → the GUID that it is called by (16 bytes), and that before (16 more) until it has used the new one.
    Names,
    /// Client GUID → the inventory that a local server reported for it, and the way to it.
    Below,
}

impl Table {
    /// Every table, in the order of their declaration.
    pub const ALL: [Self; 7] =
        [Self::Registrations, Self::Cursors, Self::Seen, Self::Meta, Self::Uplinks, Self::Names, Self::Below];
}

/// One change. The writes of one commit become durable together, log before tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Adds an item to the log. Positions ascend, with gaps allowed.
    Append {
        /// Its place in the log, from 1.
        position: u64,
        /// What the engine must know again after a restart.
        record: Bytes,
        /// The item's bytes.
        item: Bytes,
    },
    /// Sets a row.
    Put {
        /// In this table.
        table: Table,
        /// Row key.
        key: Bytes,
        /// Row value.
        value: Bytes,
    },
    /// Removes a row, if it is there.
    Delete {
        /// From this table.
        table: Table,
        /// Row key.
        key: Bytes,
    },
    /// Items below this position are not needed any more; their space may be taken back when convenient.
    Trim {
        /// The lowest position still needed.
        below: u64,
    },
    /// These items are not needed any more, wherever they stand; their space may be taken back when convenient. Not durable by
    /// itself: after a restart they may be there again.
    Evict {
        /// Where they stand in the log.
        positions: Vec<u64>,
    },
}

/// An item that was stored once and cannot be read any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its place in the log, or the last one that it may have had.
    pub position: u64,
    /// Its record, if that can be read; else nothing is known of it, and there may have been others before it.
    pub record: Option<Bytes>,
}

/// What a store holds when it is opened.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// Names this life of the log: random at creation and after a restore from backup.
    pub incarnation: u128,
    /// (position, record) of the log, ascending.
    pub records: Vec<(u64, Bytes)>,
    /// Items of the log that are damaged, ascending; none of them stands in `records`.
    pub lost: Vec<Lost>,
    /// All rows of all tables.
    pub rows: Vec<(Table, Bytes, Bytes)>,
}
