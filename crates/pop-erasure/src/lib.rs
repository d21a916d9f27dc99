//! pop-erasure
