//! pop-wire
