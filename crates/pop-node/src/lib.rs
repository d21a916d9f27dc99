//! pop-node
