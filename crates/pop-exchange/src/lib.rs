//! pop-exchange
